"""What exact placement of scores is worth: mean IU, and mean IU near borders, against half-pixel placement.

Trains FCN-32s and FCN-8s with both placements and three seeds on CamVid (367 pictures, val 101), MobileNetV2, a few epochs of
256x256 crops, everything else equal, and evaluates at native size.

    python benchmarks/placement.py DATA WEIGHTS OUT [--epochs 6] [--seeds 3]

DATA: a CamVid folder with dataset.yaml; WEIGHTS: torchvision's mobilenet_v2 state dict; OUT: where the runs go (reused).
"""

import argparse
import json
import statistics
from pathlib import Path

from common import measure
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("weights", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    for seed in range(arguments.seeds):
        for model in ("fcn32s", "fcn8s"):
            for placement in ("half-pixel", "exact"):
                run = arguments.out / f"{model}-{placement}-{seed}"
                if not (run / "figures.json").exists():
                    config = TrainConfig(
                        data=arguments.data, out=run, model=model, placement=placement, seed=seed, epochs=arguments.epochs,
                        backbone="torchvision/mobilenet_v2", backbone_weights=str(arguments.weights),
                        crop=(256, 256), val_every=arguments.epochs,
                    )  # fmt: skip
                    for _ in train(config, resume=(run / "checkpoints" / "state.safetensors").exists()):
                        pass
                    (run / "figures.json").write_text(json.dumps(measure(arguments.data, run)))
                figures = json.loads((run / "figures.json").read_text())
                results.setdefault((model, placement), []).append(figures)
                print(
                    model,
                    placement,
                    f"seed {seed}",
                    {name: f"{100 * value:.1f}" for name, value in figures.items()},
                    flush=True,
                )
    print(f"\n{arguments.seeds} seeds, {arguments.epochs} epochs: mean (standard deviation)")
    for (model, placement), figures in results.items():
        for name in figures[0]:
            values = [100 * each[name] for each in figures]
            spread = statistics.stdev(values) if len(values) > 1 else 0.0
            print(f"{model:7} {placement:10} {name:12} {statistics.mean(values):5.1f} ({spread:.1f})")


if __name__ == "__main__":
    main()
