"""The relative claims of the FCN papers and of the textbook, on one data set, every network with the same budget.

Stride: FCN-32s < FCN-16s < FCN-8s. Upsampling: fixed bilinear, against learned transposed convolutions that start bilinear, or
by Xavier's rule. The backbone's weights: from ImageNet, or random. MobileNetV2, batches of 8 crops of 256x256, everything else
default; evaluated at native size.

    python benchmarks/claims.py DATA WEIGHTS OUT [--epochs 4] [--seeds 1] [--classes NAME ...]

With --classes, "mean IU" is over these classes alone, for data sets in which others hardly occur.

DATA: a data set's folder; WEIGHTS: torchvision's mobilenet_v2 state dict; OUT: where the runs go (reused).
"""

import argparse
import json
import statistics
from pathlib import Path

from common import figures_of, mean_and_spread
from fullconv.training.config import TrainConfig

VARIANTS = {
    "FCN-32s": {"model": "fcn32s"},
    "FCN-16s": {"model": "fcn16s"},
    "FCN-8s": {"model": "fcn8s"},
    "FCN-32s learned, bilinear start": {"model": "fcn32s", "upsampling": "learned"},
    "FCN-32s learned, Xavier start": {"model": "fcn32s", "upsampling": "learned", "init": "xavier"},
    "FCN-8s learned, bilinear start": {"model": "fcn8s", "upsampling": "learned"},
    "FCN-8s, random backbone": {"model": "fcn8s", "backbone_weights": "none"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--classes", nargs="+", default=None)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {name: [] for name in VARIANTS}
    for seed in range(arguments.seeds):
        for name, options in VARIANTS.items():
            run = arguments.out / f"{name.lower().replace(', ', '-').replace(' ', '-')}-{seed}"
            config = TrainConfig(
                data=arguments.data, out=run, seed=seed, epochs=arguments.epochs, val_every=arguments.epochs,
                backbone="torchvision/mobilenet_v2", crop=(256, 256), workers=1,
                **{"backbone_weights": str(arguments.weights), **options},
            )  # fmt: skip
            figures = figures_of(config)
            if arguments.classes is not None:
                figures["mean IU"] = mean_over(run, arguments.classes)
            results[name].append(figures)
            print(
                name,
                f"seed {seed}",
                {key: f"{100 * value:.1f}" for key, value in figures.items()},
                flush=True,
            )
    print(
        f"\n{arguments.data.name}, {arguments.epochs} epochs, {arguments.seeds} seeds: mean (standard deviation)"
    )
    for name, figures in results.items():
        cells = []
        for key in figures[0]:
            cells.append(f"{key} {mean_and_spread([each[key] for each in figures])}")
        print(f"{name:32}", "  ".join(cells))


def mean_over(run: Path, classes: list[str]) -> float:
    """The mean IU of these classes, from the last validation in the run's log."""
    epochs = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines() if '"epoch"' in line]
    per_class = next(e["val"]["per_class"] for e in reversed(epochs) if e["kind"] == "epoch" and e["val"])
    return statistics.mean(per_class[name]["iou"] for name in classes)


if __name__ == "__main__":
    main()
