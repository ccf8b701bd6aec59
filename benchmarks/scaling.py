"""Training in several processes of one machine: pictures a second, beside one process with as many threads, and with one.

    python benchmarks/scaling.py DATA [--processes 2] [--crop 256] [--batch 8] [--steps 40]

FCN-8s over MobileNetV2 from random weights, float32; one more process for each decodes pictures. Gradients and the sums of batch
normalisation go over loopback (gloo). Median of the rates that the log holds, the first quarter left out.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from common import machine
from fullconv.data.dataset import open_dataset

EVERY = 5


def rate(data: Path, processes: int, threads: int, crop: int, batch: int, steps: int) -> float:
    """Pictures a second of all processes together."""
    epochs = str(-(-steps * batch // len(open_dataset(data).split("train"))))
    with tempfile.TemporaryDirectory() as folder:
        words = [
            "train", str(data), "--out", f"{folder}/run", "--processes", str(processes), "--crop", f"{crop}x{crop}",
            "--backbone", "torchvision/mobilenet_v2", "--backbone-weights", "none", "--batch-size", str(batch),
            "--epochs", epochs, "--workers", "1", "--set", f"log_every={EVERY}", "--set", f"val_every={epochs}",
        ]  # fmt: skip
        subprocess.run(
            [sys.executable, "-m", "fullconv", *words],
            env=os.environ | {"OMP_NUM_THREADS": str(threads)},
            stderr=subprocess.DEVNULL,
            check=True,
        )
        lines = map(json.loads, Path(folder, "run/log.jsonl").read_text().splitlines())
        rates = [line["images_per_second"] for line in lines if line["kind"] == "step"]
    return statistics.median(rates[len(rates) // 4 :])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", type=Path)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=40)
    words = parser.parse_args()
    print(machine(), flush=True)
    work = (words.crop, words.batch, words.steps)
    alone = rate(words.data, 1, 1, *work)
    for processes, threads in ((1, 1), (1, words.processes), (words.processes, 1)):
        own = alone if processes * threads == 1 else rate(words.data, processes, threads, *work)
        print(
            f"{processes} processes of {threads} threads: {own:.2f} pictures/s, {own / alone:.2f} times one thread",
            flush=True,
        )


if __name__ == "__main__":
    main()
