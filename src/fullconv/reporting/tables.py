"""Figures of an evaluation as text and as files."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fullconv.drawing import sample_grid, save_jpeg
from fullconv.labels import LabelSet
from fullconv.storage import write_text_atomically


def percent(fraction: float | None) -> str:
    """A share as people read it; None is a class that does not occur.

    >>> percent(0.6174), percent(None)
    ('61.7', 'n/a')
    """
    return "n/a" if fraction is None else f"{100 * fraction:.1f}"


def figures_table(figures: dict[str, Any]) -> str:
    """The figures of `Confusion.summary` as a table for people, in percent."""
    width = max(len(name) for name in (*figures["per_class"], "class"))
    lines = [f"{'class':{width}}     IU   accuracy       pixels"]
    for name, row in figures["per_class"].items():
        lines.append(
            f"{name:{width}}  {percent(row['iou']):>5}   {percent(row['accuracy']):>8} {row['pixels']:>12,}"
        )
    lines += [
        "",
        f"mean IU                {percent(figures['mean_iou']):>5}",
        f"pixel accuracy         {percent(figures['pixel_accuracy']):>5}",
        f"mean accuracy          {percent(figures['mean_accuracy']):>5}",
        f"frequency-weighted IU  {percent(figures['frequency_weighted_iou']):>5}",
        f"over {figures['num_images']} pictures of split {figures['split']!r}",
    ]
    return "\n".join(lines)


def write_evaluation(
    folder: Path, figures: dict[str, Any], shown: Sequence[tuple[Any, Any, Any]], labels: LabelSet
) -> None:
    """Writes `evaluation.json` and, of the samples in `shown` (picture, prediction, truth), `samples.jpg`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text_atomically(folder / "evaluation.json", json.dumps(figures, indent=1) + "\n")
    if shown:
        pictures, predictions, truths = zip(*shown, strict=True)
        save_jpeg(sample_grid(pictures, predictions, truths, labels), folder / "samples.jpg", quality=88)
