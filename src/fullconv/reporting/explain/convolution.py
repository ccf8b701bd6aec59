"""Convolution as a matrix product, and the transposed convolution as the transposed matrix: the textbook's example."""

from typing import Any

import torch
import torch.nn.functional as F

from fullconv.ops.matrix import convolution_matrix

SIDE, KERNEL = 4, 3


def convolution_facts() -> dict[str, Any]:
    """The worked example: X, K, their convolution, W, W x, and the way back, W^T y; all as nested lists.

    Source: Zhang et al., "Dive into Deep Learning", section "Transposed Convolution": X = 1..16, K = 1..9.

    >>> convolution_facts()["y"]
    [[348, 393], [528, 573]]
    """
    x = torch.arange(1.0, SIDE**2 + 1).view(1, 1, SIDE, SIDE)
    k = torch.arange(1.0, KERNEL**2 + 1).view(1, 1, KERNEL, KERNEL)
    matrix = convolution_matrix(k, (SIDE, SIDE))
    y = F.conv2d(x, k)
    back = F.conv_transpose2d(y, k)
    product, transposed = matrix @ x.flatten(), matrix.t() @ y.flatten()
    picture = torch.zeros(1, 3, 64, 64)
    down = F.conv2d(picture, torch.zeros(10, 3, 4, 4), stride=2, padding=1)
    up = F.conv_transpose2d(down, torch.zeros(10, 3, 4, 4), stride=2, padding=1)
    return {
        "x": whole(x[0, 0]),
        "k": whole(k[0, 0]),
        "y": whole(y[0, 0]),
        "w": whole(matrix.to_dense()),
        "wx": whole(product),
        "wty": whole(transposed.view(SIDE, SIDE)),
        "product_is_convolution": bool(torch.equal(product, y.flatten())),
        "transposed_product_is_transposed_convolution": bool(torch.equal(transposed, back.flatten())),
        "down_and_up": [list(tensor.shape[1:]) for tensor in (picture, down, up)],
    }


def whole(tensor: torch.Tensor) -> list[Any]:
    return tensor.to(torch.int64).tolist()


def convolution_text(facts: dict[str, Any]) -> str:
    """The example for people."""
    down, small, up = ("x".join(map(str, [*shape[1:], shape[0]])) for shape in facts["down_and_up"])
    agrees = "equal" if facts["product_is_convolution"] else "NOT EQUAL"
    back = "equal" if facts["transposed_product_is_transposed_convolution"] else "NOT EQUAL"
    return "\n".join([
        "A convolution is a matrix product",
        "",
        *beside({"X": grid(facts["x"]), "K": grid(facts["k"]), "Y = X * K": grid(facts["y"])}),
        "",
        "K slides over X and gives one number per place: 4 places, 4 numbers. Write X as a column x of 16 numbers, and",
        "each place as a row of 16 that holds K where K lies and 0 elsewhere. These rows are W, 4 x 16:",
        "",
        *grid(facts["w"], zero="."),
        "",
        f"W x = {', '.join(map(str, facts['wx']))}: Y, row by row ({agrees} to conv2d).",
        "",
        "The transposed convolution is the product with W^T",
        "",
        "W^T is 16 x 4: it takes the 4 numbers of Y and gives 16, which are 4 x 4 again. Each number of Y lays down K,",
        "multiplied by that number, where K lay; where these overlap they add up:",
        "",
        *beside({"W^T y": grid(facts["wty"])}),
        "",
        f"That is what conv_transpose2d gives ({back}). It has X's shape, not X's values: nothing is undone.",
        "",
        "Backpropagation through a convolution multiplies the gradient by W^T; through a transposed convolution, by W. Each is",
        "the other's backward pass. So a layer that enlarges needs nothing new: swap the two.",
        "",
        "The same with a stride: kernel 4, stride 2, padding 1 (height x width x channels)",
        "",
        f"  {down} -> conv2d -> {small} -> conv_transpose2d -> {up}",
        "",
        "W is for understanding. As a way to compute it is slow: benchmarks/convolution.py measures by how much.",
    ])  # fmt: skip


def grid(rows: list[list[int]], zero: str = "0") -> list[str]:
    """Numbers in aligned columns.

    >>> grid([[1, 0], [10, 2]], zero=".")
    ['   1   .', '  10   2']
    """
    width = max(len(str(value)) for row in rows for value in row)
    return ["".join(f"  {str(value) if value else zero:>{width}}" for value in row) for row in rows]


def beside(blocks: dict[str, list[str]]) -> list[str]:
    """Titled blocks of lines next to each other."""
    height = max(map(len, blocks.values()))
    widths = [max(len(name) + 2, *map(len, lines)) + 4 for name, lines in blocks.items()]
    columns = [[f"  {name}", *lines, *[""] * (height - len(lines))] for name, lines in blocks.items()]
    return [
        "".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in zip(*columns, strict=True)
    ]
