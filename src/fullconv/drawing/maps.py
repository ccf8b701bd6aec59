"""How sure the network was, as pictures: a map of values under a colour scale, with the scale beside it.

The scales are matplotlib's "viridis" and "magma": their lightness rises evenly from end to end, so they read in grey
print and by eyes that do not tell red from green.
"""

import math
from functools import cache
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw

from fullconv.drawing.panels import FAINT, INK, PAPER, font_for, mounted, rgb_of, strips, text_size
from fullconv.errors import DataError

OPACITY = 0.55
"""Of the colours over the grey picture: both the values and the picture stay recognisable."""

GREYS = np.linspace(40, 255, 256).round().astype(np.uint8)
"""Luminance -> grey: dark parts of the picture are lifted, or they would vanish under a dark colour."""


def confidence_picture(
    picture: np.ndarray, confidence: np.ndarray, *, low: float = 0.0, legend: bool = True
) -> Image.Image:
    """The picture in grey under its confidence: dark violet where the network was unsure, yellow where it was sure.

    Args:
        picture: uint8 (H, W, 3 or more), RGB first, 0..255.
        confidence: float (H, W) in 0..1, the softmax score of the predicted class.
        low: the value of the scale's lower end; of K classes no confidence is below 1/K.
        legend: adds a panel with the colour scale, placed as that of `overlay`.

    Returns:
        An RGB picture, with `legend=False` of exactly the picture's size.

    Raises:
        DataError: sizes differ, or a value is not finite.

    >>> picture, confidence = np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.float32)
    >>> confidence_picture(picture, confidence, legend=False).size
    (40, 30)
    """
    return value_map(
        confidence,
        picture,
        title="Confidence: score of the predicted class",
        low=low,
        ends=("unsure", "sure"),
        as_percent=True,
        legend=legend,
    )


def entropy_picture(picture: np.ndarray, entropy: np.ndarray, *, legend: bool = True) -> Image.Image:
    """The picture in grey under its entropy: dark where the network was sure, glowing where it was unsure.

    Args:
        picture: uint8 (H, W, 3 or more), RGB first, 0..255.
        entropy: float (H, W), 0 where one class has it all, 1 where all are equally probable.
        legend: adds a panel with the colour scale, placed as that of `overlay`.

    Returns, Raises: as `confidence_picture`.

    >>> picture, entropy = np.zeros((30, 40, 3), np.uint8), np.ones((30, 40), np.float32)
    >>> entropy_picture(picture, entropy, legend=False).size
    (40, 30)
    """
    return value_map(
        entropy,
        picture,
        title="Entropy: how spread out the scores are",
        scale="magma",
        ends=("sure", "unsure"),
        legend=legend,
    )


def value_map(
    values: np.ndarray,
    picture: np.ndarray | None = None,
    *,
    title: str,
    low: float = 0.0,
    high: float = 1.0,
    scale: Literal["viridis", "magma"] = "viridis",
    ends: tuple[str, str] = ("", ""),
    as_percent: bool = False,
    legend: bool = True,
) -> Image.Image:
    """A map of values in colours, over the picture in grey, with its scale beside it.

    Args:
        values: float (H, W).
        picture: uint8 (H, W, 3 or more), RGB first, 0..255; without, the colours stand alone.
        title: what the values are, above the scale.
        low: the value at the lower end of the scale; lower ones are drawn as this one.
        high: the value at the upper end; higher ones are drawn as this one.
        scale: "viridis" goes from dark violet to yellow, "magma" from black through red to a pale yellow.
        ends: plain words for the two ends.
        as_percent: 0.25 on the scale reads "25 %".
        legend: adds the panel with the scale. The values stay in the upper left corner and are never covered.

    Returns:
        An RGB picture, with `legend=False` of exactly the size of the values.

    Raises:
        DataError: not a map of finite numbers, sizes differ, or `low` is not below `high`.

    >>> value_map(np.zeros((30, 40), np.float32), title="depth", high=8.0, legend=False).getpixel((0, 0))
    (68, 1, 84)
    """
    _check(values, low, high)
    if picture is not None:
        picture = rgb_of(picture, values, "map of values")
    colors = scale_colors(scale)
    height, width = values.shape
    size = text_size(height, width)
    ticks = [(value, _tick_text(value, as_percent)) for value in _ticks(low, high)]
    panel = None
    if legend:
        bar = colors if picture is None else _over_middle_grey(colors)
        panel = _draw_scale(bar, size, title, ends, [((v - low) / (high - low), text) for v, text in ticks])
    canvas = mounted((width, height), panel)
    for top, bottom in strips(height, width):
        part = _in_colors(values[top:bottom], low, high, colors)
        if picture is not None:
            grey = Image.fromarray(np.ascontiguousarray(picture[top:bottom])).convert("L")
            grey.putpalette(np.repeat(GREYS, 3).tobytes())
            part = Image.blend(grey.convert("RGB"), part, OPACITY)
        canvas.paste(part, (0, top))
    return canvas


