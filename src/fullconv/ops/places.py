"""Where feature maps lie, and how each torch function changes that.

Functions that move things in space (convolution, pooling, padding, slicing) give their output the geometry that the
arithmetic of `ops.geometry` says. Functions that only turn or split axes keep it with the axes. All others (activations,
sums, normalisation, concatenation) hand on what their inputs have. Global pooling ends it: what comes out has no place on
the picture. `ops.tracing` applies these rules while a module runs.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from fullconv.ops.geometry import PIXELS, Geometry, Window


@dataclass(frozen=True)
class Place:
    """How a feature map lies on the picture: a geometry for rows and columns, and the axes of the tensor they are."""

    rows: Geometry = PIXELS
    columns: Geometry = PIXELS
    row_axis: int = 2
    column_axis: int = 3

    @property
    def geometry_hw(self) -> tuple[Geometry, Geometry]:
        return self.rows, self.columns

    def size_hw(self, tensor: Tensor) -> tuple[int, int]:
        return tensor.shape[self.row_axis], tensor.shape[self.column_axis]

    def joined(self, other: "Place") -> "Place":
        return replace(self, rows=self.rows.joined(other.rows), columns=self.columns.joined(other.columns))


def place_of(value: Any) -> Place | None:
    """The place of a tensor that came out of `trace`, or None."""
    return getattr(value, "_place", None)


def moved(source: Any, output: Tensor) -> bool:
    """Whether padding or slicing changed where the rows and columns lie, or how many there are."""
    before, after = place_of(source), place_of(output)
    if before is None or after is None:
        return False
    return before.geometry_hw != after.geometry_hw or before.size_hw(source) != after.size_hw(output)


def handed_on(output: Tensor, *args: Any, **kwargs: Any) -> Place | None:
    """Activations, sums, concatenations: the places of those inputs that have the output's height and width, joined."""
    joined = None
    for value in (*args, *kwargs.values()):
        for item in value if isinstance(value, tuple | list) else (value,):
            place = place_of(item)
            if place is None or output.dim() != item.dim() or place.size_hw(item) != place.size_hw(output):
                continue
            joined = place if joined is None else joined.joined(place)
    return joined


@dataclass(frozen=True)
class Layer:
    """A layer that slides a window: along rows, along columns, and its channels (None: those of its input)."""

    rows: Window
    columns: Window
    channels: int | None

    def through(self, place: Place | None) -> Place | None:
        """The place of the output, given that of the input."""
        if place is None:
            return None
        return replace(place, rows=place.rows.through(self.rows), columns=place.columns.through(self.columns))

    def zeros(self, source: Tensor) -> Tensor:
        """An output of the right size for a 4-D input."""
        size_hw = self.rows.output_size(source.shape[2]), self.columns.output_size(source.shape[3])
        if min(size_hw) < 1:
            raise ValueError(f"a window of {self.rows.kernel} x {self.columns.kernel} does not fit")
        return source.new_zeros(len(source), self.channels or source.shape[1], *size_hw)


