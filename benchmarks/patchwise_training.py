"""How well a patch-wise classifier labels pictures: trained on 15x15 windows drawn at random.

As many pictures are seen as in `claims.py`, in batches of 8 crops of 256x256, everything else default; of each crop some
windows are drawn. Evaluated at native size, by the same figures; the FCNs on the same pictures are those of `claims.py`.

    python benchmarks/patchwise_training.py DATA OUT [--epochs 4] [--seeds 1] [--patches 512]

DATA: a data set's folder; OUT: where the runs go (reused).
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
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--patches", type=int, default=512, help="windows drawn from each crop")
    arguments = parser.parse_args()
    print(machine())
    results: list[dict[str, float]] = []
    for seed in range(arguments.seeds):
        run = arguments.out / f"patchwise-{arguments.patches}-{seed}"
        if not (run / "figures.json").exists():
            config = TrainConfig(
                data=arguments.data, out=run, seed=seed, epochs=arguments.epochs, val_every=arguments.epochs,
                model="patchwise", patches=arguments.patches, backbone_weights="none", crop=(256, 256), workers=1,
            )  # fmt: skip
            began = time.monotonic()
            for _ in train(config, resume=(run / "checkpoints" / "state.safetensors").exists()):
                pass
            print(f"seed {seed}: {time.monotonic() - began:.0f} s to train and validate", flush=True)
            (run / "figures.json").write_text(json.dumps(measure(arguments.data, run)))
        results.append(json.loads((run / "figures.json").read_text()))
        print(f"seed {seed}", {key: f"{100 * value:.1f}" for key, value in results[-1].items()}, flush=True)
    print(f"\n{arguments.data.name}, {arguments.epochs} epochs, {arguments.patches} windows of each crop:")
    for key in results[0]:
        values = [100 * each[key] for each in results]
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{key:12} {statistics.mean(values):5.1f} ({spread:.1f})")


if __name__ == "__main__":
    main()
