"""The steps of a network that takes a picture band by band: which rows each can give, and which it still needs."""

import math
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from fullconv.errors import InputError
from fullconv.ops.bilinear import Placement
from fullconv.ops.places import WINDOWS, Layer
from fullconv.ops.tape import Call

POINTWISE = frozenset(
    [
        *(
            "add",
            "batch_norm",
            "cat",
            "clone",
            "contiguous",
            "dropout",
            "elu",
            "gelu",
            "hardsigmoid",
            "hardswish",
        ),
        *("hardtanh", "leaky_relu", "mish", "mul", "relu", "relu6", "sigmoid", "silu", "sub", "tanh", "to"),
    ]
)
"""Functions whose output row depends on the same row of their inputs alone."""

PAD_VALUES = {"conv2d": 0.0, "max_pool2d": -math.inf, "avg_pool2d": math.nan}


@dataclass
class Rows:
    """The rows of a feature map that are at hand.

    Attributes:
        height: rows that the whole map has.
        num_users: steps that read it.
        first: the first row at hand.
        values: (1, C, r, W), or None before there are any.
    """

    height: int
    num_users: int = 0
    first: int = 0
    values: Tensor | None = None

    @property
    def end(self) -> int:
        return self.first + (0 if self.values is None else self.values.shape[2])

    def add(self, values: Tensor) -> None:
        none = self.values is None or self.values.shape[2] == 0
        self.values = values if none else torch.cat([self.values, values], dim=2)  # pyright: ignore[reportArgumentType]

    def between(self, start: int, stop: int) -> Tensor:
        assert self.values is not None
        return self.values[:, :, start - self.first : stop - self.first]

    def forget(self, before: int) -> None:
        """Lets go of the rows before `before`."""
        if self.values is not None and before > self.first:
            rest = self.values[:, :, before - self.first :]
            self.first = before
            # A slice would keep all of its memory; without rows only the shape is kept.
            self.values = (
                rest.clone(memory_format=torch.channels_last) if rest.shape[2] else rest.new_empty(rest.shape)
            )


@dataclass(frozen=True)
class Pointwise:
    """A call whose rows depend on the same rows of its inputs."""

    call: Call
    inputs: tuple[int, ...]

    def height(self, heights: list[int]) -> int:
        if len(set(heights)) != 1:
            raise InputError(
                f"{self.call.name} joins feature maps of {heights} rows; this picture cannot be streamed"
            )
        return heights[0]

    def ready(self, inputs: list[Rows], height: int) -> int:
        return min(rows.end for rows in inputs)

    def needs(self, row: int, of: int) -> int:
        return row

    def compute(self, inputs: list[Rows], start: int, stop: int) -> Tensor:
        values = dict(zip(self.inputs, (rows.between(start, stop) for rows in inputs), strict=True))
        if inputs[0].num_users > 1:  # the call may work in place
            values[self.inputs[0]] = values[self.inputs[0]].clone(memory_format=torch.channels_last)
        return self.call.run(lambda ref: values[ref.index])


