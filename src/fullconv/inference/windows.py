"""Every pixel of a picture by covering windows: their logits are averaged where they overlap.

A network with a stride-32 transposed convolution gives back the size it was given only for multiples of 32. So the
textbook lays windows of such a size over the picture until their union covers it, and averages what the windows say
about a pixel before the softmax ("mean"). "gaussian" trusts a window most in its middle, where it sees most around.

Rows of windows are worked off from the top, and their scores let go once no pixel to come needs them, so that memory grows
with the picture's width alone.

Source: Zhang et al., "Dive into Deep Learning", section "Fully Convolutional Networks", prediction; Isensee et al.,
"nnU-Net", Nature Methods 2021, the Gaussian importance map.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.inference.engines import Engine
from fullconv.inference.pixels import Box, PixelSource
from fullconv.ops.score_map import ScoreMap
from fullconv.preprocessing import Preprocessing

MULTIPLE = 32

SIGMA = 1 / 8
"""Of the Gaussian, as a share of the window's side."""

LEAST = 1e-3
"""The least weight, so that a pixel that only corners of windows see keeps its precision."""


@dataclass(frozen=True)
class Layout:
    """How windows cover a picture.

    Attributes:
        window_hw: height and width, multiples of 32. Along an axis on which the picture is smaller there is one window,
            which hangs over the end.
        overlap: the least share of a window that the next one covers again, in 0..0.9.
        weighting: "mean" or "gaussian".

    Raises:
        InputError: a window side that is no multiple of 32.
    """

    window_hw: tuple[int, int]
    overlap: float = 0.0
    weighting: str = "mean"

    def __post_init__(self) -> None:
        if any(side < 1 or side % MULTIPLE for side in self.window_hw):
            raise InputError(
                f"windows of {self.window_hw[0]} x {self.window_hw[1]} pixels; expected sides that are multiples of {MULTIPLE}"
            )

    def starts(self, size_hw: tuple[int, int]) -> tuple[list[int], list[int]]:
        """Tops and lefts of the fewest windows that cover a picture, evenly spread.

        >>> Layout((64, 64)).starts((64, 100))
        ([0], [0, 36])
        """
        tops, lefts = map(evenly_spread, size_hw, self.window_hw, map(self.step, self.window_hw))
        return tops, lefts

    def step(self, side: int) -> int:
        """How far windows of a side may lie apart."""
        return int(side * (1 - self.overlap))

    def fitted(self, size_hw: tuple[int, int]) -> "Layout":
        """The smallest windows of which as many cover a picture: less is seen twice.

        >>> Layout((96, 96), overlap=0.25).fitted((100, 200)).window_hw
        (64, 96)
        """
        sides = [
            next(
                side
                for side in range(MULTIPLE, window + 1, MULTIPLE)
                if len(starts) == len(evenly_spread(size, side, self.step(side)))
            )
            for size, window, starts in zip(size_hw, self.window_hw, self.starts(size_hw), strict=True)
        ]
        return replace(self, window_hw=(sides[0], sides[1]))

    def weights_hw(self) -> tuple[Tensor, Tensor]:
        """(h,) and (w,) float32, above zero; a pixel's weight is their product."""
        of_side = torch.ones if self.weighting == "mean" else gaussian
        rows, columns = map(of_side, self.window_hw)
        return rows, columns


def gaussian(side: int) -> Tensor:
    """(side,) float32: 1 in the middle, at least `LEAST`."""
    place = torch.arange(side) - (side - 1) / 2
    return (-0.5 * (place / (SIGMA * side)) ** 2).exp().clamp(min=LEAST)


