"""The tail of a classifier, found by watching what grows with the picture.

The classifier is run at its own size and at a larger one. A module whose output is a feature map that grew belongs to the
trunk and is never opened. What is left, a few operations after the last map, is traced with torch.fx as a small graph.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import torch
from torch import Tensor, fx, nn

from fullconv.errors import InputError

Shape = tuple[int, ...] | list[Any] | None
"""The shape of a tensor, or a list of those of several; None for what is no tensor."""


class Tail:
    """What a classifier does after its last feature map, as a graph.

    Args:
        network: the classifier, in eval mode.
        picture: (1, 3, H, W) of the classifier's own size.
        larger: the same with more rows and columns.

    Attributes:
        graph: the classifier's forward, with the trunk's modules unopened.
        shapes: node -> what it returns at the classifier's own size.
        axes: node -> the two axes (rows, columns) along which its output grows, for the feature maps.
        trunk: the nodes that some feature map depends on.

    Raises:
        InputError: the classifier's trunk takes one size only, or its code cannot be traced.
    """

    def __init__(self, network: nn.Module, picture: Tensor, larger: Tensor) -> None:
        self.network = network
        self.name = type(network).__name__
        self.size = f"{picture.shape[2]} x {picture.shape[3]}"
        closed = unopened(self.watch_modules(picture), self.watch_modules(larger))
        tracer = UnopenedTracer(closed)
        try:
            self.graph = tracer.trace(network)
        except Exception as error:  # tracing runs the classifier's own code, which can raise anything
            self.untraceable(tracer, error)
        self.shapes, fault = self.watch_nodes(picture)
        if fault is not None:
            self.untraceable(tracer, fault)
        at_larger, _ = self.watch_nodes(larger)
        maps = [node for node in self.graph.nodes if grows(self.shapes.get(node), at_larger.get(node))]
        self.axes = {
            node: growing_axes(self.shapes[node], at_larger[node])
            for node in maps
            if isinstance(self.shapes[node], tuple)
        }
        self.trunk = with_ancestors(maps)

    def watch_modules(self, picture: Tensor) -> dict[nn.Module, tuple[Shape, Shape]]:
        """Inputs and output of each sub-module; a layer on vectors that does not fit the picture's size ends the run."""
        seen: dict[nn.Module, tuple[Shape, Shape]] = {}
        with entered_modules(self.network, seen) as entered, torch.no_grad():
            try:
                self.network(picture)
            except Exception as error:  # any code of the classifier's
                layer, inputs = entered[-1]
                if not (inputs and isinstance(inputs[0], tuple) and len(inputs[0]) == 2):
                    self.fixed_size(layer, error)
        return seen

    def watch_nodes(self, picture: Tensor) -> tuple[dict[fx.Node, Shape], Exception | None]:
        """What each node returns, as far as the graph runs at this size; the error where it ends."""
        recorder = ShapeRecorder(fx.GraphModule(self.network, self.graph))
        with torch.no_grad():
            try:
                recorder.run(picture)
            except Exception as error:  # a layer on vectors that does not fit this size
                return recorder.shapes, error
        return recorder.shapes, None

    def cells_hw(self) -> tuple[int, int]:
        """Rows and columns of the last feature map at the classifier's own size."""
        node, (rows, columns) = list(self.axes.items())[-1]
        shape = self.shapes[node]
        assert isinstance(shape, tuple)
        return shape[rows], shape[columns]

    def fixed_size(self, layer: str, error: Exception) -> NoReturn:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{self.name} cannot be made convolutional: its layer {layer or 'forward'!r} takes pictures of {self.size}, not "
            f"of other sizes ({reason})"
        ) from None

    def untraceable(self, tracer: "UnopenedTracer", error: Exception) -> NoReturn:
        layer = next(reversed(tracer.module_stack.values()), ("",))[0]
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{self.name} cannot be made convolutional: its layer {layer or 'forward'!r} does what torch.fx cannot follow "
            f"({reason})"
        ) from None

    def refuse(self, node: fx.Node, why: str) -> NoReturn:
        stack = node.meta.get("nn_module_stack") or {}
        inside = next(reversed(stack.values()), ("",))[0]
        layer = str(node.target) if node.op == "call_module" else inside
        raise InputError(
            f"{self.name} cannot be made convolutional: its layer {layer or 'forward'!r} ({self.operation(node)}) {why}"
        )

    def operation(self, node: fx.Node) -> str:
        """The name of what a node does: a module's class, a function's or a method's name."""
        if node.op == "call_module":
            return type(self.network.get_submodule(str(node.target))).__name__
        return str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", node.op)


