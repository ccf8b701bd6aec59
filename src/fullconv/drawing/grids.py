"""Grids of pictures, predictions, truths and errors."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fullconv.drawing.overlays import count_ids
from fullconv.drawing.panels import (
    FAINT,
    INK,
    NEUTRAL,
    PAPER,
    Entry,
    Legend,
    font_for,
    percent,
    readable,
    rgb_of,
    shorten,
)
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet

WRONG: Color = (226, 32, 46)

CELL = 240
"""Long side of one picture in a grid, in pixels."""


def sample_grid(
    pictures: Sequence[np.ndarray],
    predictions: Sequence[np.ndarray],
    truths: Sequence[np.ndarray],
    labels: LabelSet,
    names: Sequence[str] | None = None,
    *,
    errors: bool = True,
) -> Image.Image:
    """A column per sample; four rows: picture, prediction, truth, errors; a legend of the classes seen.

    Void is light grey. The row of errors shows the picture in faint grey and each wrong pixel in red; the
    figure under each column is the wrong part of the pixels that have a truth.

    Args:
        pictures: uint8 (H, W, 3 or more) each, RGB first, 0..255; sizes may differ from sample to sample.
        predictions: integer (H, W) each, class ids.
        truths: integer (H, W) each, class ids, 255 for void.
        labels: names and colours of the classes.
        names: captions of the columns.
        errors: the fourth row; without it, the grid has the three rows of the textbook.
            Source: Zhang, Lipton, Li & Smola, Dive into Deep Learning, "Fully Convolutional Networks".

    Raises:
        DataError: no sample, lists of different lengths, sizes that differ, or an unknown id.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> picture, label_map = np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.uint8)
    >>> four, three = (sample_grid([picture], [label_map], [label_map], labels, errors=e) for e in (True, False))
    >>> four.height > three.height
    True
    """
    if not len(pictures) == len(predictions) == len(truths) == len(names or pictures) or not len(pictures):
        raise DataError(
            f"a grid got {len(pictures)} pictures, {len(predictions)} predictions, {len(truths)} truths"
            f"{'' if names is None else f' and {len(names)} names'}; "
            "expected the same number of each, at least one"
        )
    columns, notes, seen = [], [], np.zeros(max(IGNORE_INDEX + 1, labels.num_classes), np.int64)
    for picture, prediction, truth in zip(pictures, predictions, truths, strict=True):
        rgb = rgb_of(picture, prediction, "prediction")
        rgb_of(picture, truth, "truth")
        seen += count_ids(prediction, labels) + count_ids(truth, labels)
        valid = truth != IGNORE_INDEX
        wrong = valid & (prediction != truth)
        colors = _color_table(labels)
        images = [rgb, colors[prediction], colors[truth]]
        if errors:
            images.append(_paint_errors(rgb, wrong, valid))
        columns.append([_fit_cell(image) for image in images])
        notes.append(f"{percent(wrong.sum() / valid.sum())} wrong" if valid.any() else "no truth")
    entries = [
        Entry(readable(labels.names[i], f"class {i}"), "", labels.colors[i])
        for i in range(labels.num_classes)
        if seen[i]
    ]
    if seen[IGNORE_INDEX]:
        entries.append(Entry("void", "", NEUTRAL))
    if errors:
        entries.append(Entry("wrong", "", WRONG))
    return _lay_out_grid(columns, entries, names, notes)


def _color_table(labels: LabelSet) -> np.ndarray:
    """Colour of each id, uint8 (256 or more, 3)."""
    table = np.zeros((max(IGNORE_INDEX + 1, labels.num_classes), 3), np.uint8)
    table[: labels.num_classes] = labels.colors
    table[IGNORE_INDEX] = NEUTRAL
    return table


def _paint_errors(picture: np.ndarray, wrong: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """The picture in faint grey, uint8 (H, W, 3), with wrong pixels in red and void in light grey."""
    gray = np.asarray(Image.fromarray(picture).convert("L"), np.uint16)
    image = np.repeat((gray // 3 + 112).astype(np.uint8)[:, :, None], 3, axis=2)
    image[~valid] = NEUTRAL
    image[wrong] = WRONG
    return image


def _fit_cell(image: np.ndarray) -> Image.Image:
    """Scales (H, W, 3) to a long side of `CELL`; a class colour stays itself inside its area."""
    height, width = image.shape[:2]
    scale = CELL / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resample = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX
    return Image.fromarray(image).resize(size, resample)


def _lay_out_grid(
    columns: list[list[Image.Image]], entries: list[Entry], names: Sequence[str] | None, notes: list[str]
) -> Image.Image:
    """Puts the cells, centred, on a regular grid with captions and the legend."""
    font, small = ImageFont.load_default(16), ImageFont.load_default(13)
    margin, gap = 18, 8
    captions = ["picture", "prediction", "truth", "errors"][: len(columns[0])]
    cell_width = max(cell.width for column in columns for cell in column)
    cell_width = max(cell_width, round(max(small.getlength(note) for note in notes)))
    cell_height = max(22, *(cell.height for column in columns for cell in column))
    left = margin + round(max(font.getlength(caption) for caption in captions)) + 14
    top = margin + (24 if names else 0)
    right = left + len(columns) * (cell_width + gap) - gap
    bottom = top + len(captions) * (cell_height + gap) - gap + 24

    legend = Legend(entries, 14).fitting(max(right - left + 28, 200))
    size = (max(right + margin, left - 14 + legend.width), bottom + legend.height)
    grid = Image.new("RGB", size, PAPER)
    draw = ImageDraw.Draw(grid)
    for row, caption in enumerate(captions):
        y = top + row * (cell_height + gap) + cell_height // 2
        draw.text((left - 14, y), caption, fill=INK, font=font, anchor="rm")
    for index, column in enumerate(columns):
        x = left + index * (cell_width + gap)
        middle = x + cell_width // 2
        if names:
            text = shorten(names[index], 13, cell_width)
            draw.text((middle, margin + 9), text, fill=FAINT, font=font_for(text, 13), anchor="mm")
        for row, cell in enumerate(column):
            y = top + row * (cell_height + gap)
            grid.paste(cell, (x + (cell_width - cell.width) // 2, y + (cell_height - cell.height) // 2))
        draw.text((middle, bottom - 11), notes[index], fill=INK, font=small, anchor="mm")
    grid.paste(legend, (left - 14, bottom))
    return grid