def evenly_spread(size: int, window: int, step: int) -> list[int]:
    """Starts of windows, at most `step` apart.

    >>> evenly_spread(100, 32, 32), evenly_spread(20, 32, 32), evenly_spread(64, 32, 16)
    ([0, 23, 45, 68], [0], [0, 16, 32])
    """
    gaps = -(-(size - window) // step)
    return [round(i * (size - window) / gaps) for i in range(gaps + 1)] if gaps > 0 else [0]


class Span(NamedTuple):
    """Rows or columns of pixels, `first` to `end`, that the same windows cover: those of these numbers."""

    first: int
    end: int
    windows: tuple[int, ...]


def spans(starts: list[int], window: int, size: int) -> list[Span]:
    """
    >>> spans([0, 24, 48], 32, 76)
    [Span(first=0, end=24, windows=(0,)), Span(first=24, end=32, windows=(0, 1)), Span(first=32, end=48, windows=(1,)), \
Span(first=48, end=56, windows=(1, 2)), Span(first=56, end=76, windows=(2,))]
    """
    edges = sorted({0, size, *starts, *(start + window for start in starts if start + window < size)})
    return [
        Span(first, end, tuple(i for i, start in enumerate(starts) if start <= first < start + window))
        for first, end in pairwise(edges)
    ]


def averaged_parts(
    engine: Engine, source: PixelSource, preprocessing: Preprocessing, layout: Layout, from_row: int = 0
) -> Iterator[tuple[Box, ScoreMap]]:
    """The weighted mean of the windows' logits, in boxes from the top, each of which the same windows cover.

    Most pixels fall to one window, which says of them what it says, coarse; full-size logits are made where several do. A
    picture that is smaller than the window is extended below and to the right by zeros, the mean colour of normalised
    pictures; their logits are cut off.

    Yields:
        Each box of the picture that ends below `from_row`, and its score map; boxes of the same rows from left to right.
    """
    (tops, lefts), window_hw = layout.starts(source.size_hw), layout.window_hw
    rows, columns = map(spans, (tops, lefts), window_hw, source.size_hw)
    weights_hw = layout.weights_hw()
    seen: dict[int, list[ScoreMap]] = {}  # the rows of windows that are still needed
    for top, bottom, row_numbers in rows:
        if bottom <= from_row:
            continue
        seen = {
            row: seen.get(row)
            or [scores_in(engine, source, preprocessing, tops[row], left, window_hw) for left in lefts]
            for row in row_numbers
        }
        for left, right, column_numbers in columns:
            views = [
                View(seen[row][column], top - tops[row], left - lefts[column])
                for row in row_numbers
                for column in column_numbers
            ]
            box = Box(top, left, bottom, right)
            yield box, averaged(views, box.size_hw, weights_hw)


class View(NamedTuple):
    """A window's scores, and where in the window the box begins that is asked for."""

    scores: ScoreMap
    top: int
    left: int


def averaged(views: list[View], size_hw: tuple[int, int], weights_hw: tuple[Tensor, Tensor]) -> ScoreMap:
    """What windows say of a box that all of them cover."""
    (height, width), (row_weights, column_weights) = size_hw, weights_hw
    if len(views) == 1:
        return views[0].scores.cropped(views[0].top, views[0].left, size_hw)
    total = weight = torch.zeros(())
    for scores, top, left in views:
        logits = scores.cropped(top, left, size_hw).logits()
        own = (row_weights[top : top + height, None] * column_weights[left : left + width]).to(logits)
        total, weight = total + own * logits, weight + own
    return ScoreMap.of_pixels(total / weight)


def scores_in(
    engine: Engine,
    source: PixelSource,
    preprocessing: Preprocessing,
    top: int,
    left: int,
    window_hw: tuple[int, int],
) -> ScoreMap:
    """The scores of a window that may hang over the end."""
    (rows, columns), (height, width) = window_hw, source.size_hw
    inputs = preprocessing.of_picture(
        source.read(Box(top, left, min(top + rows, height), min(left + columns, width)))
    )
    below, right = rows - inputs.shape[2], columns - inputs.shape[3]
    (score_map,) = engine(torch.nn.functional.pad(inputs, (0, right, 0, below)))
    return score_map


def joined(parts: Iterator[tuple[Box, ScoreMap]]) -> ScoreMap:
    """The full-size score map of the whole picture from its parts."""
    bands: list[list[Tensor]] = []
    for box, part in parts:
        if box.left == 0:
            bands.append([])
        bands[-1].append(part.logits())
    return ScoreMap.of_pixels(torch.cat([torch.cat(band, dim=2) for band in bands], dim=1))
