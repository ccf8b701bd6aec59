"""Every pixel of a picture by covering windows: their logits are averaged where they overlap.

A network with a stride-32 transposed convolution gives back the size it was given only for multiples of 32. So the
textbook lays windows of such a size over the picture until their union covers it, and averages what the windows say
about a pixel before the softmax ("mean"). "gaussian" trusts a window most in its middle, where it sees most around.

Rows of windows are worked off from the top, and a row of pixels is let go once no window to come reaches it, so that memory
grows with the picture's width alone.

Source: Zhang et al., "Dive into Deep Learning", section "Fully Convolutional Networks", prediction; Isensee et al.,
"nnU-Net", Nature Methods 2021, the Gaussian importance map.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.inference.engines import Engine
from fullconv.inference.pixels import Box, PixelSource, network_input
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

    def weights(self) -> Tensor:
        """(h, w) float32, above zero."""
        if self.weighting == "mean":
            return torch.ones(self.window_hw)
        rows, columns = (gaussian(side) for side in self.window_hw)
        return rows[:, None] * columns[None, :]


def gaussian(side: int) -> Tensor:
    """(side,) float32: 1 in the middle, at least `LEAST`."""
    place = torch.arange(side) - (side - 1) / 2
    return (-0.5 * (place / (SIGMA * side)) ** 2).exp().clamp(min=LEAST)


def covering_windows(size_hw: tuple[int, int], layout: Layout) -> list[list[Box]]:
    """The fewest windows that cover a picture, evenly spread; a list per row of windows.

    >>> [[(box.top, box.left) for box in row] for row in covering_windows((64, 100), Layout((64, 64)))]
    [[(0, 0), (0, 36)]]
    """
    tops, lefts = (
        evenly_spread(size, window, int(window * (1 - layout.overlap)))
        for size, window in zip(size_hw, layout.window_hw, strict=True)
    )
    height, width = layout.window_hw
    return [[Box(top, left, top + height, left + width) for left in lefts] for top in tops]


def evenly_spread(size: int, window: int, step: int) -> list[int]:
    """Starts of windows, at most `step` apart.

    >>> evenly_spread(100, 32, 32), evenly_spread(20, 32, 32), evenly_spread(64, 32, 16)
    ([0, 23, 45, 68], [0], [0, 16, 32])
    """
    gaps = -(-(size - window) // step)
    return [round(i * (size - window) / gaps) for i in range(gaps + 1)] if gaps > 0 else [0]


def averaged_bands(
    engine: Engine, source: PixelSource, preprocessing: Preprocessing, layout: Layout, from_row: int = 0
) -> Iterator[tuple[Box, ScoreMap]]:
    """The weighted mean of the windows' logits, in bands of full width from the top.

    A picture that is smaller than the window is extended below and to the right by zeros, the mean colour of normalised
    pictures; their logits are cut off.

    Yields:
        A band of the picture that ends below `from_row`, and its full-size score map.
    """
    height, width = source.size_hw
    rows = rows_from(covering_windows(source.size_hw, layout), from_row)
    weights = layout.weights()
    wide = max(width, layout.window_hw[1])
    total, weight = None, torch.zeros(layout.window_hw[0], wide)  # of the pixel rows from `row[0].top` on
    for row, following in zip(rows, [*rows[1:], None], strict=True):
        for box in row:
            logits = window_logits(engine, source, preprocessing, box)
            if total is None:
                total = logits.new_zeros(len(logits), layout.window_hw[0], wide)
                weights, weight = weights.to(logits), weight.to(logits)
            total[:, :, box.left : box.right] += weights * logits
            weight[:, box.left : box.right] += weights
        assert total is not None
        top, bottom = row[0].top, min(height, row[0].bottom if following is None else following[0].top)
        done = bottom - top
        if bottom > from_row:
            band = (total[:, :done] / weight[:done])[:, :, :width]
            yield Box(top, 0, bottom, width), ScoreMap.of_pixels(band)
        total[:, :-done], weight[:-done] = total[:, done:].clone(), weight[done:].clone()
        total[:, -done:], weight[-done:] = 0, 0


def rows_from(rows: list[list[Box]], from_row: int) -> list[list[Box]]:
    """Without the rows of windows that no band which ends below `from_row` needs."""
    tops = [row[0].top for row in rows]
    first = max([top for top in tops if top <= from_row], default=0)
    return [row for row in rows if row[0].bottom > first]


def window_logits(engine: Engine, source: PixelSource, preprocessing: Preprocessing, box: Box) -> Tensor:
    """(K, h, w) float32 full-size scores of a window that may hang over the end."""
    height, width = source.size_hw
    pixels = source.read(Box(box.top, box.left, min(box.bottom, height), min(box.right, width)))
    inputs = network_input(pixels, preprocessing)
    below, right = box.size_hw[0] - inputs.shape[2], box.size_hw[1] - inputs.shape[3]
    (score_map,) = engine(torch.nn.functional.pad(inputs, (0, right, 0, below)))
    return score_map.logits()


def averaged(bands: Iterator[tuple[Box, ScoreMap]]) -> ScoreMap:
    """The full-size score map of the whole picture from its bands."""
    return ScoreMap.of_pixels(torch.cat([band.logits() for _, band in bands], dim=1))
