"""The geometry of any module, found by watching what it does to one picture.

While a module runs, each torch function that moves things in space (convolution, pooling, padding, slicing) is seen,
and its output is given the geometry that the arithmetic of `ops.geometry` says. Functions that only turn or split axes
keep it with the axes. All others (activations, sums, normalisation, concatenation) hand on what their inputs have.
Global pooling ends it: what comes out has no place on the picture.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

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


@dataclass(frozen=True)
class TracedFeature:
    """The output of one sub-module: its name, its channels, and its place."""

    name: str
    channels: int
    place: Place


def trace(module: nn.Module, size_hw: tuple[int, int]) -> tuple[Any, list[TracedFeature]]:
    """Runs `module` once on a blank picture, in eval mode, and watches where everything lies.

    Args:
        module: takes (1, 3, H, W) float32; left in the modes it was in.
        size_hw: size of the blank picture, any size that the module accepts.

    Returns:
        What the module returned (ask `place_of` about its tensors), and one entry per sub-module that returned a 4-D
        tensor with a known place, in the order of execution.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(2))
    >>> output, features = trace(net, (64, 64))
    >>> features[-1].name, features[-1].place.rows
    ('2', Geometry(stride=4, offset=1, receptive_field=9))
    """
    found: list[TracedFeature] = []
    names = {child: name for name, child in module.named_modules()}

    def record(child: nn.Module, _: Any, output: Any) -> None:
        place = place_of(output)
        if isinstance(output, Tensor) and output.dim() == 4 and place is not None:
            channel_axis = 6 - place.row_axis - place.column_axis
            found.append(TracedFeature(names[child], output.shape[channel_axis], place))

    hooks = [child.register_forward_hook(record) for child in module.modules() if child is not module]
    try:
        with evaluating(module), torch.no_grad(), PlaceMode():
            picture = torch.zeros(1, 3, *size_hw)
            picture._place = Place()  # pyright: ignore[reportAttributeAccessIssue]
            return module(picture), found
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Puts every sub-module in eval mode and, at the end, back in the mode it was in."""
    was_training = [child for child in module.modules() if child.training]
    module.eval()
    try:
        yield
    finally:
        for child in was_training:
            child.training = True


def place_of(value: Any) -> Place | None:
    """The place of a tensor that came out of `trace`, or None."""
    return getattr(value, "_place", None)


class PlaceMode(TorchFunctionMode):
    """While active, gives the results of torch functions their place from the places of the arguments."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        rule = RULES.get(getattr(func, "__name__", ""), handed_on)
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if isinstance(tensor, Tensor):
                place = rule(tensor, *args, **(kwargs or {}))
                if place is not None:
                    tensor._place = place  # pyright: ignore[reportAttributeAccessIssue]
        return output


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


def windowed(
    source: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, transposed: bool = False
) -> Place | None:
    place = place_of(source)
    if place is None:
        return None
    kernel_hw, stride_hw, dilation_hw = pair(kernel), pair(stride), pair(dilation)
    if padding == "same":
        padding_hw = tuple(d * (k - 1) // 2 for k, d in zip(kernel_hw, dilation_hw, strict=True))
    else:
        padding_hw = (0, 0) if padding == "valid" else pair(padding)
    rows, columns = (
        axis.through(Window(kernel=k, stride=s, padding=p, dilation=d, transposed=transposed))
        for axis, k, s, p, d in zip(
            place.geometry_hw, kernel_hw, stride_hw, padding_hw, dilation_hw, strict=True
        )
    )
    return replace(place, rows=rows, columns=columns)


def pair(value: Any) -> tuple[int, int]:
    """An int or a one- or two-item sequence as (height, width)."""
    return (value, value) if isinstance(value, int) else (value[0], value[-1])


# The signatures below are torch's own, so that positional and keyword calls bind alike.


def convolution(
    output: Tensor, input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    dilation: Any = 1, groups: int = 1,
) -> Place | None:  # fmt: skip
    return windowed(input, weight.shape[2:], stride, padding, dilation)


def transposed_convolution(
    output: Tensor, input: Tensor, weight: Tensor, bias: Any = None, stride: Any = 1, padding: Any = 0,
    output_padding: Any = 0, groups: int = 1, dilation: Any = 1,
) -> Place | None:  # fmt: skip
    return windowed(input, weight.shape[2:], stride, padding, dilation, transposed=True)


def max_pooling(
    output: Tensor, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1,
    ceil_mode: bool = False, return_indices: bool = False,
) -> Place | None:  # fmt: skip
    return windowed(input, kernel_size, stride or kernel_size, padding, dilation)


def average_pooling(
    output: Tensor, input: Tensor, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False,
    count_include_pad: bool = True, divisor_override: Any = None,
) -> Place | None:  # fmt: skip
    return windowed(input, kernel_size, stride or kernel_size, padding, 1)


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


RULES: dict[str, Callable[..., Place | None]] = {
    "conv2d": convolution,
    "conv_transpose2d": transposed_convolution,
    "max_pool2d": max_pooling,
    "avg_pool2d": average_pooling,
    "pad": padded,
    "__getitem__": sliced,
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
