"""A picture under its classes, alone or beside the picture itself.

Every pixel gets a paint: its class's, a line's or a stripe's. A paint is a colour with an opacity, and 256 of them make
a palette, so that a picture is painted in one pass however many classes there are.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image

from fullconv.drawing.panels import (
    INK,
    NEUTRAL,
    PAPER,
    Entry,
    Legend,
    mounted,
    percent,
    readable,
    rgb_of,
    strips,
    text_size,
)
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet

LIGHT_LINE, DARK_LINE, LIGHT_STRIPE, DARK_STRIPE = range(4)
"""Paints behind those of the ids."""
NUM_EXTRA = 4

LINE_OPACITY, STRIPE_OPACITY = 0.8, 0.6
THINNEST = 200
"""The side of a picture below which a line of one pixel is too thick: it is drawn paler instead."""


def overlay(
    picture: np.ndarray,
    label_map: np.ndarray,
    labels: LabelSet,
    *,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """The picture tinted by class, with thin outlines between classes and a legend beside it.

    Class 0 keeps the picture's own colours if its name is "background"; void is hatched.

    Args:
        picture: uint8 (H, W, 3 or more), RGB first, 0..255.
        label_map: integer (H, W), ids of `labels`, 255 for void.
        labels: names and colours of the classes.
        opacity: 0 shows the picture alone, 1 the class colours alone.
        legend: adds a panel, below a wide picture or to the right of a tall one, with the colour, name and
            share of each class present. The picture stays in the upper left corner and is never covered.

    Returns:
        An RGB picture, with `legend=False` of exactly the picture's size.

    Raises:
        DataError: sizes differ, an id is neither a class nor void, or the opacity is not in 0..1.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> overlay(np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.uint8), labels, legend=False).size
    (40, 30)
    """
    picture = rgb_of(picture, label_map, "label map")
    entries = _shares(count_ids(label_map, labels), labels)
    height, width = label_map.shape
    panel = Legend(entries, text_size(height, width)).beside((width, height)) if legend else None
    canvas = mounted((width, height), panel)
    _paint(canvas, (0, 0), picture, label_map, labels, opacity)
    return canvas


def before_after(
    picture: np.ndarray,
    label_map: np.ndarray,
    labels: LabelSet,
    *,
    opacity: float = 0.55,
    legend: bool = True,
) -> Image.Image:
    """The picture and, beside it, its overlay; of a picture more than twice as wide as high, below it.

    Arguments and errors are those of `overlay`. Both are in full size, the picture in the upper left corner.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> before_after(np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.uint8), labels, legend=False).size
    (84, 30)
    """
    picture = rgb_of(picture, label_map, "label map")
    entries = _shares(count_ids(label_map, labels), labels)
    height, width = label_map.shape
    gap = text_size(height, width) // 3
    below = width > 2 * height
    x, y = (0, height + gap) if below else (width + gap, 0)
    size = (x + width, y + height)
    panel = Legend(entries, text_size(size[1], size[0])).beside(size) if legend else None
    canvas = mounted(size, panel)
    canvas.paste(PAPER, (0, height, width, y) if below else (width, 0, x, height))
    for top, bottom in strips(height, width):
        canvas.paste(Image.fromarray(np.ascontiguousarray(picture[top:bottom])), (0, top))
    _paint(canvas, (x, y), picture, label_map, labels, opacity)
    return canvas


def count_ids(label_map: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Pixels per id, int64, at least 256 long.

    Raises:
        DataError: no integers, or an id that is neither a class nor void.
    """
    if label_map.dtype.kind not in "ui":
        raise DataError(f"a label map has type {label_map.dtype}; expected integers, such as uint8")
    size = max(IGNORE_INDEX + 1, labels.num_classes)
    if label_map.dtype == np.uint8:
        counts = np.array(Image.fromarray(label_map).histogram(), np.int64)
        counts = np.pad(counts, (0, size - len(counts)))
        strange = []
    else:
        strange = [int(i) for i in (label_map.min(), label_map.max()) if not 0 <= i < size]
        counts = np.bincount(label_map.ravel(), minlength=size) if not strange else np.zeros(size, np.int64)
    strange += [int(i) for i in np.flatnonzero(counts) if i >= labels.num_classes and i != IGNORE_INDEX]
    if strange:
        raise DataError(
            f"a label map holds id {strange[0]}; "
            f"expected 0..{labels.num_classes - 1}, or {IGNORE_INDEX} for void"
        )
    return counts


def _shares(counts: np.ndarray, labels: LabelSet) -> list[Entry]:
    """A legend line per class present, the largest first, void last."""
    total = counts.sum()
    present = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] and i != IGNORE_INDEX]
    entries = [
        Entry(
            readable(labels.names[i], f"class {i}"),
            percent(counts[i] / total),
            None if _is_untinted(labels, i) else labels.colors[i],
        )
        for i in present
    ]
    if counts[IGNORE_INDEX]:
        entries.append(Entry("void", percent(counts[IGNORE_INDEX] / total), NEUTRAL, hatched=True))
    return entries


def _is_untinted(labels: LabelSet, index: int) -> bool:
    return index == 0 and labels.names[0] == "background"


