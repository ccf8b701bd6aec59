"""Plots of a training run as SVG, to be placed inline in an HTML page.

The colours are CSS variables with defaults, so a plot follows the page's light or dark scheme:
`--ink`, `--muted`, `--line`, `--accent` and `--second`.
"""

import hashlib
import io
import math
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from fullconv.reporting.tables import own_ceiling

INK, MUTED, LINE, ACCENT, SECOND = "#1b2330", "#606978", "#dde1e7", "#2f6fed", "#d9652b"
VARIABLES = {INK: "ink", MUTED: "muted", LINE: "line", ACCENT: "accent", SECOND: "second"}

MAX_POINTS = 400
"""Points of a raw curve; more cannot be told apart at this width and would swell the page."""

MAX_NUMBERS = 12
"""Classes up to which the cells of a confusion matrix carry their numbers."""

MAX_NAMES = 40
"""Classes up to which the axes of a confusion matrix carry names rather than ids."""


def curves_svg(steps: Sequence[Mapping[str, Any]], epochs: Sequence[Mapping[str, Any]]) -> tuple[str, str]:
    """Two plots: loss with learning rate over the epochs, and validation scores per epoch.

    Args:
        steps: log lines of kind "step", in order; at least one with a finite loss.
        epochs: log lines of kind "epoch", in order.

    Returns:
        Two SVG elements; the second is empty if no epoch was validated.

    >>> loss, scores = curves_svg([{"epoch": 0.5, "loss": 1.0, "lr": 0.01}], [])
    >>> loss[:4], scores
    ('<svg', '')
    """
    scored = [line for line in epochs if line["val"] and line["val"]["mean_iou"] is not None]
    return _loss_svg(steps), _scores_svg(scored) if scored else ""


def confusion_svg(confusion: Sequence[Sequence[int]] | np.ndarray, names: Sequence[str]) -> str:
    """The confusion matrix as parts of each truth row: darker is more.

    Args:
        confusion: (K, K), pixels, rows = truth, columns = prediction; a row without pixels stays empty.
        names: K class names.

    Returns:
        An SVG element; with numbers in per cent where K is at most 12.

    >>> confusion_svg([[3, 1], [0, 0]], ["background", "bag"]).count(">75<")
    1
    """
    counts = np.asarray(confusion, np.float64)
    num_classes = len(names)
    totals = counts.sum(axis=1, keepdims=True)
    parts = np.divide(counts, totals, out=np.zeros_like(counts), where=totals > 0)
    longest = max(len(name) for name in names) if num_classes <= MAX_NAMES else 3
    side = min(8.0, max(2.4, 0.46 * num_classes if num_classes <= MAX_NUMBERS else 0.25 * num_classes))
    room = 0.45 + 0.085 * min(longest, 24)
    figure = Figure(figsize=(side + room + 0.1, side + room + 0.1), layout="constrained")
    axes = figure.subplots()
    # One colour under varying opacity reads on a light page and on a dark one.
    rgba = np.empty((num_classes, num_classes, 4), np.uint8)
    rgba[:] = (*bytes.fromhex(ACCENT[1:]), 0)
    rgba[..., 3] = np.round(255 * parts**0.7)
    axes.imshow(rgba, interpolation="none")
    _style_matrix(axes, names)
    if num_classes <= MAX_NUMBERS:
        for row, column in np.argwhere(parts >= 0.005):
            part = parts[row, column]
            color = "#ffffff" if part > 0.66 else INK
            axes.text(column, row, f"{100 * part:.0f}", ha="center", va="center", fontsize=8, color=color)
    return _to_svg(figure, "Confusion matrix: rows are the truth, columns the prediction")


