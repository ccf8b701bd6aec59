"""The five-deconvolution ladder and its sisters with fewer skips, trained with the same budget on one data set.

The document's question: what do the skips of the ladder gain? VGG16, batches of 4 crops of 160x160, everything else default;
evaluated at native size. Without weights for VGG16 the networks learn from nothing, as batch normalisation allows.

    python benchmarks/ladder.py DATA OUT [--models ladder ladder8s ladder16s ladder32s] [--weights none] [--epochs 20] [--seeds 1]

DATA: a data set's folder (the document's has two classes, bag and background); OUT: where the runs go: finished ones are
reused, interrupted ones resumed. --weights: torchvision's vgg16 state dict, or pretrained.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

from common import machine, measure
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=["ladder", "ladder8s", "ladder16s", "ladder32s"])
    parser.add_argument("--weights", default="none")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    results: dict[str, list[dict[str, float]]] = {model: [] for model in arguments.models}
    for seed in range(arguments.seeds):
        for model in arguments.models:
            config = TrainConfig(
                data=arguments.data, out=arguments.out / f"{model}-{seed}", model=model, seed=seed,
                backbone_weights=arguments.weights, crop=(160, 160), batch_size=4,
                epochs=arguments.epochs, val_every=max(1, arguments.epochs // 4), workers=1,
            )  # fmt: skip
            figures = figures_of(config)
            results[model].append(figures)
            print(
                f"{model} seed {seed}", {key: round(value, 3) for key, value in figures.items()}, flush=True
            )
    print(
        f"\n{arguments.data.name}, {arguments.epochs} epochs, {arguments.seeds} seeds: mean (standard deviation); {machine()}"
    )
    for model, figures in results.items():
        cells = []
        for key in figures[0]:
            values = [each[key] for each in figures]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            cells.append(f"{key} {statistics.mean(values):.3f} ({spread:.3f})")
        print(f"{model:10}", "  ".join(cells))


def figures_of(config: TrainConfig) -> dict[str, float]:
    """Trains, or goes on with, or only reads one run; IUs in 0..1 and hours of training."""
    file = config.out / "figures.json"
    if not file.exists():
        began = time.monotonic()
        seconds = 0.0
        for event in train(config, resume=(config.out / "checkpoints" / "state.safetensors").exists()):
            if event["kind"] == "step":
                left = f"{event['loss']:.3f}, {event['images_per_second']:.2f} images/s"
                print(f"\r{config.out.name} step {event['step']} loss {left}", end="", flush=True)
            elif event["kind"] == "end":
                seconds = event["seconds"]
        print(f"\r{config.out.name} took {time.monotonic() - began:.0f} s this time", flush=True)
        file.write_text(json.dumps(measure(config.data, config.out) | {"hours": seconds / 3600}))
    return json.loads(file.read_text())


if __name__ == "__main__":
    main()
