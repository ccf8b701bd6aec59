"""A picture of any height in one pass, band by band: each layer keeps only the rows that the next ones still need.

Bands of full width go through the network from the top. A convolution computes the rows whose inputs have come and holds
back the last few for the next band, so nothing is computed twice and no halo is read: the scores are those of the whole
picture, at the whole picture's cost, in memory that does not grow with its height.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.inference.exact import reach_of
from fullconv.inference.pixels import Box, PixelSource
from fullconv.inference.row_steps import Pointwise, Rows, Step, Upsampled, ready_rows, step_of
from fullconv.models.fcn import FCN
from fullconv.ops.score_map import ScoreMap
from fullconv.ops.tape import Call, Ref, Tape
from fullconv.preprocessing import Preprocessing


@dataclass(frozen=True)
class Feed:
    """How a picture is fed to a stream.

    Attributes:
        preprocessing: the normalisation.
        band: rows of the picture at a time.
        device, dtype: of the convolutions.
    """

    preprocessing: Preprocessing
    band: int
    device: torch.device
    dtype: torch.dtype


@dataclass(frozen=True)
class RowsBelow:
    """A picture without its first rows."""

    source: PixelSource
    start: int

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.source.size_hw[0] - self.start, self.source.size_hw[1]

    def read(self, box: Box) -> np.ndarray:
        return self.source.read(Box(box.top + self.start, box.left, box.bottom + self.start, box.right))


class Stream:
    """An FCN that takes a picture in bands.

    Args:
        model: with fixed upsampling.
        tape: of its `score_maps`.

    Raises:
        InputError: the network has a layer that needs more than a few rows at a time, such as an average over the picture.
    """

    def __init__(self, model: nn.Module, tape: Tape | None) -> None:
        if not isinstance(model, FCN) or model.upscore or tape is None:
            raise InputError("only an FCN with fixed upsampling can be streamed")
        self.placement_hw = model.placements[model.stride]
        reach = reach_of(model)
        self.halo, self.multiple = reach.halo_hw[0], reach.multiple
        self.steps: list[Step] = [step_of(call) for call in tape.calls]
        fused = tape.outputs[0].index
        for stride, skip in zip(model.strides, tape.outputs[1:], strict=False):
            self.steps.append(Upsampled((fused, skip.index), skip.index, model.placements[stride]))
            call = Call(torch.add, (Ref(len(self.steps) - 1), skip), {})
            self.steps.append(Pointwise(call, (len(self.steps) - 1, skip.index)))
            fused = len(self.steps) - 1
        self.last = fused
        self.users: dict[int, list[int]] = {index: [] for index in range(-1, len(self.steps))}
        for number, step in enumerate(self.steps):
            for index in step.inputs:
                self.users[index].append(number)

    def parts(self, source: PixelSource, feed: "Feed", from_row: int = 0) -> Iterator[tuple[Box, ScoreMap]]:
        """Bands of the picture, from the top, each with its score map.

        Args:
            source: the picture.
            feed: how it is fed.
            from_row: where the first band starts; what lies above is read only as far as the network reaches.
        """
        placement, factor = self.placement_hw[0], int(self.placement_hw[0].factor)
        start = max(0, from_row - self.halo) // self.multiple * self.multiple
        below = RowsBelow(source, start)
        height, width = below.size_hw
        done = from_row - start
        for fused in self.fused_rows(below, feed):
            ready = min(height, ready_rows(fused, placement, height))
            if ready > done:
                scores = fused.between(fused.first, fused.end)[0].float()
                first_hw = (done - factor * fused.first, 0)
                yield (
                    Box(start + done, 0, start + ready, width),
                    ScoreMap(scores, self.placement_hw, (ready - done, width), first_hw),
                )
                done = ready
                fused.forget(min(fused.end, max(0, math.floor((done - placement.shift) / factor))))

    def score_map(self, source: PixelSource, feed: "Feed") -> ScoreMap:
        """Of the whole picture."""
        pieces = []
        for fused in self.fused_rows(source, feed):
            if fused.values is not None:
                pieces.append(fused.values[0].float())
                fused.forget(fused.end)
        return ScoreMap(torch.cat(pieces, dim=1), self.placement_hw, source.size_hw)

    def fused_rows(self, source: PixelSource, feed: "Feed") -> Iterator[Rows]:
        """After each band of the picture the rows of the fused scores; the taker lets go of what it has used."""
        height, width = source.size_hw
        maps = self.empty(height)
        for top in range(0, height, feed.band):
            pixels = source.read(Box(top, 0, min(top + feed.band, height), width))
            with torch.inference_mode():
                self.push(maps, feed.preprocessing.of_picture(pixels).to(feed.device, feed.dtype))
            yield maps[self.last]

    def empty(self, height: int) -> dict[int, Rows]:
        """The feature maps of a picture of that height, of which nothing is at hand."""
        maps = {-1: Rows(height, len(self.users[-1]))}
        for number, step in enumerate(self.steps):
            maps[number] = Rows(
                step.height([maps[index].height for index in step.inputs]), len(self.users[number])
            )
        maps[self.last].num_users += 1
        return maps

    def push(self, maps: dict[int, Rows], band: Tensor) -> None:
        """Takes further rows of the picture, (1, C, r, W), through the network as far as they suffice."""
        maps[-1].add(band.contiguous(memory_format=torch.channels_last))
        behind = True
        while behind:
            behind = False
            for number, step in enumerate(self.steps):
                inputs, output = [maps[index] for index in step.inputs], maps[number]
                ready = step.ready(inputs, output.height)
                # At the picture's end all that was held back comes at once; it goes on in bands as before.
                most = output.end + math.ceil(band.shape[2] * output.height / maps[-1].height) + 1
                behind |= ready > most
                if ready > output.end:
                    output.add(step.compute(inputs, output.end, min(ready, most)))
                for index in step.inputs:
                    if self.users[index][-1] == number:
                        self.forget(maps, index)

    def forget(self, maps: dict[int, Rows], index: int) -> None:
        """Lets go of the rows of a feature map that no step needs any more."""
        if index != self.last:
            rows = maps[index]
            needed = [self.steps[number].needs(maps[number].end, index) for number in self.users[index]]
            rows.forget(min(*needed, rows.end))