def rates_png(
    rates: Sequence[float], losses: Sequence[float], smoothed: Sequence[float], suggested: float
) -> bytes:
    """The loss over rising learning rates, and the one that is suggested, as a PNG file."""
    figure = Figure(figsize=(7.2, 4.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    axes.semilogx(rates, losses, color=ACCENT, alpha=0.28, linewidth=0.9)
    axes.semilogx(rates, smoothed, color=ACCENT, linewidth=1.8)
    axes.axvline(suggested, color=SECOND, linewidth=1.3)
    axes.annotate(
        f" {suggested:.1e}", (suggested, 0.97), xycoords=("data", "axes fraction"), va="top", color=SECOND
    )
    axes.set_ylim(0, 1.08 * max(np.percentile(losses, 95), smoothed[0]))
    _style(axes, "Loss at rising learning rates")
    axes.set_xlabel("learning rate", color=MUTED, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def reliability_svg(bins: Sequence[Mapping[str, Any]]) -> str:
    """The reliability diagram: of bins of equal width in confidence, the share that is right, and how many pixels it is.

    A tick at each bar is the mean confidence of its pixels; the bar of a calibrated network ends there.

    Args:
        bins: of `Calibration.summary`, least sure first; one of them has pixels.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks", figure 1.

    >>> empty, sure = {"pixels": 0, "confidence": None, "accuracy": None}, {"pixels": 9, "confidence": 0.9, "accuracy": 0.7}
    >>> reliability_svg([empty, sure])[:4]
    '<svg'
    """
    known = [(place, each) for place, each in enumerate(bins) if each["pixels"]]
    middle = np.array([place + 0.5 for place, _ in known]) / len(bins)
    right, sure, pixels = (
        np.array([each[key] for _, each in known]) for key in ("accuracy", "confidence", "pixels")
    )
    width = 0.86 / len(bins)
    figure = Figure(figsize=(5.2, 4.4), layout="constrained")
    top, bottom = figure.subplots(2, height_ratios=[4, 1], sharex=True)
    top.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    top.bar(middle, right, width, color=ACCENT, alpha=0.75, label="share that is right")
    top.hlines(
        sure, middle - width / 2, middle + width / 2, color=SECOND, linewidth=2.4, label="mean confidence"
    )
    bottom.bar(middle, pixels / pixels.sum(), width, color=MUTED)
    for axes, title in ((top, "Right, by how sure"), (bottom, "Share of the pixels")):
        _style(axes, title)
        axes.set_ylim(0, 1.02)
        axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bottom.set_yticks([0.5, 1])
    bottom.set_xlim(0, 1)
    bottom.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    bottom.set_xlabel("confidence", color=MUTED, fontsize=9)
    top.tick_params(labelbottom=False)
    top.legend(loc="upper left", frameon=False, fontsize=9, labelcolor=INK, handlelength=1.2)
    return _to_svg(
        figure, "Reliability diagram: the share of right pixels over the confidence of the network"
    )


def _loss_svg(steps: Sequence[Mapping[str, Any]]) -> str:
    points = np.array([(line["epoch"], line["loss"], line["lr"]) for line in steps], np.float64)
    x, loss, rate = _thin(points[np.isfinite(points).all(axis=1)]).T
    figure = Figure(figsize=(5.2, 3.5), layout="constrained")
    top, bottom = figure.subplots(2, height_ratios=[4, 1], sharex=True)
    top.plot(x, loss, color=ACCENT, alpha=0.28, linewidth=0.9)
    top.plot(x, _smooth(loss), color=ACCENT, linewidth=1.8, marker="o" if len(x) == 1 else "")
    # A spike in the first steps must not flatten the rest of the curve.
    top.set_ylim(0, 1.08 * max(np.percentile(loss, 99), 1e-6))
    bottom.plot(x, rate, color=SECOND, linewidth=1.3, marker="o" if len(x) == 1 else "")
    bottom.set_ylim(0, 1.15 * max(rate.max(), 1e-12))
    bottom.set_yticks([0, rate.max()], ["0", f"{rate.max():.2g}"])
    for axes, title in ((top, "Training loss"), (bottom, "Learning rate")):
        _style(axes, title)
    bottom.set_xlim(0, 1.03 * max(x[-1], 1e-6))
    top.tick_params(labelbottom=False)
    bottom.set_xlabel("epoch", color=MUTED, fontsize=9)
    return _to_svg(figure, "Training loss and learning rate over the epochs")


def _scores_svg(epochs: Sequence[Mapping[str, Any]]) -> str:
    x = [line["epoch"] for line in epochs]
    figure = Figure(figsize=(5.2, 3.5), layout="constrained")
    axes = figure.subplots()
    for key, label, color in (
        ("pixel_accuracy", "pixel accuracy", SECOND),
        ("mean_iou", "mean IU", ACCENT),
    ):
        values = [math.nan if line["val"][key] is None else line["val"][key] for line in epochs]
        axes.plot(x, values, color=color, linewidth=1.8, marker="o", markersize=2.5, label=label)
    best = max(epochs, key=lambda line: line["val"]["mean_iou"])
    ceiling = own_ceiling(best["val"])
    if ceiling is not None:
        axes.axhline(ceiling, color=ACCENT, linewidth=1, linestyle=(0, (4, 3)))
        text = f"ceiling of mean IU {100 * ceiling:.1f} %"
        side = "bottom" if ceiling < 0.94 else "top"  # above the axes stands the title
        axes.text(0.02, ceiling, text, transform=axes.get_yaxis_transform(), va=side, fontsize=8, color=MUTED)
    score = best["val"]["mean_iou"]
    axes.plot([best["epoch"]], [score], marker="o", markersize=7, color=ACCENT)
    side = "right" if best["epoch"] > x[-1] / 2 else "left"
    axes.annotate(
        f"best {100 * score:.1f} %",
        (best["epoch"], score),
        xytext=(0, -22),
        textcoords="offset points",
        ha=side,
        fontsize=9,
        color=INK,
    )
    _style(axes, "Validation")
    axes.set_xlim(0, 1.03 * x[-1])
    axes.set_ylim(0, 1)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, steps=[1, 2, 5, 10]))
    axes.set_xlabel("epoch", color=MUTED, fontsize=9)
    axes.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=2, frameon=False, fontsize=9, borderaxespad=0.2,
        labelcolor=INK, handlelength=1.2, columnspacing=1.2,
    )  # fmt: skip
    return _to_svg(figure, "Mean IU and pixel accuracy on the validation pictures, per epoch")


