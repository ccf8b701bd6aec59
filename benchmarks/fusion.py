"""What depth adds to colour, early and late, and what a second head costs the first, on drawn scenes.

Each network learns from scratch with the same budget on the same scenes: colour alone; colour and depth in one network
(early); a network for each, scores averaged (late). And colour with one head against colour with two.

    python benchmarks/fusion.py OUT [--epochs 6] [--seeds 1]

OUT: where scenes and runs go (reused).
"""

import argparse
import json
from pathlib import Path

from fullconv.data.scenes import write_scenes
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train

SETTINGS = {
    "colour": ({"depth": False, "geometry": False}, {}),
    "colour, two heads": ({"depth": False, "geometry": True}, {}),
    "colour + depth, early, two heads": ({"depth": True, "geometry": True}, {"fusion": "early"}),
    "colour + depth, late, two heads": ({"depth": True, "geometry": True}, {"fusion": "late"}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for name, (scenes, options) in SETTINGS.items():
            data = arguments.out / ("scenes" + "".join(f"-{key}" for key, wanted in scenes.items() if wanted))
            if not data.exists():
                write_scenes(data, num_train=160, num_val=40, **scenes)
            run = arguments.out / f"{name.replace(' + ', '-').replace(', ', '-').replace(' ', '-')}-{seed}"
            if not (run / "figures.json").exists():
                config = TrainConfig(
                    data=data, out=run, model="fcn4s", backbone="resnet10t", backbone_weights="none", seed=seed,
                    epochs=arguments.epochs, scale=(0.75, 1.5), lr=2e-3, schedule="one-cycle", warmup=0.25,
                    val_every=arguments.epochs, **options,
                )  # fmt: skip
                events = list(train(config, resume=(run / "checkpoints" / "state.safetensors").exists()))
                figures = [event["val"] for event in events if event["kind"] == "epoch"][-1]
                (run / "figures.json").write_text(json.dumps(figures))
            figures = json.loads((run / "figures.json").read_text())
            heads = {head: each["mean_iou"] for head, each in figures.get("heads", {}).items()}
            cells = [
                f"{head} {100 * value:.1f}"
                for head, value in {"mean IU": figures["mean_iou"], **heads}.items()
            ]
            print(f"seed {seed}  {name:34}", "  ".join(cells), flush=True)


if __name__ == "__main__":
    main()
