"""Pictures people look at: a picture under its classes; grids of picture, prediction, truth and errors.

Of pictures with extra channels, such as depth, red, green and blue are drawn.
"""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet
from fullconv.storage import write_atomically

PAPER: Color = (255, 255, 255)
INK: Color = (27, 35, 48)
FAINT: Color = (96, 105, 120)
NEUTRAL: Color = (206, 210, 216)
"""Void, wherever it is not part of a photograph: no data set uses this light grey for a class."""
WRONG: Color = (226, 32, 46)

CELL = 240
"""Long side of one picture in a grid, in pixels."""

Entry = tuple[str, Color | None]
"""A line of a legend: its text, and the colour of its swatch or None for a hollow one."""


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
        DataError: sizes differ, or an id is neither a class nor void.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> overlay(np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.uint8), labels, legend=False).size
    (40, 30)
    """
    picture = _rgb_of(picture, label_map, "label map")
    counts = _count_ids(label_map, labels)
    untinted = label_map == IGNORE_INDEX
    if labels.names[0] == "background":
        untinted |= label_map == 0
    colors = _color_table(labels)
    painted = np.array(Image.blend(Image.fromarray(picture), Image.fromarray(colors[label_map]), opacity))
    painted[untinted] = picture[untinted]
    if counts[IGNORE_INDEX]:
        _hatch(painted, label_map == IGNORE_INDEX)
    _outline(painted, label_map, colors)
    image = Image.fromarray(painted)
    return _with_legend(image, _shares(counts, labels)) if legend else image


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
        rgb = _rgb_of(picture, prediction, "prediction")
        _rgb_of(picture, truth, "truth")
        seen += _count_ids(prediction, labels) + _count_ids(truth, labels)
        valid = truth != IGNORE_INDEX
        wrong = valid & (prediction != truth)
        colors = _color_table(labels)
        images = [rgb, colors[prediction], colors[truth]]
        if errors:
            images.append(_paint_errors(rgb, wrong, valid))
        columns.append([_fit_cell(image) for image in images])
        notes.append(f"{_percent(wrong.sum() / valid.sum())} wrong" if valid.any() else "no truth")
    entries: list[Entry] = [(labels.names[i], labels.colors[i]) for i in range(labels.num_classes) if seen[i]]
    if seen[IGNORE_INDEX]:
        entries.append(("void", NEUTRAL))
    if errors:
        entries.append(("wrong", WRONG))
    return _lay_out_grid(columns, entries, names, notes)


def save_jpeg(image: Image.Image, path: Path, quality: int) -> None:
    """Writes an RGB image as JPEG, whole or not at all; missing folders are made.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    write_atomically(path, stream.getvalue())


def _rgb_of(picture: np.ndarray, label_map: np.ndarray, what: str) -> np.ndarray:
    """The picture's (H, W, 3), once it and the label map are sure to fit."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] < 3 or not picture.size:
        raise DataError(
            f"a picture to draw on has type {picture.dtype} and shape {picture.shape}; "
            "expected uint8 (H, W, 3) or more channels, RGB first, not empty"
        )
    if label_map.shape != picture.shape[:2]:
        raise DataError(
            f"the {what} has shape {label_map.shape}, its picture {picture.shape[:2]}; "
            "expected the same (H, W)"
        )
    return picture[..., :3]


def _count_ids(label_map: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Pixels per id, int64, at least 256 long.

    Raises:
        DataError: an id is neither a class nor void.
    """
    size = max(IGNORE_INDEX + 1, labels.num_classes)
    counts = np.bincount(label_map.ravel(), minlength=size)
    unknown = [int(i) for i in np.flatnonzero(counts) if i >= labels.num_classes and i != IGNORE_INDEX]
    if unknown:
        raise DataError(
            f"a label map holds id {unknown[0]}; "
            f"expected 0..{labels.num_classes - 1}, or {IGNORE_INDEX} for void"
        )
    return counts


def _color_table(labels: LabelSet) -> np.ndarray:
    """Colour of each id, uint8 (256 or more, 3)."""
    table = np.zeros((max(IGNORE_INDEX + 1, labels.num_classes), 3), np.uint8)
    table[: labels.num_classes] = labels.colors
    table[IGNORE_INDEX] = NEUTRAL
    return table