def layer_of(
    kernel: Any, stride: Any, padding: Any, dilation: Any = 1, *, channels: int | None = None,
    transposed: bool = False, output_padding: Any = 0, ceil_mode: bool = False,
) -> Layer:  # fmt: skip
    """A layer from torch's numbers, each an int or a pair."""
    if padding == "same":
        padding = tuple(d * (k - 1) // 2 for k, d in zip(pair(kernel), pair(dilation), strict=True))
    numbers = (kernel, stride, 0 if padding == "valid" else padding, dilation)
    rows, columns = zip(*(pair(number) for number in numbers), strict=True)
    extra = pair(output_padding)
    return Layer(
        Window(*rows, transposed=transposed, output_padding=extra[0], ceil_mode=ceil_mode),
        Window(*columns, transposed=transposed, output_padding=extra[1], ceil_mode=ceil_mode),
        channels,
    )


def pair(value: Any) -> tuple[int, int]:
    """An int or a one- or two-item sequence as (height, width)."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


# The signatures below are torch's own, so that positional and keyword calls bind alike.


def convolution(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Layer:  # fmt: skip
    return layer_of(weight.shape[2:], stride, padding, dilation, channels=weight.shape[0])


def transposed_convolution(
    input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Layer:  # fmt: skip
    return layer_of(
        weight.shape[2:], stride, padding, dilation, channels=groups * weight.shape[1], transposed=True,
        output_padding=output_padding,
    )  # fmt: skip


def max_pooling(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Layer:  # fmt: skip
    return layer_of(kernel_size, stride or kernel_size, padding, dilation, ceil_mode=ceil_mode)


def average_pooling(
    input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Layer:  # fmt: skip
    return layer_of(kernel_size, stride or kernel_size, padding, ceil_mode=ceil_mode)


def padded(
    output: Tensor, input: Tensor, pad: Any, mode: str = "constant", value: Any = None
) -> Place | None:
    place = place_of(input)
    if place is None:
        return None
    # torch names the pads from the last axis on: (before, after) each.
    before = {input.dim() - 1 - axis: pad[2 * axis] for axis in range(len(pad) // 2)}
    return replace(
        place,
        rows=place.rows.moved(-before.get(place.row_axis, 0)),
        columns=place.columns.moved(-before.get(place.column_axis, 0)),
    )


def sliced(output: Tensor, input: Tensor, index: Any) -> Place | None:
    place = place_of(input)
    items = list(index) if isinstance(index, tuple) else [index]
    if Ellipsis in items:
        at = items.index(Ellipsis)
        items[at : at + 1] = [slice(None)] * (input.dim() - len(items) + 1)
    items += [slice(None)] * (input.dim() - len(items))
    if place is None or len(items) != input.dim() or not all(isinstance(item, slice) for item in items):
        return None
    rows, columns = (
        replace(geometry.moved(start), stride=geometry.stride * step)
        for geometry, (start, _, step) in (
            (place.rows, items[place.row_axis].indices(input.shape[place.row_axis])),
            (place.columns, items[place.column_axis].indices(input.shape[place.column_axis])),
        )
    )
    return replace(place, rows=rows, columns=columns)


def narrowed(output: Tensor, input: Tensor, dim: int, start: int, length: int) -> Place | None:
    index = [slice(None)] * input.dim()
    index[dim] = slice(start, start + length)
    return sliced(output, input, tuple(index))


def permuted(output: Tensor, input: Tensor, *order: Any) -> Place | None:
    place = place_of(input)
    axes = order[0] if isinstance(order[0], tuple | list) else order
    if place is None:
        return None
    axes = [axis % input.dim() for axis in axes]
    return replace(place, row_axis=axes.index(place.row_axis), column_axis=axes.index(place.column_axis))


def transposed(output: Tensor, input: Tensor, first: int, second: int) -> Place | None:
    order = list(range(input.dim()))
    order[first], order[second] = order[second], order[first]
    return permuted(output, input, order)


def reshaped(output: Tensor, input: Tensor, *_: Any, **__: Any) -> Place | None:
    """Axes that are still whole keep their meaning; if rows or columns were split or merged, the place is lost."""
    place = place_of(input)
    if place is None:
        return None
    found = [
        [
            axis
            for axis in range(output.dim())
            if output.shape[axis] == input.shape[source]
            and math.prod(output.shape[:axis]) == math.prod(input.shape[:source])
        ]
        for source in (place.row_axis, place.column_axis)
    ]
    return replace(place, row_axis=found[0][-1], column_axis=found[1][-1]) if all(found) else None


def lost(output: Tensor, *args: Any, **kwargs: Any) -> None:
    return None


WINDOWS: dict[str, Callable[..., Layer]] = {
    "conv2d": convolution,
    "conv_transpose2d": transposed_convolution,
    "max_pool2d": max_pooling,
    "avg_pool2d": average_pooling,
}
"""Layers that slide a window."""

MOVES = {"pad": "pad", "__getitem__": "crop", "narrow": "crop"}
"""Functions that pad or cut, and what that is called."""

RULES: dict[str, Callable[..., Place | None]] = {
    "pad": padded,
    "__getitem__": sliced,
    "narrow": narrowed,
    "permute": permuted,
    "transpose": transposed,
    "view": reshaped,
    "reshape": reshaped,
    "flatten": reshaped,
    "unflatten": reshaped,
    "interpolate": lost,
    "adaptive_avg_pool2d": lost,
    "adaptive_max_pool2d": lost,
    "mean": lost,
}
"""What other functions do to a place; those not named hand it on."""
