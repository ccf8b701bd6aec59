"""The tail of a classifier, rewritten so that it works at every cell of the last feature map."""

import math
from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, fx, nn

from fullconv.models.tails import Tail

POOLS = {
    "AdaptiveAvgPool2d": nn.AvgPool2d, "adaptive_avg_pool2d": nn.AvgPool2d, "AvgPool2d": nn.AvgPool2d,
    "avg_pool2d": nn.AvgPool2d, "mean": nn.AvgPool2d, "AdaptiveMaxPool2d": nn.MaxPool2d,
    "adaptive_max_pool2d": nn.MaxPool2d, "MaxPool2d": nn.MaxPool2d, "max_pool2d": nn.MaxPool2d, "amax": nn.MaxPool2d,
}  # fmt: skip
RESHAPES = {"flatten", "Flatten", "view", "reshape", "squeeze", "contiguous", "Identity"}
POINTWISE = {
    "ReLU", "relu", "relu_", "ReLU6", "relu6", "LeakyReLU", "leaky_relu", "ELU", "elu", "GELU", "gelu", "SiLU", "silu",
    "Hardswish", "hardswish", "Hardsigmoid", "hardsigmoid", "Sigmoid", "sigmoid", "Tanh", "tanh", "Dropout", "dropout",
    "BatchNorm2d",
}  # fmt: skip
"""Operations that do the same to every number, or to every channel, of a 4-D tensor."""


@dataclass(frozen=True)
class Column:
    """A value of the tail: in the classifier a vector per picture, in the dense network a vector per cell.

    Attributes:
        node: the (N, C, h, w) map of the dense network.
        grid_hw: the cells that the classifier's vector holds side by side, for each channel.
        dilation_hw: how far apart on the map they lie.
    """

    node: fx.Node
    grid_hw: tuple[int, int] = (1, 1)
    dilation_hw: tuple[int, int] = (1, 1)


def rebuilt(tail: Tail) -> tuple[fx.GraphModule, list[str]]:
    """The dense network: the trunk's nodes as they are, those of the tail by the rules of `Rewriting`.

    Returns:
        The network, and the names of the nodes that hold vectors per cell, in order.

    Raises:
        InputError: an operation of the tail has no form that works at every cell; it is named.
    """
    rewriting = Rewriting(tail)
    for node in tail.graph.nodes:
        rewriting.rewrite(node)
    dense = fx.GraphModule(tail.network, rewriting.graph, class_name=f"Dense{tail.name}").eval()
    dense.graph.eliminate_dead_code()
    dense.delete_all_unused_submodules()
    dense.recompile()
    return dense, [column.node.name for column in rewriting.columns.values()]