def _hatch(painted: np.ndarray, where: np.ndarray) -> None:
    """Lightens diagonal stripes of the pixels `where`, in place."""
    height, width = where.shape
    period = max(6, max(height, width) // 90)
    stripes = (
        np.arange(height, dtype=np.int32)[:, None] + np.arange(width, dtype=np.int32)
    ) % period < period / 3
    stripes &= where
    painted[stripes] = (painted[stripes].astype(np.uint16) * 2 + np.array(NEUTRAL, np.uint16) * 3) // 5


def _outline(painted: np.ndarray, label_map: np.ndarray, colors: np.ndarray) -> None:
    """Draws the borders between classes in place: white on dark classes, dark on light ones."""
    edge = np.zeros(label_map.shape, np.uint8)
    for a, b, line in (
        (label_map[:-1], label_map[1:], edge[:-1]),
        (label_map[:, :-1], label_map[:, 1:], edge[:, :-1]),
    ):
        # Void is often a thin seam between two objects: its hatching shows it, two outlines would bury it.
        line |= (a != b) & (a != IGNORE_INDEX) & (b != IGNORE_INDEX)
    widen = max(label_map.shape) // 2400
    if widen:
        edge = np.asarray(Image.fromarray(edge).filter(ImageFilter.MaxFilter(2 * widen + 1)))
    where = edge.astype(bool)
    dark = colors @ np.array([299, 587, 114]) < 150_000
    strokes = np.where(dark[label_map[where]][:, None], np.array(PAPER), np.array(INK))
    painted[where] = (painted[where].astype(np.int32) + strokes * 3) // 4


def _shares(counts: np.ndarray, labels: LabelSet) -> list[Entry]:
    """A legend line per class present, the largest first, void last."""
    total = counts.sum()
    present = [int(i) for i in np.argsort(-counts, kind="stable") if counts[i] and i != IGNORE_INDEX]
    hollow = labels.names[0] == "background"
    entries: list[Entry] = [
        (f"{labels.names[i]}  {_percent(counts[i] / total)}", None if hollow and i == 0 else labels.colors[i])
        for i in present
    ]
    if counts[IGNORE_INDEX]:
        entries.append((f"void  {_percent(counts[IGNORE_INDEX] / total)}", NEUTRAL))
    return entries


def _percent(part: float) -> str:
    """
    >>> _percent(0.25), _percent(0.0004), _percent(0.99996), _percent(1)
    ('25.0 %', '<0.1 %', '>99.9 %', '100 %')
    """
    if part in (0, 1):
        return f"{part:.0%}".replace("%", " %")
    if part < 0.001:
        return "<0.1 %"
    return ">99.9 %" if part > 0.999 else f"{100 * part:.1f} %"


def _with_legend(image: Image.Image, entries: list[Entry]) -> Image.Image:
    size = max(12, round(max(image.size) / 48))
    width, height = image.size
    if width >= height:
        panel = _draw_legend(entries, size, max_width=width)
        canvas = Image.new("RGB", (max(width, panel.width), height + panel.height), PAPER)
        canvas.paste(panel, (0, height))
    else:
        panel = _draw_legend(entries, size, max_height=height)
        canvas = Image.new("RGB", (width + panel.width, max(height, panel.height)), PAPER)
        canvas.paste(panel, (width, 0))
    canvas.paste(image, (0, 0))
    return canvas


def _draw_legend(
    entries: list[Entry], size: int, *, max_width: int | None = None, max_height: int | None = None
) -> Image.Image:
    """Swatches and texts in columns: as many as `max_width` holds, or as `max_height` needs; at least one."""
    font = ImageFont.load_default(size)
    texts = [_shorten(text, font, 22 * size) for text, _ in entries]
    margin, row, swatch = size, round(1.7 * size), size
    column = round(max(font.getlength(text) for text in texts) + 1.6 * swatch + 1.4 * size)
    if max_width is not None:
        num_columns = min(len(entries), max(1, (max_width - margin) // column))
    else:
        num_columns = -(-len(entries) // max(1, ((max_height or 0) - 2 * margin) // row))
    num_rows = -(-len(entries) // num_columns)
    panel = Image.new("RGB", (margin + num_columns * column, 2 * margin + num_rows * row), PAPER)
    draw = ImageDraw.Draw(panel)
    for index, (text, (_, color)) in enumerate(zip(texts, entries, strict=True)):
        x, y = margin + index // num_rows * column, margin + index % num_rows * row + row // 2
        box = (x, y - swatch // 2, x + swatch, y - swatch // 2 + swatch)
        draw.rounded_rectangle(
            box, radius=size // 5, fill=color or PAPER, outline=FAINT, width=max(1, size // 14)
        )
        draw.text((x + round(1.6 * swatch), y), text, fill=INK, font=font, anchor="lm")
    return panel


def _shorten(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, cut in its middle until it is at most `width` pixels long."""
    text = " ".join(text.split()) if "\n" in text else text
    keep = len(text)
    short = text
    while keep > 2 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return short


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

    legend = _draw_legend(entries, 14, max_width=max(right - left + 28, 200))
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
            text = _shorten(names[index], small, cell_width)
            draw.text((middle, margin + 9), text, fill=FAINT, font=small, anchor="mm")
        for row, cell in enumerate(column):
            y = top + row * (cell_height + gap)
            grid.paste(cell, (x + (cell_width - cell.width) // 2, y + (cell_height - cell.height) // 2))
        draw.text((middle, bottom - 11), notes[index], fill=INK, font=small, anchor="mm")
    grid.paste(legend, (left - 14, bottom))
    return grid