def _style(axes: Axes, title: str) -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK, fontweight="bold")
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(LINE)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)


def _style_matrix(axes: Axes, names: Sequence[str]) -> None:
    num_classes = len(names)
    if num_classes <= MAX_NAMES:
        ticks = range(num_classes)
        texts = [name if len(name) <= 24 else f"{name[:23]}…" for name in names]
        # A dollar sign in a class name is a dollar sign, not mathematics.
        axes.set_xticks(ticks, texts, rotation=90, parse_math=False)
        axes.set_yticks(ticks, texts, parse_math=False)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    axes.set_xticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(num_classes + 1) - 0.5, minor=True)
    axes.grid(which="minor", color=LINE, linewidth=0.8 if num_classes <= MAX_NAMES else 0.2)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted as", color=MUTED, fontsize=9)
    axes.set_ylabel("truth", color=MUTED, fontsize=9)


def _thin(points: np.ndarray) -> np.ndarray:
    """At most `MAX_POINTS` rows: the means of equal runs of (N, 3) rows."""
    if len(points) <= MAX_POINTS:
        return points
    return np.array([run.mean(axis=0) for run in np.array_split(points, MAX_POINTS)])


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean of a window centred on each value, a twelfth of the curve wide, cut off at the ends.

    >>> _smooth(np.arange(30.0))[[0, 10, 29]].tolist()
    [0.5, 10.0, 28.5]
    """
    half = len(values) // 24
    sums = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    start, stop = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return (sums[stop] - sums[start]) / (stop - start)


def _to_svg(figure: Figure, title: str) -> str:
    """The figure as one `<svg>` element: text stays text, ids are this figure's own, no address is named."""
    buffer = io.StringIO()
    with (
        matplotlib.rc_context({"svg.hashsalt": title, "svg.fonttype": "none"}),
        warnings.catch_warnings(),
    ):
        # A glyph that the measuring font lacks is drawn by the browser's fonts all the same.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    start = svg.index(">") + 1
    head, body = svg[:start], svg[start:]
    head = re.sub(r' (xmlns(:\w+)?|version)="[^"]*"', "", head)
    head = head.replace("<svg", f'<svg role="img" aria-label="{title}" style="stroke-linejoin: round"', 1)
    # The style element would reach the whole page; its rule stands on the head instead.
    body = re.sub(r"\s*<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL).replace("xlink:href", "href")
    own = hashlib.sha256(body.encode()).hexdigest()[:8]
    # Inside tags alone: a class name may read `id="x"` or `#1b2330`.
    return head + re.sub(r"<[^<>]*>", lambda tag: _own_ids(tag.group(), own), body)


def _own_ids(tag: str, own: str) -> str:
    """A tag with its ids and the references to them made unique, and its colours made variables."""
    tag = re.sub(r'\bid="([^"]+)"', rf'id="p{own}-\1"', tag)
    tag = re.sub(r'(href="#|url\(#)', rf"\g<1>p{own}-", tag)
    for color, name in VARIABLES.items():
        tag = tag.replace(color, f"var(--{name}, {color})")
    return tag
