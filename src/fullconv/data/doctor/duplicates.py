"""The same picture twice, and one mask for two pictures."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place, by_code
from fullconv.data.doctor.fingerprints import MIRROR, near_pairs
from fullconv.data.doctor.split_checks import Splits
from fullconv.data.doctor.survey import is_learnt, is_measured

FITS, BETTER = 1.15, 1.3
"""Of two pictures that share a mask, the one whose edges lie under it less than 1.15 times, and 1.3 times less than the
other's, has got the other's mask."""


def duplicate_findings(examined: Sequence[Examined], splits: Splits) -> list[Finding]:
    """Findings on equal pictures and equal masks.

    Args:
        examined: all samples, each once.
        splits: the indices of each split's samples.
    """
    learnt = {index for split, members in splits.items() if is_learnt(split) for index in members}
    measured = {
        index for split, members in splits.items() if is_measured(split) for index in members
    } - learnt
    found: dict[str, list[Place]] = _same(examined, learnt, measured)
    told = {place.file for place in found["same-across"]}
    found["near-same-across"] = _near(examined, sorted(learnt), sorted(measured), told)
    return by_code(found | _masks(examined))


def _same(examined: Sequence[Examined], learnt: set[int], measured: set[int]) -> dict[str, list[Place]]:
    groups: dict[bytes, list[int]] = defaultdict(list)
    for index, each in enumerate(examined):
        if each.picture and not each.picture.blank:
            groups[each.picture.digest].append(index)
    across, contradictory, within = [], [], []
    for group in groups.values():
        inside = [index for index in group if index in learnt]
        outside = [index for index in group if index in measured]
        if inside and outside:
            across += [_beside(examined, index, outside[0], "the same as") for index in inside]
        for side in (inside, outside):
            for index in side[1:]:
                same_file = str(examined[index].sample.picture) == str(examined[side[0]].sample.picture)
                masks = _mask_digest(examined[index]), _mask_digest(examined[side[0]])
                if None in masks or (same_file and masks[0] == masks[1]):
                    continue
                told = within if masks[0] == masks[1] else contradictory
                words = "the same as" if masks[0] == masks[1] else "another mask than"
                told.append(_beside(examined, index, side[0], words))
    return {"same-across": across, "contradictory": contradictory, "same-within": within}


def _mask_digest(each: Examined) -> bytes | None:
    return None if each.mask is None else each.mask.digest


def _beside(examined: Sequence[Examined], index: int, other: int, words: str) -> Place:
    beside = str(examined[other].sample.picture)
    return Place(str(examined[index].sample.picture), f"{words} {beside}", beside)


def _near(
    examined: Sequence[Examined], learnt: Sequence[int], measured: Sequence[int], told: set[str]
) -> list[Place]:
    """Pictures for training that are nearly one that is measured, or its mirror image."""
    learnt = [index for index in learnt if str(examined[index].sample.picture) not in told]
    queries, asked = _marks(examined, learnt)
    pictures, there = _marks(examined, measured)
    if not asked or not there:
        return []
    places: dict[int, tuple[int, Place]] = {}
    for mirrored in (False, True):
        for query, picture, distance in zip(
            *near_pairs(queries ^ MIRROR if mirrored else queries, pictures), strict=True
        ):
            index = asked[int(query)]
            words = f"{'mirrored, ' if mirrored else ''}{int(distance)} of 256 bits from"
            if index not in places or distance < places[index][0]:
                places[index] = int(distance), _beside(examined, index, there[int(picture)], words)
    return [place for _, (_, place) in sorted(places.items())]


def _marks(examined: Sequence[Examined], indices: Sequence[int]) -> tuple[np.ndarray, list[int]]:
    """The fingerprints (N, 4) uint64 of the pictures that have one, and which they are."""
    kept = [index for index in indices if (facts := examined[index].picture) and facts.fingerprint]
    marks = [facts.fingerprint for index in kept if (facts := examined[index].picture) and facts.fingerprint]
    return np.frombuffer(b"".join(marks), np.uint64).reshape(-1, 4), kept


def _masks(examined: Sequence[Examined]) -> dict[str, list[Place]]:
    """Masks that belong to another picture, or to several."""
    groups: dict[bytes, list[Examined]] = defaultdict(list)
    for each in examined:
        if each.mask and each.mask.fit is not None:
            groups[each.mask.digest].append(each)
    copied, shared = [], []
    for group in groups.values():
        if len({each.picture.digest for each in group if each.picture}) < 2:
            continue
        best = max(group, key=_fit)
        beside = str(best.sample.mask)
        for each in group:
            if each is best or str(each.sample.mask) == beside:
                continue
            foreign = _fit(each) < FITS and _fit(each) * BETTER < _fit(best)
            place = Place(str(each.sample.mask), f"the same as {beside}", beside)
            (copied if foreign else shared).append(place)
    return {"mask-copied": copied, "mask-shared": shared}


def _fit(each: Examined) -> float:
    return (each.mask and each.mask.fit) or 0.0