@dataclass(frozen=True)
class Windowed:
    """A convolution or pooling."""

    call: Call
    inputs: tuple[int, ...]
    layer: Layer

    def height(self, heights: list[int]) -> int:
        return self.layer.rows.output_size(heights[0])

    def ready(self, inputs: list[Rows], height: int) -> int:
        rows, window = inputs[0], self.layer.rows
        if rows.end == rows.height:
            return height
        return max(0, (rows.end + window.padding - window.span) // window.stride + 1)

    def needs(self, row: int, of: int) -> int:
        return max(0, row * self.layer.rows.stride - self.layer.rows.padding)

    def compute(self, inputs: list[Rows], start: int, stop: int) -> Tensor:
        rows, window = inputs[0], self.layer.rows
        top = start * window.stride - window.padding
        bottom = (stop - 1) * window.stride - window.padding + window.span
        values = rows.between(max(0, top), min(bottom, rows.height))
        above, below = max(0, -top), max(0, bottom - rows.height)
        # Of an average that hangs over the border torch counts only what is there, so nothing may be added.
        if (above or below) and self.call.name != "avg_pool2d":
            values = F.pad(values, (0, 0, above, below), value=PAD_VALUES[self.call.name])
        return self.call.run(lambda _: values)


@dataclass
class Upsampled:
    """Bilinear upsampling of a map to the size of another."""

    inputs: tuple[int, ...]
    like: int
    placement_hw: tuple[Placement, Placement]
    columns: dict[int, tuple[Tensor, Tensor, Tensor]] = field(default_factory=dict)

    def height(self, heights: list[int]) -> int:
        return heights[1]

    def ready(self, inputs: list[Rows], height: int) -> int:
        return min(height, ready_rows(inputs[0], self.placement_hw[0], height))

    def needs(self, row: int, of: int) -> int:
        if of == self.like:
            return row
        return max(0, math.floor((row - self.placement_hw[0].shift) / self.placement_hw[0].factor))

    def compute(self, inputs: list[Rows], start: int, stop: int) -> Tensor:
        source, like = inputs
        assert source.values is not None
        assert like.values is not None
        width = like.values.shape[3]
        if width not in self.columns:
            self.columns[width] = neighbours(
                0, width, source.values.shape[3], self.placement_hw[1], source.values
            )
        left, right, share = self.columns[width]
        upper, lower, part = neighbours(start, stop, source.height, self.placement_hw[0], source.values)
        first = int(upper[0])
        values = source.between(first, int(lower[-1]) + 1).contiguous()
        wide = torch.lerp(values.index_select(3, left), values.index_select(3, right), share)
        return torch.lerp(
            wide.index_select(2, upper - first), wide.index_select(2, lower - first), part[:, None]
        )


def ready_rows(rows: Rows, placement: Placement, height: int) -> int:
    """The fine rows that lie between coarse rows at hand."""
    if rows.end == rows.height:
        return height
    return 0 if rows.end < 2 else max(0, math.ceil(placement.factor * (rows.end - 1) + placement.shift))


def neighbours(
    start: int, stop: int, num_coarse: int, placement: Placement, like: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the fine cells `start` to `stop` the two coarse ones around each, and the share of the second."""
    fine = torch.arange(start, stop, dtype=torch.float64, device=like.device)
    position = ((fine - placement.shift) / placement.factor).clamp(0, num_coarse - 1)
    before = position.long()
    return before, (before + 1).clamp(max=num_coarse - 1), (position - before).to(like.dtype)


Step = Pointwise | Windowed | Upsampled


def step_of(call: Call) -> Step:
    """How a call is streamed.

    Raises:
        InputError: it cannot be.
    """
    inputs = tuple(dict.fromkeys(ref.index for ref in call.refs))
    if any(ref.item is not None for ref in call.refs):
        raise InputError(f"{call.name} takes a part of several outputs and cannot be streamed")
    if call.name in WINDOWS and call.name in PAD_VALUES:
        layer = WINDOWS[call.name](*call.args, **call.kwargs)
        if call.name == "avg_pool2d" and layer.rows.padding:
            raise InputError("average pooling with padding cannot be streamed")
        return Windowed(without_row_padding(call, layer), inputs, layer)
    if call.name in POINTWISE and not (
        call.name == "cat" and dict(enumerate(call.args)).get(1, call.kwargs.get("dim")) != 1
    ):
        return Pointwise(call, inputs)
    raise InputError(
        f"{call.name} needs more than a few rows of the picture at a time and cannot be streamed"
    )


NAMES: dict[str, tuple[str, ...]] = {
    "conv2d": ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg_pool2d": (
        "input",
        "kernel_size",
        "stride",
        "padding",
        "ceil_mode",
        "count_include_pad",
        "divisor_override",
    ),
}
"""The order of torch's arguments."""


def without_row_padding(call: Call, layer: Layer) -> Call:
    """The call with padding left and right only."""
    arguments: dict[str, Any] = dict(zip(NAMES[call.name], call.args, strict=False)) | call.kwargs
    arguments["padding"] = (0, layer.columns.padding)
    return Call(call.function, (arguments.pop("input"),), arguments)