class _Paints(NamedTuple):
    """What each id looks like.

    Attributes:
        table: uint8 (256 or 65536, 4), RGB and opacity of every id and of the paints behind them.
        shades: uint8 (256 or 65536), 1 for a light class, 3 for a dark one, 0 for void.
        extra: the id of the first further paint.
    """

    table: np.ndarray
    shades: np.ndarray
    extra: int


def _mix_paints(labels: LabelSet, opacity: float, line_strength: float) -> _Paints:
    if not 0 <= opacity <= 1:
        raise DataError(f"the opacity of an overlay is {opacity}; expected 0..1")
    # One byte per pixel, as long as the further paints find room among the ids that one byte has.
    size = 256 if labels.num_classes <= IGNORE_INDEX - NUM_EXTRA else 65536
    extra = size - 1 - NUM_EXTRA
    table, shades = np.zeros((size, 4), np.uint8), np.zeros(size, np.uint8)
    colors = np.array(labels.colors, np.uint8)
    table[: labels.num_classes] = np.insert(colors, 3, round(255 * opacity), axis=1)
    shades[: labels.num_classes] = np.where(colors @ np.array([299, 587, 114]) < 150_000, 3, 1)
    table[IGNORE_INDEX] = shades[IGNORE_INDEX] = 0
    if _is_untinted(labels, 0):
        table[0, 3], shades[0] = 0, 1
    for paint, color, part in (
        (LIGHT_LINE, PAPER, LINE_OPACITY * line_strength),
        (DARK_LINE, INK, LINE_OPACITY * line_strength),
        (LIGHT_STRIPE, NEUTRAL, STRIPE_OPACITY),
        (DARK_STRIPE, INK, STRIPE_OPACITY),
    ):
        table[extra + paint] = (*color, round(255 * part))
    return _Paints(table, shades, extra)


def _paint(
    canvas: Image.Image,
    at: tuple[int, int],
    picture: np.ndarray,
    label_map: np.ndarray,
    labels: LabelSet,
    opacity: float,
) -> None:
    """Paints the overlay on the canvas, its upper left corner at (x, y) `at`."""
    height, width = label_map.shape
    side = math.sqrt(height * width)
    line, period = max(1, round(side / 900)), max(6, round(side / 75))
    paints = _mix_paints(labels, opacity, min(1, max(0.4, side / THINNEST)))
    for top, bottom in strips(height, width):
        # A line reaches into the strips above and below.
        first, last = max(0, top - line - 1), min(height, bottom + line + 1)
        ids = label_map[first:last].astype(np.uint8 if len(paints.table) == 256 else np.uint16)
        lines = _lines(ids, np.asarray(_look_up(paints.shades, ids)), line)
        _hatch(ids, first, period, paints.extra)
        ids[lines == 3] = paints.extra + LIGHT_LINE
        ids[lines == 1] = paints.extra + DARK_LINE
        ids = ids[top - first : bottom - first]
        part = Image.fromarray(np.ascontiguousarray(picture[top:bottom]))
        part.paste(_look_up(paints.table[:, :3], ids), mask=_look_up(paints.table[:, 3], ids))
        canvas.paste(part, (at[0], at[1] + top))


def _look_up(table: np.ndarray, ids: np.ndarray) -> Image.Image:
    """The picture `table[ids]`; Pillow's own tables, which have 256 entries, are several times faster."""
    if len(table) > 256:
        return Image.fromarray(table[ids])
    image = Image.fromarray(ids)
    if table.ndim == 1:
        return image.point(table.tolist())
    image.putpalette(table.tobytes())
    return image.convert("RGB")


def _lines(ids: np.ndarray, shades: np.ndarray, width: int) -> np.ndarray:
    """uint8 (H, W): 0 where there is no line, 1 where there is a dark one, between light classes, else 3.

    Void is often a thin seam between two objects: its hatching shows it, two lines would bury it.
    """
    lines = np.zeros(ids.shape, np.uint8)
    for line, one, other, shade, other_shade in (
        (lines[:-1], ids[:-1], ids[1:], shades[:-1], shades[1:]),
        (lines[:, :-1], ids[:, :-1], ids[:, 1:], shades[:, :-1], shades[:, 1:]),
    ):
        seen = (one != other) & (shade != 0) & (other_shade != 0)
        line |= (shade | other_shade) * seen
    # A border runs between two pixels, of which the first is marked: the line is centred on the border.
    before, after = (width - 1) // 2, width // 2
    for _ in range(2):
        thin = lines.copy()
        for step in range(1, before + 1):
            lines[:-step] |= thin[step:]
        for step in range(1, after + 1):
            lines[step:] |= thin[:-step]
        lines = lines.T
    return lines


def _hatch(ids: np.ndarray, first_row: int, period: int, extra: int) -> None:
    """Gives void, in place, a light and a dark diagonal stripe in each period: one of them shows on any picture."""
    void = ids == IGNORE_INDEX
    if not void.any():
        return
    height, width = ids.shape
    steps = (np.arange(height + width) + first_row) % period
    for paint, start, end in ((LIGHT_STRIPE, 0, period / 3), (DARK_STRIPE, period / 3, 2 * period / 3)):
        stripe = (steps >= start) & (steps < end)
        # Row r of the window view is the stripe from its r-th element on.
        ids[void & sliding_window_view(stripe, width)[:height]] = extra + paint
