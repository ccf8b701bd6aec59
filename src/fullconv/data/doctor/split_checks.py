"""What the splits say of each other: classes that are learnt and not measured, or the other way round; sequences."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePath

import numpy as np

from fullconv.data.doctor.counted import counted_findings, total_of
from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place, finding
from fullconv.data.doctor.fingerprints import distances
from fullconv.data.doctor.survey import is_learnt, is_measured
from fullconv.labels import IGNORE_INDEX, Head, LabelSet

RARE = 0.001
"""A class of fewer of the labelled pixels in training is rare."""

STRAY = 0.01
"""Classes that are in no more of a split's masks came there by chance."""

ALIKE = 80
"""Neighbouring frames of a sequence differ in fewer of 256 bits, by the median; unrelated pictures in 128, hardly ever in 80."""

FEWEST_FRAMES = 5
"""Fewer pictures are no sequence."""

Splits = Mapping[str, Sequence[int]]


def split_findings(
    examined: Sequence[Examined], splits: Splits, labels: LabelSet, heads: Sequence[Head] = ()
) -> list[Finding]:
    """Findings on the classes and the sequences of each split.

    Args:
        examined: all samples, each once.
        splits: the indices of each split's samples.
        labels: the classes.
        heads: the further heads.
    """
    learnt = sorted({index for split, members in splits.items() if is_learnt(split) for index in members})
    measured = {split: members for split, members in splits.items() if is_measured(split)}
    found = []
    if learnt:
        own = counted_findings([examined[index] for index in learnt], labels, heads)
        one_class = [each for each in own if each.code == "one-class"]
        found += one_class or _classes(examined, learnt, measured, labels)
    return found + _sequences(examined, learnt, measured)


def _classes(
    examined: Sequence[Examined], learnt: Sequence[int], measured: Splits, labels: LabelSet
) -> list[Finding]:
    def of(members: Sequence[int]) -> dict[int, int]:
        return total_of([counts for index in members if (counts := examined[index].counts[0])])

    def names(ids: set[int]) -> str:
        return ", ".join(labels.names[index] for index in sorted(ids))

    totals = of(learnt)
    there = totals.keys() - {IGNORE_INDEX}
    found = []
    for split, members in measured.items():
        asked = of(members).keys() - {IGNORE_INDEX}
        if asked - there:
            places = [
                Place(
                    str(examined[index].sample.mask),
                    names((examined[index].counts[0] or {}).keys() & (asked - there)),
                )
                for index in members
                if (examined[index].counts[0] or {}).keys() & (asked - there)
            ]
            severity = "harms" if len(places) > STRAY * len(members) else "information"
            detail = f"{names(asked - there)}, in {split}"
            found.append(finding("class-unlearnt", places, detail=detail, severity=severity))
        if asked and there - asked:
            found.append(finding("class-unmeasured", [], detail=f"{names(there - asked)}, not in {split}"))
    labelled = sum(count for index, count in totals.items() if index != IGNORE_INDEX)
    rare = {index: totals[index] / labelled for index in there if totals[index] < RARE * labelled}
    if rare:
        told = ", ".join(f"{labels.names[index]} {share:.3%}" for index, share in sorted(rare.items()))
        found.append(finding("class-rare", [], detail=f"{told} of the training pixels"))
    return found


def _sequences(examined: Sequence[Examined], learnt: Sequence[int], measured: Splits) -> list[Finding]:
    frames: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for index, each in enumerate(examined):
        if match := re.fullmatch(r"(.*?)[-_. ]?(\d{1,18})", PurePath(each.sample.name).name):
            frames[match[1]].append((int(match[2]), index))
    of_picture = {
        index: name
        for name, members in frames.items()
        if _are_alike(examined, [index for _, index in sorted(members)])
        for _, index in members
    }
    learnt_names = {of_picture[index] for index in learnt if index in of_picture}
    found = []
    for split, members in measured.items():
        own = {of_picture.get(index) for index in members}
        if len(own) == 1 and None not in own and len(members) >= FEWEST_FRAMES:
            found.append(finding("one-sequence", [], detail=f"{split} is {own.pop()!r}"))
            own = {of_picture.get(index) for index in members}
        for name in sorted(learnt_names & own - {None}, key=str):
            count = sum(of_picture.get(index) == name for index in learnt)
            inside = sum(of_picture.get(index) == name for index in members)
            detail = f"{name!r} has {count} pictures in training and {inside} in {split}"
            found.append(finding("sequence-shared", [], detail=detail))
    return found


def _are_alike(examined: Sequence[Examined], members: Sequence[int]) -> bool:
    """Whether pictures that follow each other by number look alike, as a film's frames do."""
    marks = [
        np.frombuffer(facts.fingerprint, np.uint64)
        for index in members
        if (facts := examined[index].picture) and facts.fingerprint
    ]
    if len(marks) < FEWEST_FRAMES:
        return False
    return float(np.median(distances(np.stack(marks[1:]), np.stack(marks[:-1])))) < ALIKE
