"""What exact placement of scores is worth: mean IU, and mean IU near borders, against half-pixel placement.

Trains FCN-32s and FCN-8s with both placements and three seeds on CamVid (367 pictures, val 101), MobileNetV2, a few epochs of
256x256 crops, everything else equal, and evaluates at native size.

    python benchmarks/placement.py DATA WEIGHTS OUT [--epochs 6] [--seeds 3]

DATA: a CamVid folder with dataset.yaml; WEIGHTS: torchvision's mobilenet_v2 state dict; OUT: where the runs go (reused).
"""

import argparse
from pathlib import Path

from common import figures_of, mean_and_spread
from fullconv.training.config import TrainConfig


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
                config = TrainConfig(
                    data=arguments.data, out=arguments.out / f"{model}-{placement}-{seed}", model=model, placement=placement,
                    seed=seed, epochs=arguments.epochs, backbone="torchvision/mobilenet_v2",
                    backbone_weights=str(arguments.weights), crop=(256, 256), val_every=arguments.epochs,
                )  # fmt: skip
                figures = figures_of(config)
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
            print(f"{model:7} {placement:10} {name:12} {mean_and_spread([each[name] for each in figures])}")


if __name__ == "__main__":
    main()
