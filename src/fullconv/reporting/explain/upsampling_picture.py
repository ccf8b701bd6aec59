"""The bilinear kernel, the weights that reach each pixel, and a picture that fades at its border."""

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from fullconv.ops.attenuation import border_weight, border_weights, faded_upsampling, normalized_upsampling
from fullconv.ops.bilinear import bilinear_kernel
from fullconv.reporting.explain.style import BLUES, bare, small_ticks, title
from fullconv.reporting.plots import ACCENT, INK, LINE, MUTED, SECOND

CELLS_HW = (10, 15)
"""The score map of a 320 x 480 picture at stride 32."""


def upsampling_figure(facts: dict[str, Any], picture: np.ndarray) -> Figure:
    """Above: the kernel, its profile, and the weights that arrive. Below: a picture in coarse cells, faded, and exact.

    Args:
        facts: of `upsampling_facts`.
        picture: (H, W, 3) uint8, RGB; its largest part of 2 to 3 is shown.
    """
    stride = facts["stride"]
    figure = Figure(figsize=(14.4, 9.6), layout=ConstrainedLayoutEngine(w_pad=0.16, h_pad=0.16))
    figure.suptitle(
        f"Upsampling {stride} times by a transposed convolution",
        fontsize=14, fontweight="bold", color=INK, x=0.012, ha="left",
    )  # fmt: skip
    above, below = figure.subplots(2, 3)
    draw_kernel(above[0], stride)
    draw_profile(above[1], stride)
    draw_weights(above[2], facts)
    coarse = coarse_picture(picture)
    faded, exact = (way(coarse, stride) for way in (faded_upsampling, normalized_upsampling))
    draw_picture(
        below[0], coarse, f"{CELLS_HW[0]} x {CELLS_HW[1]} cells", "a picture reduced to one colour per cell"
    )
    sizes = f"{CELLS_HW[0] * stride} x {CELLS_HW[1] * stride} pixels"
    draw_picture(
        below[1],
        faded,
        "the plain transposed convolution",
        f"{sizes}; its border fades to black, the zeros around",
    )
    draw_picture(
        below[2], exact, "divided by its weights", "equal to bilinear interpolation, border included"
    )
    return figure


def coarse_picture(picture: np.ndarray) -> Tensor:
    """The middle of a picture as (1, 3, 10, 15) mean colours in 0..1."""
    height, width = picture.shape[:2]
    unit = min(height / CELLS_HW[0], width / CELLS_HW[1])
    high, wide = max(1, int(unit * CELLS_HW[0])), max(1, int(unit * CELLS_HW[1]))
    top, left = (height - high) // 2, (width - wide) // 2
    part = torch.from_numpy(picture[top : top + high, left : left + wide].astype(np.float32) / 255)
    return torch.nn.functional.adaptive_avg_pool2d(part.permute(2, 0, 1)[None], CELLS_HW)


def draw_kernel(axes: Axes, stride: int) -> None:
    kernel = bilinear_kernel(1, 1, 2 * stride)[0, 0].numpy()
    axes.imshow(kernel, cmap=BLUES, vmin=0, vmax=1, interpolation="none")
    small_ticks(axes)
    step = max(1, stride // 2)
    ticks = [*range(0, 2 * stride, step), 2 * stride - 1]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)
    title(
        axes,
        f"The kernel, {2 * stride} x {2 * stride}",
        f"white 0, dark 1: highest in the middle, {kernel.max():.3f}",
    )


def draw_profile(axes: Axes, stride: int) -> None:
    """Along one row of three cells: a tent per cell, and their sum."""
    count = 3
    size = count * stride
    taps = bilinear_kernel(1, 1, 2 * stride)[0, 0].sum(0).numpy() / stride
    for cell in range(count):
        first = cell * stride - stride // 2
        pixels = np.arange(first, first + 2 * stride)
        axes.plot(
            pixels,
            taps,
            color=ACCENT,
            linewidth=1.3,
            alpha=0.75,
            marker="o" if stride <= 4 else "",
            markersize=3,
        )
        axes.fill_between(pixels, taps, color=ACCENT, alpha=0.08, linewidth=0)
    weight = border_weight(size, stride).numpy()
    axes.plot(
        np.arange(size), weight, color=SECOND, linewidth=2.2, marker="o" if stride <= 4 else "", markersize=3
    )
    for edge in (-0.5, size - 0.5):
        axes.axvline(edge, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
    axes.annotate(
        f"{weight[0]:.3f}", (-0.5, weight[0]), xytext=(-6, 4), textcoords="offset points", fontsize=9, color=SECOND, ha="right",
    )  # fmt: skip
    axes.set_ylim(0, 1.12)
    axes.set_xlim(-stride, size + stride - 1)
    axes.set_yticks([0, 0.5, 1])
    axes.set_xticks([0, stride, 2 * stride, size - 1])
    axes.grid(axis="y", color=LINE, linewidth=0.7)
    axes.set_axisbelow(True)
    small_ticks(axes)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_box_aspect(2 / 3)
    title(axes, "Along a row of three cells", "blue: each cell's tent; orange: their sum; dashed: the border")


def draw_weights(axes: Axes, facts: dict[str, Any]) -> None:
    stride = facts["stride"]
    height, width = (cells * stride for cells in CELLS_HW)
    weights = border_weights((height, width), stride).numpy()
    axes.imshow(weights, cmap=BLUES, vmin=0, vmax=1, interpolation="none")
    edge, corner = facts["weights"][str(stride)].values()
    frame = stride / 2 - 0.5
    axes.plot(
        [frame, width - 1 - frame, width - 1 - frame, frame, frame],
        [frame, frame, height - 1 - frame, height - 1 - frame, frame], color="white", linewidth=0.9, linestyle=(0, (4, 3)),
    )  # fmt: skip
    axes.text(
        width / 2, height / 2, "1", color="white", fontsize=13, ha="center", va="center", fontweight="bold"
    )
    arrow = {"arrowstyle": "-|>", "color": "white", "linewidth": 1.1}
    for text, at, start in (
        (f"{corner:.3f}", (0, 0), (0.16, 0.78)),
        (f"{edge:.3f}", (width / 2, 0), (0.5, 0.78)),
        (f"{edge:.3f}", (0, height / 2), (0.16, 0.5)),
    ):
        axes.annotate(
            text, at, xytext=start, textcoords="axes fraction", fontsize=10, color="white", ha="center", va="center",
            arrowprops=arrow,
        )  # fmt: skip
    bare(axes)
    title(axes, "The weights that arrive", f"{height} x {width} pixels; complete inside the dashed line")


def draw_picture(axes: Axes, colors: Tensor, name: str, note: str) -> None:
    axes.imshow(colors[0].permute(1, 2, 0).clamp(0, 1).numpy(), interpolation="none")
    bare(axes)
    title(axes, name, note)
