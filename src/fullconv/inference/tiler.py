"""A picture in one pass or in tiles, as memory allows and as the user asks."""

import math
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from fullconv.devices import Precision
from fullconv.errors import ConfigError, InputError
from fullconv.inference import windows
from fullconv.inference.augmentation import Augmented
from fullconv.inference.engines import Engine
from fullconv.inference.engines.torch_engine import DTYPES, TorchEngine
from fullconv.inference.exact import Reach, exact_tiles, joined, reach_of
from fullconv.inference.memory import band_rows, bytes_per_pixel, fits_whole, tile_side
from fullconv.inference.pixels import ArrayPixels, Box, PixelSource
from fullconv.inference.streaming import Feed, Stream
from fullconv.inference.windows import Layout
from fullconv.models.scoring import score_maps_of
from fullconv.ops.score_map import ScoreMap
from fullconv.ops.tape import Tape
from fullconv.preprocessing import Preprocessing

Tile = Literal["auto", "whole"] | int | tuple[int, int]
Parts = Iterator[tuple[Box, ScoreMap]]

OVERLAPS = ("exact", "mean", "gaussian")
GAUSSIAN_OVERLAP = 1 / 16
"""The share of a window that its neighbour covers again; more smooths seams further, at the price of time."""

TOLERANCE = 2e-5
"""Of the largest score: rounding stays well below."""


