"""What every drawing shares: colours, text, and the panel with the legend beside the picture."""

import io
import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from fullconv.errors import DataError
from fullconv.labels import Color
from fullconv.storage import write_atomically

PAPER: Color = (255, 255, 255)
INK: Color = (27, 35, 48)
FAINT: Color = (96, 105, 120)
NEUTRAL: Color = (206, 210, 216)
"""Void, wherever it is not part of a photograph: no data set uses this light grey for a class."""

STRIP = 1 << 18
"""Pixels that are painted at a time: what they take stays in the processor's cache."""


class Entry(NamedTuple):
    """A line of a legend: a name, a figure, and the colour of its swatch or None for a hollow one."""

    name: str
    figure: str
    color: Color | None
    hatched: bool = False


def text_size(height: int, width: int) -> int:
    """The height of the letters, in pixels, beside a picture of this size: readable when all of it is on a screen.

    >>> [text_size(*hw) for hw in ((64, 64), (480, 640), (3000, 4000), (300, 3200))]
    [12, 13, 79, 32]
    """
    return max(12, round(math.sqrt(height * width) / 44), max(height, width) // 100)


def font_for(text: str, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The house's font, which has ASCII alone; for other text the one that comes with matplotlib."""
    return _wide_font(size) if not text.replace("…", "").isascii() else _font(size)


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


@lru_cache(maxsize=32)
def _wide_font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(_wide_font_file(), size)


def _wide_font_file() -> str:
    import matplotlib

    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf")


def readable(name: str, instead: str) -> str:
    """The name, or `instead` where it holds letters that would be drawn as empty boxes.

    >>> readable("Straße", "class 1"), readable("标志", "class 2")
    ('Straße', 'class 2')
    """
    name = " ".join(name.split())
    if name.isascii():
        return name if name.isprintable() else instead
    from matplotlib.ft2font import FT2Font

    font = FT2Font(_wide_font_file())
    return name if all(font.get_char_index(ord(letter)) for letter in name) else instead


def shorten(text: str, size: int, width: float) -> str:
    """The text, cut in its middle until it is at most `width` pixels long."""
    text = " ".join(text.split()) if "\n" in text else text
    font = font_for(text, size)
    keep = len(text)
    short = text
    while keep > 2 and font.getlength(short) > width:
        keep -= 1
        short = f"{text[: (keep + 1) // 2]}…{text[len(text) - keep // 2 :]}"
    return short


def percent(part: float) -> str:
    """
    >>> percent(0.25), percent(0.0004), percent(0.99996), percent(1)
    ('25.0 %', '<0.1 %', '>99.9 %', '100 %')
    """
    if part in (0, 1):
        return f"{part:.0%}".replace("%", " %")
    if part < 0.001:
        return "<0.1 %"
    return ">99.9 %" if part > 0.999 else f"{100 * part:.1f} %"


class Legend:
    """Swatches, names and figures in columns that are read downwards.

    Attributes:
        size: the height of the letters in pixels.
    """

    def __init__(self, entries: Sequence[Entry], size: int) -> None:
        self.entries = [entry._replace(name=shorten(entry.name, size, 20 * size)) for entry in entries]
        self.size = size
        self.name_widths = [font_for(entry.name, size).getlength(entry.name) for entry in self.entries]
        self.figure_widths = [_font(size).getlength(entry.figure) for entry in self.entries]

    def heights(self) -> list[int]:
        """The numbers of rows worth trying: one per number of columns."""
        count = len(self.entries)
        return sorted({-(-count // columns) for columns in range(1, count + 1)})

    def columns(self, num_rows: int) -> list[tuple[float, float]]:
        """Width of the names and width of the figures, per column."""
        starts = range(0, len(self.entries), num_rows)
        return [
            (max(self.name_widths[i : i + num_rows]), max(self.figure_widths[i : i + num_rows]))
            for i in starts
        ]

    def panel_size(self, num_rows: int) -> tuple[int, int]:
        """Width and height of the panel."""
        width = sum(self._column_width(*widths) for widths in self.columns(num_rows))
        return self.size + width, 2 * self.size + num_rows * round(1.7 * self.size)

    def fitting(self, max_width: int) -> Image.Image:
        """The panel with as many columns as the width holds, at least one."""
        for num_rows in self.heights():
            if self.panel_size(num_rows)[0] <= max_width:
                return self.draw(num_rows)
        return self.draw(len(self.entries))

    def beside(self, size: tuple[int, int]) -> Image.Image:
        """The panel that leaves the least paper empty beside a picture of this (width, height)."""

        def cost(num_rows: int) -> float:
            panel_size = self.panel_size(num_rows)
            width, height = mounted_size(size, panel_size)
            along = 0 if size[0] >= size[1] else 1
            # A panel that is longer than the side of the picture it stands at looks odd: it has to pay.
            return width * height * (1.1 if panel_size[along] > size[along] else 1)

        return self.draw(min(self.heights(), key=cost))

    def draw(self, num_rows: int) -> Image.Image:
        size, row = self.size, round(1.7 * self.size)
        panel = Image.new("RGB", self.panel_size(num_rows), PAPER)
        draw = ImageDraw.Draw(panel)
        x = size
        for column, widths in enumerate(self.columns(num_rows)):
            first, right = column * num_rows, x + self._column_width(*widths) - round(1.4 * size)
            for index, entry in enumerate(self.entries[first : first + num_rows]):
                y = size + index * row + row // 2
                panel.paste(_swatch(entry, size), (x, y - size // 2))
                font = font_for(entry.name, size)
                draw.text((x + round(1.6 * size), y), entry.name, fill=INK, font=font, anchor="lm")
                draw.text((right, y), entry.figure, fill=FAINT, font=_font(size), anchor="rm")
            x = right + round(1.4 * size)
        return panel

    def _column_width(self, name_width: float, figure_width: float) -> int:
        gap = 0.7 * self.size if figure_width else 0
        return round(name_width + gap + figure_width + 3 * self.size)


def _swatch(entry: Entry, size: int) -> Image.Image:
    swatch = Image.new("RGB", (size + 1, size + 1), PAPER)
    draw = ImageDraw.Draw(swatch)
    box, line, radius = (0, 0, size, size), max(1, size // 14), size // 5
    if not entry.hatched:
        draw.rounded_rectangle(box, radius=radius, fill=entry.color or PAPER, outline=FAINT, width=line)
        return swatch
    shape = Image.new("L", swatch.size, 0)
    ImageDraw.Draw(shape).rounded_rectangle(box, radius=radius, fill=255)
    stripes = Image.new("RGB", swatch.size, entry.color or PAPER)
    steps = np.add.outer(np.arange(size + 1), np.arange(size + 1)) % max(4, size // 2)
    stripes.paste(INK, mask=Image.fromarray((steps < max(4, size // 2) / 2).astype(np.uint8) * 255))
    swatch.paste(stripes, mask=shape)
    draw.rounded_rectangle(box, radius=radius, outline=FAINT, width=line)
    return swatch


def mounted_size(size: tuple[int, int], panel_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture with a panel: below a wide picture, to the right of a tall one."""
    (width, height), (panel_width, panel_height) = size, panel_size
    if width >= height:
        return max(width, panel_width), height + panel_height
    return width + panel_width, max(height, panel_height)


def mounted(size: tuple[int, int], panel: Image.Image | None) -> Image.Image:
    """A canvas with the panel in place, and room for a picture of this (width, height) in its upper left corner."""
    if panel is None:
        return Image.new("RGB", size)
    canvas = Image.new("RGB", mounted_size(size, panel.size), PAPER)
    width, height = size
    canvas.paste(panel, (0, height) if width >= height else (width, 0))
    return canvas


def strips(height: int, width: int) -> Iterator[tuple[int, int]]:
    """First and past-last row of one strip after the other.

    >>> list(strips(300_000, 2))
    [(0, 131072), (131072, 262144), (262144, 300000)]
    """
    rows = max(1, STRIP // width)
    for top in range(0, height, rows):
        yield top, min(top + rows, height)


def rgb_of(picture: np.ndarray, values: np.ndarray, what: str) -> np.ndarray:
    """The picture's (H, W, 3), once it and its label map or map of values are sure to fit."""
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] < 3 or not picture.size:
        raise DataError(
            f"a picture to draw on has type {picture.dtype} and shape {picture.shape}; "
            "expected uint8 (H, W, 3) or more channels, RGB first, not empty"
        )
    if values.shape != picture.shape[:2]:
        raise DataError(
            f"the {what} has shape {values.shape}, its picture {picture.shape[:2]}; expected the same (H, W)"
        )
    return picture[..., :3]


def save_jpeg(image: Image.Image, path: Path, quality: int) -> None:
    """Writes an RGB image as JPEG, whole or not at all; missing folders are made.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    write_atomically(path, stream.getvalue())
