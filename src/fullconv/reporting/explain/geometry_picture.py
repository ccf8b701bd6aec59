"""The receptive field and the cells of each score map, drawn on a picture."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from fullconv.reporting.explain.geometry_text import line_text
from fullconv.reporting.explain.style import bare, small_ticks, title
from fullconv.reporting.plots import ACCENT, INK, SECOND

CORNER = 80
"""Side of the enlarged corner, in pixels."""

MANY_CELLS = 400
"""Cells beyond which only those within the receptive field are marked on the whole picture, or none."""

MARGIN = 0.4
"""What is drawn around the picture, at most, as a part of its height and width."""

SPACING = 24
"""Pixels between two marks in the corner, where the stride is below 8."""


def geometry_figure(facts: dict[str, Any], picture: np.ndarray) -> Figure:
    """For each score map the whole picture with one cell's receptive field, and its enlarged corner.

    Several maps stand side by side, with their corners below; a single map has its corner to the right.

    Args:
        facts: of `geometry_facts`, for a picture of this size; at least one map.
        picture: (H, W, 3) uint8, RGB.
    """
    maps = facts["maps"][:4]
    height, width = picture.shape[:2]
    each = [drawn_limits(scored, height, width) for scored in maps]
    tops, bottoms, lefts, rights = zip(*each, strict=True)
    limits = min(tops), max(bottoms), min(lefts), max(rights)
    tall = (limits[1] - limits[0]) / (limits[3] - limits[2])
    if len(maps) > 1:
        figure = Figure(
            figsize=(4.6 * len(maps) + 0.3, 4.6 * (tall + 1) + 1.9),
            layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.14),
        )
        panels = figure.subplots(2, len(maps), height_ratios=[tall, 1])
    else:
        figure = Figure(
            figsize=(5.4 * (1 / tall + 1), 5.4 + 1.5), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.14)
        )
        panels = figure.subplots(1, 2, width_ratios=[1 / tall, 1])[:, None]
    figure.suptitle(
        f"Where {facts['model']} looks, on a picture of {height} x {width}",
        fontsize=13, fontweight="bold", color=INK, x=0.012, ha="left",
    )  # fmt: skip
    for scored, whole, corner in zip(maps, *panels, strict=True):
        draw_whole(whole, scored, picture, limits)
        draw_corner(corner, scored, picture)
    return figure


def drawn_limits(scored: dict[str, Any], height: int, width: int) -> tuple[float, float, float, float]:
    """Top, bottom, left and right of what is drawn: the picture, and the receptive field as far as it sticks out a little."""
    top, bottom, left, right = field_of(scored, middle_cell(scored, height, width))
    return (
        max(min(top, -0.5) - 4, -MARGIN * height),
        min(max(bottom, height - 0.5) + 4, (1 + MARGIN) * height),
        max(min(left, -0.5) - 4, -MARGIN * width),
        min(max(right, width - 0.5) + 4, (1 + MARGIN) * width),
    )


def middle_cell(scored: dict[str, Any], height: int, width: int) -> tuple[int, int]:
    """The cell whose centre is nearest to the picture's."""
    row, column = (
        min(max(round(((size - 1) / 2 - offset) / stride), 0), cells - 1)
        for size, offset, stride, cells in zip(
            (height, width), scored["offset_hw"], scored["stride_hw"], scored["cells_hw"], strict=True
        )
    )
    return row, column


def field_of(scored: dict[str, Any], cell: tuple[int, int]) -> tuple[float, float, float, float]:
    """Top, bottom, left and right edge of a cell's receptive field, in pixel indices."""
    edges = []
    for axis in (0, 1):
        centre = scored["offset_hw"][axis] + scored["stride_hw"][axis] * cell[axis]
        half = scored["receptive_field_hw"][axis] / 2
        edges += [centre - half, centre + half]
    return edges[0], edges[1], edges[2], edges[3]