class Tiler:
    """Gives the score map of a picture, or of its parts one after the other.

    Args:
        engine: runs the network.
        model: the network, from which reach and memory are derived.
        preprocessing: the normalisation.
        tile, overlap: see `Segmenter`.

    Raises:
        InputError, ConfigError: see `Segmenter`.
    """

    def __init__(
        self, engine: Engine, model: nn.Module, preprocessing: Preprocessing, tile: Tile, overlap: str
    ) -> None:
        if overlap not in OVERLAPS:
            raise ConfigError(f"overlap is {overlap!r}; expected one of {', '.join(OVERLAPS)}")
        if isinstance(tile, str) and tile not in ("auto", "whole"):
            raise ConfigError(f"tile is {tile!r}; expected 'auto', 'whole', a side, or (height, width)")
        self.engine = engine
        self.model = model
        self.preprocessing = preprocessing
        self.tile = tile
        self.overlap = overlap
        self.streams: dict[Precision, Stream | None] = {}
        if not isinstance(tile, str):
            Layout(self.sides(tile))  # says at once if the sides will not do
            if overlap == "exact":
                _ = self.reach

    def score_map(self, source: PixelSource) -> ScoreMap:
        """The score map of the whole picture."""
        if self.takes_whole(source.size_hw):
            return self.in_one_pass(source)
        if (stream := self.stream(source.size_hw[1])) is not None:
            return stream.score_map(source, self.feed(source))
        if self.is_exact:
            return joined(self.parts(source), source.size_hw)
        return windows.joined(self.parts(source))

    def score_maps(self, pictures: Sequence[np.ndarray]) -> list[ScoreMap]:
        """Of pictures of one size, (H, W, C) uint8: from one pass where memory suffices, else one after the other."""
        height, width = pictures[0].shape[:2]
        if len(pictures) > 1 and self.takes_whole((len(pictures) * height, width)):
            return self.engine(torch.cat([self.preprocessing.of_picture(each) for each in pictures]))
        return [self.score_map(ArrayPixels(each)) for each in pictures]

    def parts(self, source: PixelSource, from_row: int = 0) -> Parts:
        """Boxes that make up the picture, each once, from the top, with their score maps; memory does not grow with height.

        Unless `tile` is "whole", there is more than one box where the picture is larger than a window.

        Args:
            source: the picture.
            from_row: boxes that end at this row or above are left out, and not computed.
        """
        height, width = source.size_hw
        if self.tile == "whole" or (self.tile == "auto" and height * width <= math.prod(self.window_hw)):
            yield Box(0, 0, height, width), self.in_one_pass(source)
        elif (stream := self.stream(width)) is not None:
            yield from stream.parts(source, self.feed(source), from_row)
        elif self.is_exact:
            yield from exact_tiles(
                self.engine, source, self.preprocessing, self.core_hw, self.reach, from_row
            )
        else:
            overlap = 0.0 if self.overlap == "mean" else GAUSSIAN_OVERLAP
            layout = Layout(self.window_hw, overlap, self.overlap)
            if self.tile == "auto":
                layout = layout.fitted(source.size_hw)
            yield from windows.averaged_parts(self.engine, source, self.preprocessing, layout, from_row)

    def in_one_pass(self, source: PixelSource) -> ScoreMap:
        height, width = source.size_hw
        (score_map,) = self.engine(self.preprocessing.of_picture(source.read(Box(0, 0, height, width))))
        return score_map

    def takes_whole(self, size_hw: tuple[int, int]) -> bool:
        if self.tile == "whole":
            return True
        return self.tile == "auto" and fits_whole(size_hw[0] * size_hw[1], self.per_pixel, self.engine.device)

    def stream(self, width: int) -> Stream | None:
        """The network for bands, where tiles are to be exact, their size is free, and the network can be streamed."""
        if self.tile != "auto" or self.overlap != "exact" or not isinstance(self.engine, TorchEngine):
            return None
        precision = self.engine.precision_at(width)
        if precision not in self.streams:
            self.streams[precision] = stream_or_none(self.model, self.engine.tape(precision))
        return self.streams[precision]

    def feed(self, source: PixelSource) -> Feed:
        """Bands that keep within their memory."""
        assert isinstance(self.engine, TorchEngine)
        width = source.size_hw[1]
        band = band_rows(self.per_pixel, self.engine.device, width)
        return Feed(self.preprocessing, band, self.engine.device, DTYPES[self.engine.precision_at(width)])

    @cached_property
    def per_pixel(self) -> float:
        return bytes_per_pixel(self.model, self.preprocessing.num_channels)

    @property
    def is_exact(self) -> bool:
        return self.overlap == "exact"

    @cached_property
    def reach(self) -> Reach:
        """Of the network, proved on noise.

        Raises:
            InputError: the network looks further than its receptive field: at the whole picture.
        """
        if isinstance(self.engine, Augmented):
            raise ConfigError(
                "test-time augmentation has no exact tiles; choose overlap 'gaussian' or tile 'whole'"
            )
        reach = reach_of(self.model)
        check_reach(self.model, self.engine.device, reach, self.preprocessing.num_channels)
        return reach

    @property
    def window_hw(self) -> tuple[int, int]:
        if isinstance(self.tile, str):
            side = tile_side(self.per_pixel, self.engine.device, 32)
            return side, side
        return self.sides(self.tile)

    @property
    def core_hw(self) -> tuple[int, int]:
        """What is kept of an exact tile: the given sides; chosen by memory, what the halo leaves of them."""
        if not isinstance(self.tile, str):
            return self.sides(self.tile)
        rows, columns = self.window_hw
        multiple = self.reach.multiple
        return (
            max(multiple, (rows - 2 * self.reach.halo_hw[0]) // multiple * multiple),
            max(multiple, (columns - 2 * self.reach.halo_hw[1]) // multiple * multiple),
        )

    @staticmethod
    def sides(tile: int | tuple[int, int]) -> tuple[int, int]:
        return (tile, tile) if isinstance(tile, int) else tile


def check_reach(model: nn.Module, device: torch.device, reach: Reach, channels: int) -> None:
    """Compares what a network says of the middle of a small window and of the same in a larger one, in float32.

    Raises:
        InputError: they differ, as where a layer averages over the whole picture.
    """
    generator = torch.Generator().manual_seed(0)
    rows, columns = (2 * halo + reach.multiple for halo in reach.halo_hw)
    more = reach.multiple
    large = torch.randn(1, channels, rows + 2 * more, columns + 2 * more, generator=generator).to(device)
    with torch.inference_mode():
        in_large = middle(score_maps_of(model, large)[0], reach, more)
        in_small = middle(score_maps_of(model, large[:, :, more:-more, more:-more])[0], reach, 0)
    if (in_large - in_small).abs().max() > TOLERANCE * in_large.abs().max():
        raise InputError(
            f"the network looks at the whole picture, not {max(reach.halo_hw)} pixels around each, so exact tiles cannot "
            "be cut; use overlap 'gaussian' or 'mean', or tile 'whole'"
        )


def middle(score_map: ScoreMap, reach: Reach, beyond: int) -> Tensor:
    """The full-size scores of the window's innermost cell."""
    top, left = (halo + beyond for halo in reach.halo_hw)
    return score_map.logits(top, top + reach.multiple)[:, :, left : left + reach.multiple]


def stream_or_none(model: nn.Module, tape: Tape | None) -> Stream | None:
    try:
        return Stream(model, tape)
    except InputError:
        return None