class UnopenedTracer(fx.Tracer):
    """A tracer that does not look into some modules."""

    def __init__(self, closed: set[nn.Module]) -> None:
        super().__init__()
        self.closed = closed

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m in self.closed or super().is_leaf_module(m, module_qualified_name)


class ShapeRecorder(fx.Interpreter):
    """Runs a graph and keeps the shape of what every node returns."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.shapes: dict[fx.Node, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.shapes[n] = shape_of(value)
        return value


@contextmanager
def entered_modules(
    network: nn.Module, seen: dict[nn.Module, tuple[Shape, Shape]]
) -> Iterator[list[tuple[str, Shape]]]:
    """Follows a run: name and inputs of the modules that are running, outermost first; finished ones go to `seen`."""
    entered: list[tuple[str, Shape]] = [("", None)]
    names = {child: name for name, child in network.named_modules()}

    def enter(child: nn.Module, inputs: Any) -> None:
        entered.append((names[child], shape_of(inputs)))

    def leave(child: nn.Module, inputs: Any, output: Any) -> None:
        entered.pop()
        seen[child] = shape_of(inputs), shape_of(output)

    children = [child for child in network.modules() if child is not network]
    hooks = [child.register_forward_pre_hook(enter) for child in children]
    hooks += [child.register_forward_hook(leave) for child in children]
    try:
        yield entered
    finally:
        for hook in hooks:
            hook.remove()


def shape_of(value: Any) -> Shape:
    """
    >>> shape_of((torch.zeros(1, 2), 3))
    [(1, 2), None]
    """
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, dict):
        value = list(value.values())
    return [shape_of(item) for item in value] if isinstance(value, list | tuple) else None


def growing_axes(small: Shape, large: Shape) -> tuple[int, ...]:
    """The axes of a tensor along which it is larger in a larger picture.

    >>> growing_axes((1, 8, 7, 7), (1, 8, 14, 14))
    (2, 3)
    """
    if not isinstance(small, tuple) or not isinstance(large, tuple) or len(small) != len(large):
        return ()
    return tuple(axis for axis in range(len(small)) if large[axis] > small[axis])


def grows(small: Shape, large: Shape) -> bool:
    """Whether this is a feature map, or several, and not a vector."""
    if isinstance(small, list) and isinstance(large, list) and len(small) == len(large):
        return len(small) > 0 and all(map(grows, small, large))
    return len(growing_axes(small, large)) == 2 and len(small or ()) == 4


def unopened(
    own: dict[nn.Module, tuple[Shape, Shape]], larger: dict[nn.Module, tuple[Shape, Shape]]
) -> set[nn.Module]:
    """The modules that need not be looked into: all of the trunk, and those of the tail without a Linear inside."""
    closed = set()
    for module, (inputs, output) in own.items():
        inputs_larger, output_larger = larger.get(module, (None, None))
        on_vectors = not grows(inputs, inputs_larger) and not any(
            type(inner) is nn.Linear for inner in module.modules() if inner is not module
        )
        # Lists in a graph cannot be changed, and modules that take lists tend to.
        takes_lists = any(isinstance(given, list) for given in inputs or ())
        if (grows(output, output_larger) or on_vectors) and not takes_lists:
            closed.add(module)
    return closed


def with_ancestors(nodes: Iterable[fx.Node]) -> set[fx.Node]:
    """The nodes and all that they are computed from."""
    found: set[fx.Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.all_input_nodes
    return found