def centres(scored: dict[str, Any], key: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of all cells' centres, placed by `key`, each (cells,)."""
    rows, columns = (
        offset + stride * np.arange(cells)
        for offset, stride, cells in zip(scored[key], scored["stride_hw"], scored["cells_hw"], strict=True)
    )
    return rows, columns


def draw_whole(
    axes: Axes, scored: dict[str, Any], picture: np.ndarray, limits: tuple[float, float, float, float]
) -> None:
    height, width = picture.shape[:2]
    cell = middle_cell(scored, height, width)
    top, bottom, left, right = field_of(scored, cell)
    # Outside the receptive field the picture is faint; beyond the picture, where padding is seen, hatched.
    frame = {"fill": False, "linewidth": 0.0, "hatch": "////", "edgecolor": "#b9c0ca"}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, **frame, zorder=0))
    seen = np.zeros((height, width, 1), bool)
    edges = (max(0, round(edge + 0.5)) for edge in (top, bottom, left, right))
    seen[slice(next(edges), next(edges)), slice(next(edges), next(edges))] = True
    faint = (0.36 * picture + 0.64 * 255).astype(np.uint8)
    axes.imshow(np.where(seen, picture, faint), interpolation="none", zorder=1)
    box = {"fill": False, "edgecolor": ACCENT, "linewidth": 2.2}
    axes.add_patch(Rectangle((left, top), right - left, bottom - top, **box, zorder=3))
    rows, columns = centres(scored, "offset_hw")
    middle = rows[cell[0]], columns[cell[1]]
    if rows.size * columns.size > MANY_CELLS:
        rows, columns = rows[(rows > top) & (rows < bottom)], columns[(columns > left) & (columns < right)]
    if rows.size * columns.size <= MANY_CELLS:
        axes.scatter(
            *np.meshgrid(columns, rows), s=9, color="white", edgecolors=INK, linewidths=0.4, zorder=4
        )
    axes.scatter([middle[1]], [middle[0]], s=70, color=ACCENT, edgecolors="white", linewidths=1.4, zorder=5)
    axes.set_xlim(limits[2], limits[3])
    axes.set_ylim(limits[1], limits[0])
    bare(axes)
    axes.spines[:].set_visible(False)
    field = " x ".join(f"{side:g}" for side in scored["receptive_field_hw"])
    padding = min(top, left) < -0.5 or bottom > height - 0.5 or right > width - 0.5
    beyond = top < limits[0] or bottom > limits[1] or left < limits[2] or right > limits[3]
    where = "around it, more than is drawn" if beyond else "in the frame"
    title(
        axes,
        f"{scored['name']}: {scored['cells_hw'][0]} x {scored['cells_hw'][1]} cells",
        f"the blue cell depends on the {field} pixels\n{where}"
        + ("; hatched: padding, zeros" if padding else ""),
    )


def draw_corner(axes: Axes, scored: dict[str, Any], picture: np.ndarray) -> None:
    side = min(CORNER, *picture.shape[:2])
    axes.imshow((0.55 * picture[:side, :side] + 0.45 * 255).astype(np.uint8), interpolation="none")
    stride, offset, shift = (scored[key][0] for key in ("stride_hw", "offset_hw", "displacement_hw"))
    every = round(SPACING / stride) if stride < 8 else 1
    cells, tiles = (
        np.stack(np.meshgrid(columns[::every], rows[::every]), axis=-1).reshape(-1, 2)  # (cells, x y)
        for rows, columns in (centres(scored, key) for key in ("offset_hw", "half_pixel_hw"))
    )
    if shift == 0:
        note = "the same as half-pixel drawing"
    elif abs(shift) >= 2 * stride * every:
        note = f"half-pixel drawing would put it {abs(shift):g} pixels off"
    else:
        note = f"orange: half-pixel drawing, {abs(shift):g} pixels off"
        lines = LineCollection(list(np.stack([cells, tiles], axis=1)), colors=SECOND, linewidths=1.0)
        axes.add_collection(lines, autolim=False)
        axes.scatter(*tiles.T, s=46, facecolors="white", edgecolors=SECOND, linewidths=1.3, zorder=3)
    axes.scatter(*cells.T, s=46, color=ACCENT, edgecolors="white", linewidths=0.7, zorder=4)
    axes.set_xlim(-4.5, side - 0.5)
    axes.set_ylim(side - 0.5, -4.5)
    small_ticks(axes)
    axes.spines[:].set_visible(False)
    which = f", one in {every} is drawn" if every > 1 else ""
    title(
        axes,
        f"the first {side} pixels",
        f"blue: cell i is at pixel {line_text(stride, offset)}{which}\n{note}",
    )
