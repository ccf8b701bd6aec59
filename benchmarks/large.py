"""P4 and P6: pictures larger than memory, and how time and memory grow with the picture.

    python benchmarks/large.py growth                  # 256 x 256 to 16,384 x 16,384: exponent of time against pixels
    python benchmarks/large.py tiles                   # speed per pixel of exact and blended tiles against one pass
    python benchmarks/large.py huge [--side 30000]     # one picture of SIDE x SIDE, its peak resident memory

Pictures are noise, made as they are read, so that only what prediction itself takes is measured. `--backbone` chooses the network
(FCN-8s, 21 classes, random weights); times are medians of three runs, of one above 20 s.
"""

import argparse
import math
import resource
import statistics
import subprocess
import sys
import time

import numpy as np

import fullconv
from common import machine
from fullconv.inference.pixels import Box


class Noise:
    """A picture of any size that takes no memory: one tile of noise, repeated."""

    def __init__(self, size_hw: tuple[int, int]) -> None:
        self.size_hw = size_hw
        self.tile = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)

    def read(self, box: Box) -> np.ndarray:
        rows, columns = np.arange(box.top, box.bottom) % 512, np.arange(box.left, box.right) % 512
        return self.tile[rows[:, None], columns]


def peak_memory() -> float:
    """The most resident memory this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def seconds(segmenter: fullconv.Segmenter, size_hw: tuple[int, int]) -> float:
    """From pixels to class ids of the whole picture, the ids let go band by band."""
    times = []
    for _ in range(3):
        began = time.perf_counter()
        pixels = sum(part.labels().numel() for _, part in segmenter.tiler.parts(Noise(size_hw)))
        assert pixels == math.prod(size_hw)
        times.append(time.perf_counter() - began)
        if times[-1] > 20:
            break
    return statistics.median(times)


def growth(backbone: str, sides: list[int]) -> None:
    """Each side in a process of its own, so that its peak memory is its own."""
    points = []
    for side in sides:
        command = [sys.executable, __file__, "one", "--backbone", backbone, "--side", str(side)]
        took, memory = map(
            float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
        )
        points.append((side, took))
        print(
            f"{side:6} x {side:<6} {took:9.3f} s {side * side / 1e6 / took:7.2f} MP/s  peak {memory:6.0f} MiB",
            flush=True,
        )
    pixels, took = np.log([side * side for side, _ in points]), np.log([took for _, took in points])
    print(f"time grows with pixels to the power {np.polyfit(pixels, took, 1)[0]:.3f} (goal: at most 1.05)")


def tiles(backbone: str, side: int) -> None:
    """Speed per pixel against a picture that is seen in one pass."""
    model = fullconv.build_model("fcn8s", backbone=backbone, num_classes=21)
    whole = fullconv.Segmenter(model, tile="whole", engine="torch")
    seconds(whole, (512, 512))
    base = 1024 * 1024 / seconds(whole, (1024, 1024))
    print(f"{'one pass, 1024 x 1024':44} {base / 1e6:6.2f} MP/s   1.00")
    for name, options in (
        ("exact, streamed in bands (auto)", {}),
        ("exact, tiles of 1024 with halo", {"tile": 1024}),
        ("gaussian, windows that fit (auto)", {"overlap": "gaussian"}),
        ("gaussian, windows of 1024", {"tile": 1024, "overlap": "gaussian"}),
        ("mean, windows that fit (auto)", {"overlap": "mean"}),
        ("mean, windows of 1024", {"tile": 1024, "overlap": "mean"}),
    ):
        segmenter = fullconv.Segmenter(model, engine="torch", **options)
        speed = side * side / seconds(segmenter, (side, side))
        print(f"{f'{name}, {side} x {side}':44} {speed / 1e6:6.2f} MP/s   {speed / base:.2f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["growth", "tiles", "huge", "one"])
    parser.add_argument("--backbone", default="resnet18")
    parser.add_argument("--side", type=int)
    arguments = parser.parse_args()
    if arguments.what == "one":
        model = fullconv.build_model("fcn8s", backbone=arguments.backbone, num_classes=21)
        segmenter = fullconv.Segmenter(model, engine="torch")
        seconds(segmenter, (256, 256))
        print(seconds(segmenter, (arguments.side, arguments.side)), peak_memory())
        return
    print(machine(), "FCN-8s", arguments.backbone, flush=True)
    if arguments.what == "growth":
        largest = arguments.side or 16384
        growth(
            arguments.backbone,
            [side for side in (256, 512, 1024, 2048, 4096, 8192, 16384) if side <= largest],
        )
    elif arguments.what == "tiles":
        tiles(arguments.backbone, arguments.side or 4096)
    else:
        growth(arguments.backbone, [arguments.side or 30000])


if __name__ == "__main__":
    main()