@cache
def scale_colors(scale: str) -> np.ndarray:
    """A colour scale of matplotlib, uint8 (256, 3), from its lower end to its upper.

    >>> scale_colors("magma")[[0, 255]].tolist()
    [[0, 0, 3], [251, 252, 191]]
    """
    from matplotlib import colormaps

    colors = colormaps[scale](np.arange(256), bytes=True)[:, :3]
    colors.flags.writeable = False
    return colors


def _check(values: np.ndarray, low: float, high: float) -> None:
    if values.dtype.kind != "f" or values.ndim != 2 or not values.size:
        raise DataError(
            f"a map of values has type {values.dtype} and shape {values.shape}; expected floats (H, W), not empty"
        )
    # Both carry any NaN along, and find infinities, without a map of flags.
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise DataError(
            f"a map of values holds {values[row, column]} in row {row}, column {column}; expected finite numbers; "
            "look for NaN in the network's weights or its input"
        )
    if not low < high:
        raise DataError(f"the scale of a map of values goes from {low} to {high}; expected low < high")


def _in_colors(values: np.ndarray, low: float, high: float, colors: np.ndarray) -> Image.Image:
    steps = np.subtract(values, low, dtype=np.float32)
    steps *= 255 / (high - low)
    steps += 0.5
    image = Image.fromarray(steps.clip(0, 255, out=steps).astype(np.uint8))
    image.putpalette(colors.tobytes())
    return image.convert("RGB")


def _over_middle_grey(colors: np.ndarray) -> np.ndarray:
    return np.round(OPACITY * colors + (1 - OPACITY) * int(GREYS[128])).astype(np.uint8)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high`: two to five of them.

    >>> _ticks(0, 1), _ticks(1 / 21, 1), _ticks(0, 300)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.25, 0.5, 0.75, 1.0], [0.0, 100.0, 200.0, 300.0])
    """
    power = 10.0 ** math.floor(math.log10(high - low))
    step = next(part * power for part in (0.25, 0.5, 1, 2.5) if high - low <= 4.001 * part * power)
    first, last = math.ceil(low / step - 1e-6), math.floor(high / step + 1e-6)
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def _tick_text(value: float, as_percent: bool) -> str:
    return f"{100 * value:.6g} %" if as_percent else f"{value:.6g}"


def _draw_scale(
    colors: np.ndarray, size: int, title: str, ends: tuple[str, str], ticks: list[tuple[float, str]]
) -> Image.Image:
    """A panel of the title, the colours between two words, and (place in 0..1, text) ticks below them."""
    font = font_for(title + "".join(ends), size)
    title_width, *end_widths = (font.getlength(text) for text in (title, *ends))
    room = max(font.getlength(text) for _, text in ticks) / 2
    left, right = (round(max(width + 0.6 * size, room)) for width in end_widths)
    bar_width = max(14 * size, round(title_width) - left - right)
    panel = Image.new("RGB", (2 * size + left + bar_width + right, round(6.6 * size)), PAPER)
    draw = ImageDraw.Draw(panel)
    x, y, height = size + left, round(3 * size), size
    draw.text((size, round(1.6 * size)), title, fill=INK, font=font, anchor="lm")
    bar = Image.fromarray(np.ascontiguousarray(colors[None])).resize(
        (bar_width, height), Image.Resampling.BILINEAR
    )
    panel.paste(bar, (x, y))
    middle = y + height // 2
    draw.text((x - round(0.6 * size), middle), ends[0], fill=INK, font=font, anchor="rm")
    draw.text((x + bar_width + round(0.6 * size), middle), ends[1], fill=INK, font=font, anchor="lm")
    for place, text in ticks:
        at = x + round(place * (bar_width - 1))
        draw.line((at, y + height, at, y + height + size // 3), fill=FAINT, width=max(1, size // 14))
        draw.text((at, y + height + round(0.5 * size)), text, fill=FAINT, font=font, anchor="mt")
    return panel