class Rewriting:
    """The dense network's graph as it grows.

    Attributes:
        new: what has become of a node of the trunk, or of one that is no tensor.
        columns: what has become of a node of the tail.
    """

    def __init__(self, tail: Tail) -> None:
        self.tail = tail
        self.graph = fx.Graph()
        self.modules = dict(tail.network.named_modules())
        self.new: dict[fx.Node, fx.Node] = {}
        self.columns: dict[fx.Node, Column] = {}

    def rewrite(self, node: fx.Node) -> None:
        tail = self.tail
        if node.op == "output":
            self.graph.output(self.answer(node))
        elif node in tail.trunk or node.op in ("placeholder", "get_attr"):
            self.new[node] = self.graph.node_copy(node, self.kept)
        elif not isinstance(tail.shapes[node], tuple):
            if isinstance(tail.shapes[node], list) and any(tail.shapes[node] or []):
                tail.refuse(node, "returns several tensors")
            self.new[node] = self.graph.node_copy(node, self.kept)
        elif any(source in self.columns for source in node.all_input_nodes):
            self.columns[node] = self.from_columns(node)
        else:
            self.columns[node] = self.from_map(node)

    def kept(self, node: fx.Node) -> fx.Node:
        return self.columns[node].node if node in self.columns else self.new[node]

    def answer(self, node: fx.Node) -> fx.Node:
        result = node.args[0]
        if not (
            isinstance(result, fx.Node) and result in self.columns and self.columns[result].grid_hw == (1, 1)
        ):
            self.tail.refuse(node, "is not one vector of scores per picture")
        return self.columns[result].node

    def from_map(self, node: fx.Node) -> Column:
        """Pooling or flattening of the last feature map."""
        tail, name = self.tail, self.tail.operation(node)
        source = next((item for item in node.all_input_nodes if item in tail.axes), None)
        shape, out = tail.shapes.get(source) if source else None, tail.shapes[node]
        assert isinstance(out, tuple)
        if source is None or not isinstance(shape, tuple):
            given = [tail.shapes.get(item) for item in node.all_input_nodes]
            tail.refuse(node, f"works on {given}, which is no feature map that grows with the picture")
        rows, columns = tail.axes[source]
        channel_axis = 6 - rows - columns
        cells_hw, channels = (shape[rows], shape[columns]), shape[channel_axis]
        map_node = self.new[source]
        if (rows, columns) != (2, 3):
            map_node = self.graph.call_method("permute", (map_node, 0, channel_axis, rows, columns))
        if name in RESHAPES and out == (1, math.prod(shape)):
            if (rows, columns) != (2, 3) and cells_hw != (1, 1):
                tail.refuse(node, "flattens a map whose channels come last")
            return Column(map_node, cells_hw)
        if name not in POOLS or math.prod(out) % channels != 0:
            tail.refuse(
                node,
                f"makes {out} of the {cells_hw[0]} x {cells_hw[1]} map {shape}; only pooling and flattening of the whole map "
                "have a form that slides",
            )
        return self.pooled(node, POOLS[name], map_node, cells_hw, channels)

    def pooled(
        self,
        node: fx.Node,
        pool: type[nn.Module],
        map_node: fx.Node,
        cells_hw: tuple[int, int],
        channels: int,
    ) -> Column:
        """Pooling of a map to a grid of equal parts becomes pooling over one part, at stride 1."""
        out = self.tail.shapes[node]
        assert isinstance(out, tuple)
        grid_hw = (1, 1) if math.prod(out) == channels else (out[-2], out[-1])
        if cells_hw[0] % grid_hw[0] or cells_hw[1] % grid_hw[1]:
            self.tail.refuse(
                node,
                f"pools {cells_hw[0]} x {cells_hw[1]} cells to {grid_hw[0]} x {grid_hw[1]}, in parts of unequal size; "
                "give an input_size whose map divides evenly",
            )
        part_hw = (cells_hw[0] // grid_hw[0], cells_hw[1] // grid_hw[1])
        if part_hw != (1, 1):
            name = str(node.target) if node.op == "call_module" else f"{node.name}_window"
            map_node = self.call(name, pool(part_hw, stride=1), map_node)
        return Column(map_node, grid_hw, part_hw if grid_hw != (1, 1) else (1, 1))

    def from_columns(self, node: fx.Node) -> Column:
        """What the classifier does to a vector, done at every cell."""
        tail, name = self.tail, self.tail.operation(node)
        sources = [source for source in node.all_input_nodes if source in self.columns]
        first = self.columns[sources[0]]
        module = self.modules.get(str(node.target)) if node.op == "call_module" else None
        if any(source in tail.trunk and source in tail.axes for source in node.all_input_nodes):
            tail.refuse(node, "joins a vector of the whole picture with a feature map")
        out, given = tail.shapes[node], tail.shapes[sources[0]]
        assert isinstance(out, tuple)
        assert isinstance(given, tuple)
        if name in RESHAPES and math.prod(out) == math.prod(given) and out[0] == 1:
            return first
        if is_plain_linear(module):
            return Column(self.call(str(node.target), as_convolution(module, first), first.node))
        plain = all(source in self.columns for source in node.all_input_nodes)
        if (plain and name in POINTWISE) or is_pointwise_convolution(module):
            return replace(first, node=self.graph.node_copy(node, self.kept))
        if any(self.columns[source].grid_hw != (1, 1) for source in sources):
            tail.refuse(
                node, "needs the whole flattened map; only Linear and what acts on each number may follow"
            )
        if out[0] != 1 or math.prod(out) != out[1]:
            tail.refuse(node, f"returns {out}; expected a vector per picture")
        return self.per_cell(node, sources)

    def per_cell(self, node: fx.Node, sources: list[fx.Node]) -> Column:
        """Any operation on vectors: every cell is handed to it as a picture of its own."""
        rows = {}
        for source in sources:
            shape = self.tail.shapes[source]
            assert isinstance(shape, tuple)
            rows[source] = self.graph.call_function(cells_as_batch, (self.columns[source].node, len(shape)))
        result = self.graph.node_copy(node, lambda item: rows[item] if item in rows else self.kept(item))
        return Column(self.graph.call_function(batch_as_cells, (result, self.columns[sources[0]].node)))

    def call(self, name: str, module: nn.Module, source: fx.Node) -> fx.Node:
        module.train(self.tail.network.training)
        self.tail.network.set_submodule(name, module)
        return self.graph.call_module(name, (source,))


def is_plain_linear(module: nn.Module | None) -> bool:
    """Whether this is a Linear of timm's, which differs from torch's in nothing but its handling of precision."""
    return isinstance(module, nn.Linear) and (
        type(module) is nn.Linear or (type(module).__name__ == "Linear" and "timm" in type(module).__module__)
    )


def is_pointwise_convolution(module: nn.Module | None) -> bool:
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == module.stride == (1, 1)
        and not any(module.padding)
    )  # pyright: ignore


def as_convolution(linear: Any, column: Column) -> nn.Conv2d:
    """The convolution that does at every cell what a Linear does to the flattened grid; its weights are the Linear's."""
    rows, columns = column.grid_hw
    convolution = nn.Conv2d(
        linear.in_features // (rows * columns),
        linear.out_features,
        column.grid_hw,
        dilation=column.dilation_hw,
        bias=linear.bias is not None,
        device="meta",
    )
    weight = linear.weight.detach().reshape(linear.out_features, -1, rows, columns)
    convolution.weight = nn.Parameter(weight, requires_grad=linear.weight.requires_grad)
    convolution.bias = linear.bias
    return convolution


def cells_as_batch(maps: Tensor, dims: int) -> Tensor:
    """(N, C, h, w) to (N*h*w, C), or with `dims` 4 to (N*h*w, C, 1, 1)."""
    rows = maps.permute(0, 2, 3, 1).flatten(0, 2)
    return rows if dims == 2 else rows[:, :, None, None]


def batch_as_cells(rows: Tensor, like: Tensor) -> Tensor:
    """(N*h*w, K) or (N*h*w, K, 1, 1) to (N, K, h, w), with N, h and w those of `like`."""
    return rows.reshape(like.shape[0], like.shape[2], like.shape[3], -1).permute(0, 3, 1, 2)
