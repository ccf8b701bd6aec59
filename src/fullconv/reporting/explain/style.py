"""The look of the explaining figures: the colours of `reporting.plots`, on white."""

import io
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from fullconv.reporting.plots import ACCENT, INK, LINE, MUTED
from fullconv.storage import write_atomically

BLUES = LinearSegmentedColormap.from_list("weights", ["#ffffff", "#dbe7fd", "#8fb3f7", ACCENT, "#16399a"])
"""White for 0 to a dark blue for the largest weight."""

DPI = 150


def save_png(figure: Figure, path: Path) -> Path:
    """Writes the figure as a PNG file, whole or not at all.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, facecolor="white", metadata={"Software": None})
    write_atomically(path, buffer.getvalue())
    return path


def title(axes: Axes, text: str, note: str = "") -> None:
    """A bold first line and, under it, an explaining one in grey, both above the axes and flush with its left edge."""
    axes.annotate(
        text, (0, 1), xytext=(0, 8 + 12 * (note.count("\n") + 1 if note else 0)), xycoords="axes fraction",
        textcoords="offset points", fontsize=10.5, fontweight="bold", color=INK, va="bottom",
    )  # fmt: skip
    if note:
        axes.annotate(
            note, (0, 1), xytext=(0, 6), xycoords="axes fraction", textcoords="offset points", fontsize=9,
            color=MUTED, va="bottom", linespacing=1.25,
        )  # fmt: skip


def bare(axes: Axes) -> None:
    """No ticks, and a thin frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(LINE)
        spine.set_linewidth(0.8)


def small_ticks(axes: Axes) -> None:
    axes.tick_params(colors=MUTED, labelsize=8, length=2.5, color=LINE)
    for spine in axes.spines.values():
        spine.set_color(LINE)
