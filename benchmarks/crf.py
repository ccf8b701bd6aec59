"""What the dense CRF gains on a trained model's predictions, and what it costs.

    python benchmarks/crf.py MODEL DATA [--split val] [--limit N] [--search]

MODEL: a run or bundle folder; DATA: a data set with the model's classes. The first line of figures is the model alone, the
second the same logits after the CRF with its defaults. `--search` tries other weights and sigmas as well, on pictures of the
train split: choose there, then measure on val.
"""

import argparse
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from common import machine
from fullconv.bundle import load_bundle
from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.evaluation import picture_score_map
from fullconv.metrics import BoundaryF, BoundaryIou, Confusion, boundary_band
from fullconv.ops.crf import dense_crf
from fullconv.ops.score_map import ScoreMap

WIDTH = 3  # pixels on each side of a border
SEARCHED = [
    {"position_weight": near, "color_weight": alike, "color_position_sigma": position, "color_sigma": color}
    for near, alike, position, color in (
        (0.0, 1.0, 20.0, 10.0),
        (0.0, 3.0, 20.0, 10.0),
        (0.3, 2.0, 30.0, 10.0),
        (1.0, 1.0, 20.0, 5.0),
        (1.0, 1.0, 60.0, 10.0),
        (1.0, 3.0, 60.0, 10.0),
        (3.0, 4.0, 60.0, 10.0),
    )
]


class Figures:
    """Mean IU, mean IU in the border band, boundary IU and boundary F, over pictures."""

    def __init__(self, num_classes: int) -> None:
        self.whole, self.band = Confusion(num_classes), Confusion(num_classes)
        self.rims, self.lines = BoundaryIou(num_classes, WIDTH), BoundaryF(num_classes, WIDTH)
        self.seconds: list[float] = []

    def update(self, logits: torch.Tensor, truth: np.ndarray, seconds: float) -> None:
        label_map = ScoreMap.of_pixels(logits).labels().numpy()
        inside = boundary_band(truth, WIDTH).numpy()
        self.band.update(label_map[inside], truth[inside])
        for figure in (self.whole, self.rims, self.lines):
            figure.update(label_map, truth)
        self.seconds.append(seconds)

    def percent(self) -> list[float]:
        found = (self.whole.mean_iou, self.band.mean_iou, self.rims.mean_iou, self.lines.mean_f)
        return [100 * (figure or 0.0) for figure in found]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", default="val")
    parser.add_argument("--limit", type=int, help="evenly spread over the split; all without")
    parser.add_argument("--search", action="store_true")
    arguments = parser.parse_args()
    bundle, dataset = load_bundle(arguments.model), open_dataset(arguments.data)
    split = "train" if arguments.search else arguments.split
    samples = dataset.split(split)
    if arguments.limit:
        samples = samples[:: max(1, len(samples) // arguments.limit)][: arguments.limit]
    settings = [{}, *SEARCHED] if arguments.search else [{}]
    print(machine())
    print(f"{arguments.model}, {len(samples)} pictures of {split}, borders within {WIDTH} pixels")
    alone = Figures(dataset.labels.num_classes)
    refined = [Figures(dataset.labels.num_classes) for _ in settings]
    cpu = torch.device("cpu")
    for sample in samples:
        picture, truth = read_sample(sample, dataset.labels)
        began = time.perf_counter()
        logits = picture_score_map(bundle.model, picture, bundle.preprocessing, cpu, "fp32").logits()
        alone.update(logits, truth, time.perf_counter() - began)
        colors = torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)
        for setting, figures in zip(settings, refined, strict=True):
            began = time.perf_counter()
            better = dense_crf(logits, colors, **setting)
            figures.update(better, truth, time.perf_counter() - began)
    show(alone, dict(zip(map(named, settings), refined, strict=True)))


def named(setting: dict[str, float]) -> str:
    return " ".join(f"{value:g}" for value in setting.values()) or "defaults"


def show(alone: Figures, refined: dict[str, Figures]) -> None:
    print(f"{'':24} {'mean IU':>8} {'band':>8} {'rim IU':>8} {'line F':>8} {'ms':>8}")
    before = alone.percent()
    for name, figures in {"model alone": alone, **refined}.items():
        row = "".join(f" {figure:8.2f}" for figure in figures.percent())
        print(f"{name:24}{row} {1000 * statistics.median(figures.seconds):8.0f}")
    gains = [after - was for after, was in zip(refined["defaults"].percent(), before, strict=True)]
    print("gain of the defaults    " + "".join(f" {gain:+8.2f}" for gain in gains))
    verdict = "helps" if gains[0] > 0.1 else "hurts" if gains[0] < -0.1 else "makes no difference"
    at_borders = "better" if gains[3] > 0.1 else "worse" if gains[3] < -0.1 else "the same"
    print(f"In mean IU the CRF {verdict} here; boundaries are {at_borders}.")


if __name__ == "__main__":
    main()
