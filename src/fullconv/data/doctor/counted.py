"""What the counts of ids in masks say, without looking at a pixel again."""

from collections.abc import Sequence

from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place, finding
from fullconv.data.masks import MOST_UNCERTAIN, UNCERTAIN
from fullconv.labels import IGNORE_INDEX, Head, LabelSet

MOST_VOID = 0.5
"""The part of all pixels that may be void before somebody should look."""

Counts = dict[int, int]


def counted_findings(
    examined: Sequence[Examined], labels: LabelSet, heads: Sequence[Head] = (), *, learnt: bool = True
) -> list[Finding]:
    """The findings on masks that could be read, of the first labelling and of each further head.

    Args:
        examined: all samples of a split.
        labels: the classes.
        heads: the further heads.
        learnt: the split is for training; what is measured may be of one class.
    """
    found = _of_one(examined, 0, labels, "", learnt)
    unclear = [
        Place(
            str(each.sample.mask),
            f"{each.uncertain:.0%} of its pixels are neither dark nor light, but grey of "
            f"{UNCERTAIN[0]}..{UNCERTAIN[1] - 1}",
        )
        for each in sorted(examined, key=lambda each: -each.uncertain)
        if each.uncertain > MOST_UNCERTAIN
    ]
    if unclear:
        found.append(finding("mask-shades", unclear, detail=f"{len(unclear)} of {len(examined)}"))
    for index, head in enumerate(heads):
        found += _of_one(examined, 1 + index, head.labels, f"head {head.name}", learnt)
    return found


def _of_one(
    examined: Sequence[Examined], head: int, labels: LabelSet, what: str, learnt: bool
) -> list[Finding]:
    masks = [
        (str(each.sample.head_masks[head - 1] if head else each.sample.mask), counts)
        for each in examined
        if (counts := each.counts[head]) is not None
    ]
    if not masks:
        return []
    totals = total_of([counts for _, counts in masks])
    present = [index for index in range(labels.num_classes) if totals.get(index)]
    of = f" of {what}" if what else ""
    found = []
    first_alone = [file for file, counts in masks if counts.keys() == {0, IGNORE_INDEX}]
    if labels.num_classes == 2 and present == [0] and first_alone:
        binary = [file for file, counts in masks if IGNORE_INDEX in counts]
        places = [Place(file, "holds 0 and 255, and no mask holds 1") for file in binary]
        return [finding("mask-binary", places, detail=what)]
    if labels.num_classes > 1 and len(present) == 1:
        name = labels.names[present[0]]
        places = [Place(file, f"holds {name!r} alone, as all masks do") for file, _ in masks]
        severity = "ruins" if learnt else "harms"
        found.append(finding("one-class", places, detail=f"{name}{of}", severity=severity))
    elif len(present) < labels.num_classes:
        names = [name for index, name in enumerate(labels.names) if not totals.get(index)]
        detail = f"{', '.join(names)}{of}, in {len(masks)} masks"
        found.append(finding("class-absent", [], detail=detail))
    if labels.num_classes == 2 and first_alone and len(present) == 2:
        detail = f"{len(first_alone)} of {len(masks)}{of}"
        places = [Place(file, f"holds only {labels.names[0]!r} and void") for file in first_alone]
        found.append(finding("some-binary", places, detail=detail))
    empty = [Place(file, "is void all over") for file, counts in masks if counts.keys() == {IGNORE_INDEX}]
    if empty:
        found.append(finding("mask-void", empty, detail=f"{len(empty)} of {len(masks)}{of}"))
    void = totals.get(IGNORE_INDEX, 0) / max(1, sum(totals.values()))
    if void > MOST_VOID and len(empty) < len(masks):
        found.append(finding("much-void", [], detail=f"{void:.0%}{of}"))
    return found


def total_of(counts: Sequence[Counts]) -> Counts:
    """The sum of the pixels of each id.

    >>> total_of([{0: 2, 1: 1}, {1: 4}])
    {0: 2, 1: 5}
    """
    total: Counts = {}
    for each in counts:
        for index, number in each.items():
            total[index] = total.get(index, 0) + number
    return total
