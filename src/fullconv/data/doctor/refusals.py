"""Why masks were refused: what their readers cannot know, as it takes more than a look at one pixel of one mask."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fullconv.data.doctor.counted import total_of
from fullconv.data.doctor.examination import Examined, Fault
from fullconv.data.doctor.solid import Snapped, snap_colors, snap_ids
from fullconv.data.masks import Shades, read_brightness, read_stored
from fullconv.data.pictures import read_picture
from fullconv.data.sources import MaskSource
from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX, LabelSet

DEEPLY = 200
"""Of the masks that were refused for one reason, so many are looked at pixel by pixel; the others are taken to be alike."""

EDGE_SHADES = 16
"""A grey no further from black or white than this is meant for it."""

MOSTLY = 0.9
"""In a mask of black and white, the rest is smoothed or JPEG's."""

OFTEN = 0.1
"""An id that is in fewer of the masks is a slip, and no class that was forgotten."""

CODES = ("mask-ids", "mask-colours", "mask-jpeg", "mask-palette")


@dataclass(frozen=True)
class Refusal:
    """A mask that was refused, and why.

    Attributes:
        index: of its sample.
        code: see `KINDS`.
        note: what was found in it.
        fixable: it can be mended.
    """

    index: int
    code: str
    note: str
    fixable: bool


def refusals(examined: Sequence[Examined], labels: LabelSet) -> list[Refusal]:
    """Why each refused mask was, in the order of the samples; ids that begin at 1 are a fault of the accepted ones too."""
    refused = [
        (index, fault)
        for index, each in enumerate(examined)
        for fault in each.faults
        if fault.code in CODES and fault.file == str(each.sample.mask)
    ]
    whole = _of_whole_set(examined, labels) if any(fault.code == "mask-ids" for _, fault in refused) else None
    if whole is not None:
        return [
            Refusal(index, whole, _ids_text(_stored(each)), True)
            for index, each in enumerate(examined)
            if _stored(each)
        ] + _each([(index, fault) for index, fault in refused if fault.code != "mask-ids"], examined, labels)
    return _each(refused, examined, labels)


def _stored(each: Examined) -> dict[int, int]:
    return each.stored or each.counts[0] or {}


def _ids_text(counts: dict[int, int]) -> str:
    ids = sorted(index for index in counts if index != IGNORE_INDEX)
    return "holds ids " + ", ".join(map(str, ids[:8])) + (f" and {len(ids) - 8} more" if ids[8:] else "")


def _of_whole_set(examined: Sequence[Examined], labels: LabelSet) -> str | None:
    """The code where the ids of all masks together tell that they were counted from 1."""
    void = {IGNORE_INDEX, *labels.ignore_ids}
    per_mask = [counts.keys() - void for each in examined if (counts := _stored(each))]
    ids: set[int] = set().union(*per_mask)
    last = labels.num_classes
    if not ids or max(ids) != last or len(ids) < last / 2:
        return None
    if 0 not in ids:
        return "mask-from-one"
    often = sum(last in found for found in per_mask) >= max(3, OFTEN * len(per_mask))
    return "mask-zero-label" if often and len(ids) > 2 else None


def _each(
    refused: Sequence[tuple[int, Fault]], examined: Sequence[Examined], labels: LabelSet
) -> list[Refusal]:
    found, seen = [], Counter[str]()
    usual: dict[str, Counter[tuple[str, bool]]] = {}
    palettes = len({each.mask_header.palette for each in examined if each.mask_header}) > 1
    for index, fault in refused:
        clauses = fault.text.partition(": ")[2].split("; ")
        note = "; ".join(clauses[: 2 if fault.code == "mask-colours" else 1])  # the nearest class too
        seen[fault.code] += 1
        if seen[fault.code] <= DEEPLY:
            code, fixable = _why(examined[index], fault, labels, palettes)
            usual.setdefault(fault.code, Counter())[code, fixable] += 1
        else:
            (code, fixable), _ = usual[fault.code].most_common(1)[0]
        found.append(Refusal(index, code, note, fixable))
    return found


def _why(each: Examined, fault: Fault, labels: LabelSet, palettes: bool) -> tuple[str, bool]:
    """The code, and whether the mask can be mended."""
    if fault.code == "mask-palette":
        return fault.code, palettes
    if (
        labels.num_classes == 2
        and (black_and_white(each.stored) or fault.code == "mask-jpeg")
        and two_shades(each)
    ):
        return ("mask-jpeg" if fault.code == "mask-jpeg" else "mask-binary"), True
    snapped = snapped_mask(each, fault.code, labels)
    if snapped is None or (fault.code == "mask-ids" and snapped.foreign.any()):
        return fault.code, False
    return snapped.code, snapped.sure


def snapped_mask(each: Examined, code: str, labels: LabelSet) -> Snapped | None:
    """A refused mask with its pixels in between given to areas; None where that makes no sense or it cannot be read.

    Args:
        each: its sample.
        code: why its reader refused it.
        labels: the classes.
    """
    mask = each.sample.mask
    if isinstance(mask, MaskSource):
        return None
    try:
        if code == "mask-jpeg":
            picture = read_picture(mask)
            grey = (picture == picture[..., :1]).all()
            return None if grey else snap_colors(picture, labels, jpeg=True)
        pixels, _ = read_stored(mask)
    except InputError:
        return None
    return snap_ids(pixels, labels) if pixels.ndim == 2 else snap_colors(pixels, labels)


def black_and_white(counts: dict[int, int] | None) -> bool:
    """Whether a mask's stored values are nearly all black or white, and some of each."""
    if not counts:
        return False
    total = sum(counts.values())
    dark = sum(number for value, number in counts.items() if value <= EDGE_SHADES)
    light = sum(number for value, number in counts.items() if 255 - EDGE_SHADES <= value <= 255)
    return min(dark, light) > 0 and dark + light >= MOSTLY * total


def two_shades(each: Examined) -> bool:
    """Whether a mask, looked at as a grey picture, is of black and white."""
    if isinstance(each.sample.mask, MaskSource):
        return False
    try:
        counts = np.bincount(read_brightness(each.sample.mask).ravel(), minlength=256)
    except InputError:
        return False
    return black_and_white({value: int(counts[value]) for value in np.flatnonzero(counts).tolist()})


def all_ids(examined: Sequence[Examined]) -> dict[int, int]:
    """The pixels of each id that masks store, refused ones among them."""
    return total_of([_stored(each) for each in examined])


BLACK_IS_FIRST = Shades(dark=0, light=1)
"""What is taken for what in a mask of black and white: as in one of 0 and 255."""
