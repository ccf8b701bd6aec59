"""W and its transpose, drawn: the textbook's example with its numbers, and a larger one whose bands show the pattern."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

from fullconv.ops.matrix import convolution_matrix
from fullconv.reporting.explain.style import BLUES
from fullconv.reporting.plots import INK, LINE, MUTED, SECOND

LARGEST = 10
"""The weight that gets the darkest blue; the example's go to 9."""

UNIT = 0.3
"""Inches per cell."""

WIDTH, HEIGHT = 52.5, 31
"""Of the drawing, in cells."""


def convolution_figure(facts: dict[str, Any]) -> Figure:
    """y = W x above, W^T y below; on the right the same for a larger picture.

    Args:
        facts: of `convolution_facts`.
    """
    figure = Figure(figsize=(UNIT * WIDTH, UNIT * HEIGHT))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-1, WIDTH - 1)
    axes.set_ylim(HEIGHT - 4.2, -4.2)
    axes.set_axis_off()
    axes.text(
        0, -3.4, "Convolution is a product with a sparse matrix", fontsize=15, fontweight="bold", color=INK
    )
    x, k, y, w, back = (np.array(facts[key]) for key in ("x", "k", "y", "w", "wty"))
    numbers(axes, (0, 0), x, "X", "the picture")
    numbers(axes, (0, 7), k, "K", "the kernel", weights=True)
    numbers(axes, (0, 13), y, "Y", "X convolved\nwith K", width=1.35)

    numbers(axes, (8, 0), y.reshape(-1, 1), "y", "Y as a column", width=1.35)
    sign(axes, 10.4, 2, "=")
    numbers(axes, (11.5, 0), w, "W", "a row per place of K on X; empty is zero", weights=True)
    sign(axes, 28.5, 2, "\u00d7")
    numbers(axes, (29.5, 0), x.reshape(-1, 1), "x", "X as a column")

    numbers(axes, (8, 9), back.reshape(-1, 1), "W\u1d40y", "16 numbers", width=1.9)
    sign(axes, 10.9, 17, "=")
    numbers(axes, (12, 9), w.T, "W\u1d40", "the same, transposed", weights=True)
    sign(axes, 17, 17, "\u00d7")
    numbers(axes, (18, 15), y.reshape(-1, 1), "y", "", width=1.35)
    numbers(axes, (20.6, 21), back, "W\u1d40y as a picture", "the transposed convolution of Y", width=1.75)
    axes.text(
        20.6, 10.2, "Backwards", fontsize=10.5, fontweight="bold", color=INK, va="center",
    )  # fmt: skip
    axes.text(
        20.6, 10.9, "Through a convolution the\ngradient is multiplied by W\u1d40,\nthrough a transposed one by W:\n"
        "each is the other's backward.", fontsize=9, color=MUTED, va="top", linespacing=1.35,
    )  # fmt: skip
    arrow = {"arrowstyle": "-|>", "mutation_scale": 12, "color": SECOND, "linewidth": 1.3}
    axes.add_patch(FancyArrowPatch((8.95, 25.3), (24.1, 25.3), connectionstyle="arc3,rad=0.1", **arrow))
    larger_example(axes, 34.5)
    return figure


def numbers(
    axes: Axes, corner: tuple[float, float], values: np.ndarray, name: str, note: str, *, weights: bool = False,
    width: float = 1,
) -> None:  # fmt: skip
    """A table of numbers with its name above; weights are coloured and zeros left empty."""
    left, top = corner
    for row, column in np.ndindex(*values.shape):
        value = values[row, column]
        color = BLUES(value / LARGEST) if weights else "white"
        cell = Rectangle(
            (left + width * column, top + row), width, 1, facecolor=color, edgecolor=LINE, linewidth=0.8
        )
        axes.add_patch(cell)
        if value or not weights:
            ink = "white" if weights and value > 6 else INK
            middle = left + width * (column + 0.5), top + row + 0.53
            axes.text(*middle, str(value), ha="center", va="center", fontsize=8.5, color=ink)
    frame = {"fill": False, "edgecolor": MUTED, "linewidth": 1.0}
    axes.add_patch(Rectangle(corner, width * values.shape[1], values.shape[0], **frame))
    heading(axes, left, top, name, note)


def heading(axes: Axes, left: float, top: float, name: str, note: str) -> None:
    lines = note.count("\n") + 1 if note else 0
    axes.text(left, top - 0.45 - 0.62 * lines, name, fontsize=11, fontweight="bold", color=INK, va="bottom")
    axes.text(left, top - 0.3, note, fontsize=9, color=MUTED, va="bottom", linespacing=1.2)


def sign(axes: Axes, x: float, y: float, text: str) -> None:
    axes.text(x, y, text, fontsize=17, color=MUTED, ha="center", va="center")


def larger_example(axes: Axes, left: float) -> None:
    """W of an 8 x 8 picture, kernel 3, stride 2, padding 1: 16 x 64, and its transpose."""
    weight = torch.arange(1.0, 10).view(1, 1, 3, 3)
    matrix = convolution_matrix(weight, (8, 8), stride=2, padding=1)
    values = matrix.to_dense().numpy() / LARGEST
    filled = 100 * matrix._nnz() / values.size
    for top, shown in ((0.0, values), (9.0, values.T)):
        high, wide = shown.shape[0] / 4, shown.shape[1] / 4
        edges = (left, left + wide, top + high, top)
        # Each entry keeps its own colour: smoothing would wash the thin diagonals out.
        axes.imshow(BLUES(shown), extent=edges, interpolation="none", aspect="equal", zorder=1)
        frame = {"fill": False, "edgecolor": MUTED, "linewidth": 1.0, "zorder": 2}
        axes.add_patch(Rectangle((left, top), wide, high, **frame))
    axes.set_xlim(-1, WIDTH - 1)
    axes.set_ylim(HEIGHT - 4.2, -4.2)
    heading(
        axes,
        left,
        0,
        "W of a larger picture",
        f"8 x 8, kernel 3, stride 2, padding 1: 16 x 64, {filled:.1f} % filled",
    )
    heading(axes, left, 9, "W\u1d40", "64 x 16: enlarges 4 x 4 to 8 x 8")
    axes.text(
        left + 5, 10.2, "The pattern", fontsize=10.5, fontweight="bold", color=INK, va="center",
    )  # fmt: skip
    axes.text(
        left + 5, 10.9, "Each row of W holds the nine weights once.\nFrom one row to the next they move by the\n"
        "stride, 2 columns; from one row of the\npicture to the next, by 2 x 8. At the border\n"
        "some fall into the padding and are missing.\n\nAll else is zero: that is why a convolution\n"
        "is not computed in this way, and why 9\nnumbers are enough to learn.", fontsize=9, color=MUTED, va="top",
        linespacing=1.35,
    )  # fmt: skip
