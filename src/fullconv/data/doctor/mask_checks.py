"""Masks that do not hold what they should: why they were refused, and what is suspicious about accepted ones."""

from collections import defaultdict
from collections.abc import Sequence

from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place, finding
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.doctor.refusals import refusals
from fullconv.labels import IGNORE_INDEX, LabelSet

BETWEEN = 0.2
"""Of the steps between distant ids, the part over one pixel in between: at most 0.04 in drawn masks, 0.25 in scaled ones."""

POOR = 1.1
"""Outlines under which edges are hardly stronger than beside them: fewer than 1 in 100 masks, 6 in 10 of other pictures'."""

POOR_SHARE, FEWEST_POOR = 0.05, 3
"""More masks of poor fit than this part, and than this number, are no chance."""

TURNED_BETTER = 1.25
"""A mask that fits so many times better when it is turned was drawn on the picture as it is stored."""


def mask_findings(examined: Sequence[Examined], labels: LabelSet) -> list[Finding]:
    """The findings on the first labelling's masks, but for those that counts tell (see `counted`)."""
    return [
        *_refused(examined, labels),
        *_turned(examined),
        *_palettes(examined, labels),
        *_placement(examined),
        *_constant(examined, labels),
    ]


def _refused(examined: Sequence[Examined], labels: LabelSet) -> list[Finding]:
    places, fixable = defaultdict(list), defaultdict(bool)
    for refusal in refusals(examined, labels):
        places[refusal.code].append(Place(str(examined[refusal.index].sample.mask), refusal.note))
        fixable[refusal.code] |= refusal.fixable
    worst = dict.fromkeys(places, "ruins")
    for each in examined:
        if each.mask and each.mask.between >= BETWEEN:
            note = f"{each.mask.between:.0%} of the steps between distant ids go over one pixel in between"
            places["mask-interpolated"].append(Place(str(each.sample.mask), note))
            fixable["mask-interpolated"] = True
    return [
        finding(
            code,
            found,
            severity=None if code in worst else "harms",
            fixable=bool(KINDS[code].mend) and fixable[code],
        )
        for code, found in places.items()
    ]


def _turned(examined: Sequence[Examined]) -> list[Finding]:
    """Masks of the right size that fit only as the picture is stored; those of swapped sizes are refused anyway."""
    found = [
        Place(
            str(each.sample.mask),
            f"fits the picture's edges {each.mask.turned_fit / each.mask.fit:.1f} times better if it is turned like it",
        )
        for each in examined
        if each.mask
        and each.mask.fit
        and each.mask.turned_fit
        and each.mask.turned_fit > TURNED_BETTER * each.mask.fit
    ]
    return [finding("mask-turned", found, severity="harms")] if found else []


def _palettes(examined: Sequence[Examined], labels: LabelSet) -> list[Finding]:
    """Masks in which a colour that means another id elsewhere is used."""
    known = {*labels.colors}
    usual: dict[tuple[int, int, int], dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for each in examined:
        counts, header = each.counts[0], each.mask_header
        if each.faults or header is None or header.palette is None or not counts:
            continue
        colors = [tuple(header.palette[3 * index : 3 * index + 3]) for index in range(256)]
        for index in counts.keys() - {IGNORE_INDEX}:
            if colors.count(colors[index]) == 1 and colors[index] not in known:
                red, green, blue = colors[index]
                usual[red, green, blue][index].append(str(each.sample.mask))
    places = []
    for color, by_index in usual.items():
        if len(by_index) > 1:
            index, _ = max(by_index.items(), key=lambda item: len(item[1]))
            places += [
                Place(file, f"colour {color} is id {other}, elsewhere {index}")
                for other, files in by_index.items()
                if other != index
                for file in files
            ]
    once = {place.file: place for place in places}
    return [finding("palettes-differ", once.values())] if once else []


def _placement(examined: Sequence[Examined]) -> list[Finding]:
    fits = [
        (each, each.mask.fit)
        for each in examined
        if each.mask and each.mask.fit is not None and not _is_blank(each)
    ]
    poor = sorted(((fit, each) for each, fit in fits if fit < POOR), key=lambda pair: pair[0])
    places = [
        Place(str(each.sample.mask), f"edges under its outlines are {fit:.2f} times as strong as beside them")
        for fit, each in poor
    ]
    if len(poor) >= max(FEWEST_POOR, POOR_SHARE * len(fits)):
        return [finding("misplaced", places, detail=f"{len(poor)} of {len(fits)}")]
    return [finding("fits-poorly", places)] if places else []


def _is_blank(each: Examined) -> bool:
    return each.picture is None or each.picture.blank


def _constant(examined: Sequence[Examined], labels: LabelSet) -> list[Finding]:
    places = [
        Place(str(each.sample.mask), f"{labels.names[index]} all over")
        for each in examined
        if (index := _only(each.counts[0])) is not None
    ]
    return [finding("mask-constant", places)] if places and len(places) < len(examined) else []


def _only(counts: dict[int, int] | None) -> int | None:
    """The one class of a mask, None where there are more or none."""
    classes = [index for index in counts or {} if index != IGNORE_INDEX]
    return classes[0] if len(classes) == 1 and len(counts or {}) == 1 else None
