"""The geometry of any module, found by watching what it does to one picture.

While a module runs, each torch function is seen, and its output is given its place on the picture by the rules of
`ops.places`. `trace` says where each sub-module's output lies; `trace_steps` lists what moved things, in order.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from fullconv.ops.geometry import Window
from fullconv.ops.places import MOVES, RULES, WINDOWS, Layer, Place, handed_on, moved, place_of


@dataclass(frozen=True)
class TracedFeature:
    """The output of one sub-module: its name, its channels, and its place."""

    name: str
    channels: int
    place: Place


@dataclass(frozen=True)
class TracedStep:
    """One operation that moved things in space.

    Attributes:
        name: the innermost sub-module that did it; "" for the module itself.
        kind: torch's name of the function: "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d"; "pad" or "crop".
        window_hw: the layer's windows along rows and columns; None for padding and cropping.
        channels: of the output.
        size_hw: height and width of the output.
        place: of the output.
    """

    name: str
    kind: str
    window_hw: tuple[Window, Window] | None
    channels: int
    size_hw: tuple[int, int]
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


def trace_steps(
    module: nn.Module, size_hw: tuple[int, int], channels: int = 3
) -> tuple[Any, list[TracedStep]]:
    """What moves things in space when `module` runs. Convolutions and poolings are not computed, so this is fast at any size.

    Args:
        module: takes (1, channels, H, W) float32; left as it was.
        size_hw: size of the picture, any size that the module accepts.
        channels: of the picture.

    Returns:
        What the module returned (of the right sizes, with meaningless values; ask `place_of` about it), and the steps in the
        order of execution, branches included.

    >>> net = nn.Sequential(nn.Conv2d(3, 8, 7, stride=2, padding=3), nn.ReLU(), nn.MaxPool2d(2))
    >>> [(step.name, step.kind, step.size_hw) for step in trace_steps(net, (65, 97))[1]]
    [('0', 'conv2d', (33, 49)), ('2', 'max_pool2d', (16, 24))]
    """
    mode = PlaceMode(computing=False)
    names = {child: name for name, child in module.named_modules()}

    def enter(child: nn.Module, _: Any) -> None:
        mode.running.append(names[child])

    def leave(*_: Any) -> None:
        mode.running.pop()

    hooks = [child.register_forward_pre_hook(enter) for child in names]
    hooks += [child.register_forward_hook(leave) for child in names]
    try:
        with evaluating(module), torch.no_grad(), mode:
            picture = torch.zeros(1, channels, *size_hw)
            picture._place = Place()  # pyright: ignore[reportAttributeAccessIssue]
            return module(picture), mode.steps
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


class PlaceMode(TorchFunctionMode):
    """While active, gives the results of torch functions their place from the places of the arguments.

    Args:
        computing: whether layers that slide a window are computed; else they put out zeros of the right size.

    Attributes:
        steps: what has moved things in space so far.
        running: the names of the sub-modules at work, innermost last; kept by whoever wants names in `steps`.
    """

    def __init__(self, computing: bool = True) -> None:
        super().__init__()
        self.computing = computing
        self.steps: list[TracedStep] = []
        self.running: list[str] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        name, kwargs = getattr(func, "__name__", ""), kwargs or {}
        source: Any = args[0] if args else kwargs.get("input")
        layer = WINDOWS[name](*args, **kwargs) if name in WINDOWS else None
        skipped = layer is not None and not self.computing and source.dim() == 4
        output = layer.zeros(source) if layer and skipped else func(*args, **kwargs)
        rule = RULES.get(name, handed_on)
        for tensor in output if isinstance(output, tuple | list) else (output,):
            if not isinstance(tensor, Tensor):
                continue
            place = layer.through(place_of(source)) if layer else rule(tensor, *args, **kwargs)
            if place is None:
                continue
            tensor._place = place  # pyright: ignore[reportAttributeAccessIssue]
            if layer or (name in MOVES and moved(source, tensor)):
                self.record(MOVES.get(name, name), layer, tensor, place)
        return output

    def record(self, kind: str, layer: Layer | None, output: Tensor, place: Place) -> None:
        name = self.running[-1] if self.running else ""
        channels = output.shape[6 - place.row_axis - place.column_axis] if output.dim() == 4 else 0
        window_hw = None if layer is None else (layer.rows, layer.columns)
        self.steps.append(TracedStep(name, kind, window_hw, channels, place.size_hw(output), place))
