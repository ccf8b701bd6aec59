"""Figures of an evaluation as text and as files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from fullconv.drawing import save_jpeg
from fullconv.storage import write_text_atomically


def percent(fraction: float | None) -> str:
    """A share as people read it; None is a class that does not occur.

    >>> percent(0.6174), percent(None)
    ('61.7', 'n/a')
    """
    return "n/a" if fraction is None else f"{100 * fraction:.1f}"


def own_ceiling(figures: dict[str, Any]) -> float | None:
    """Of the figures of `Scores.summary`, the mean IU that the network's own stride admits; None where it has no stride.

    Figures of runs from before ceilings were counted have none either.

    >>> own_ceiling({"stride": 8, "stride_ceiling": {"16": 0.928, "8": 0.964}}), own_ceiling({})
    (0.964, None)
    """
    return figures.get("stride_ceiling", {}).get(str(figures.get("stride")))


def mean_iou_text(figures: dict[str, Any]) -> str:
    """The mean IU with its ceiling beside it.

    >>> mean_iou_text({"mean_iou": 0.582, "stride": 8, "stride_ceiling": {"8": 0.971}})
    'mean IU 58.2 (ceiling 97.1)'
    """
    ceiling = own_ceiling(figures)
    beside = "" if ceiling is None else f" (ceiling {percent(ceiling)})"
    return f"mean IU {percent(figures['mean_iou'])}{beside}"


def figures_table(figures: dict[str, Any]) -> str:
    """The figures of `Evaluation.summary` as a table for people, in percent."""
    width = max(len(name) for name in (*figures["per_class"], "class"))
    lines = [f"{'class':{width}}     IU   accuracy       pixels"]
    for name, row in figures["per_class"].items():
        lines.append(
            f"{name:{width}}  {percent(row['iou']):>5}   {percent(row['accuracy']):>8} {row['pixels']:>12,}"
        )
    pixels = f"({figures['boundary_distance']} pixels)"
    ceiling = own_ceiling(figures)
    beside = "" if ceiling is None else f"   of at most {percent(ceiling)} at stride {figures['stride']}"
    ceilings = "   ".join(f"{stride}: {percent(iou)}" for stride, iou in figures["stride_ceiling"].items())
    lines += [
        "",
        f"mean IU                {percent(figures['mean_iou']):>5}{beside}",
        f"boundary IU {pixels} {percent(figures['boundary_iou']):>5}",
        f"boundary F  {pixels} {percent(figures['boundary_f']):>5}",
        f"pixel accuracy         {percent(figures['pixel_accuracy']):>5}",
        f"mean accuracy          {percent(figures['mean_accuracy']):>5}",
        f"frequency-weighted IU  {percent(figures['frequency_weighted_iou']):>5}",
        f"calibration error, ECE {calibration_text(figures['calibration'])}",
        f"over {figures['num_images']} pictures of split {figures['split']!r}",
        f"highest mean IU by stride   {ceilings}",
    ]
    if "refinement" in figures:
        lines.append(refinement_text(figures))
    for name, head in figures.get("heads", {}).items():
        lines += ["", f"head {name}", figures_table(head)]
    return "\n".join(lines)


def calibration_text(calibration: dict[str, Any]) -> str:
    """The expected calibration error, and how sure and how right the network is on average.

    >>> calibration_text({"ece": 0.032, "confidence": 0.913, "accuracy": 0.881})
    '  3.2   91.3 sure on average, 88.1 right'
    """
    sure, right = percent(calibration["confidence"]), percent(calibration["accuracy"])
    beside = "" if calibration["ece"] is None else f"   {sure} sure on average, {right} right"
    return f"{percent(calibration['ece']):>5}{beside}"


def refinement_text(figures: dict[str, Any]) -> str:
    """What the CRF gained and what it took, in one line, and a second one where it did not help.

    >>> figures = {"mean_iou": 0.514, "boundary_iou": 0.3, "boundary_f": 0.5, "refinement":
    ...     {"unrefined": {"mean_iou": 0.509, "boundary_iou": 0.28, "boundary_f": 0.47}, "seconds_per_image": 0.31}}
    >>> refinement_text(figures)
    'CRF: mean IU 50.9 -> 51.4, boundary IU 28.0 -> 30.0, boundary F 47.0 -> 50.0; 310 ms a picture'
    """
    before, after = figures["refinement"]["unrefined"], figures
    changes = ", ".join(
        f"{what} {percent(before[name])} -> {percent(after[name])}"
        for what, name in (
            ("mean IU", "mean_iou"),
            ("boundary IU", "boundary_iou"),
            ("boundary F", "boundary_f"),
        )
    )
    line = f"CRF: {changes}; {1000 * figures['refinement']['seconds_per_image']:.0f} ms a picture"
    helped = (after["mean_iou"] or 0) > (before["mean_iou"] or 0)
    return line if helped else f"{line}\nThe CRF does not raise mean IU on these pictures; leave it off."


def write_evaluation(folder: Path, figures: dict[str, Any], grids: Mapping[str, Image.Image]) -> None:
    """Writes `evaluation.json`, and each of the `grids` as `NAME.jpg`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    for name, grid in grids.items():
        save_jpeg(grid, folder / f"{name}.jpg", quality=88)
