"""Upsampling of scores: two matrix products against `interpolate` and against the transposed convolution.

    python benchmarks/upsampling.py

Every row is one run on this machine, in turn; ratios compare with `interpolate` in the same row.
"""

import torch
import torch.nn.functional as F

from common import machine, timed
from fullconv.ops.bilinear import Placement, bilinear_kernel, upsample

CASES = [(8, 11, 8, 360, 480), (1, 21, 8, 512, 512), (1, 21, 32, 512, 512), (1, 21, 8, 1504, 2000)]


def main() -> None:
    print(machine())
    print("N, K, stride, H x W          way                   forward ms        forward + backward ms")
    for batch, classes, stride, height, width in CASES:
        scores = torch.randn(batch, classes, -(-height // stride), -(-width // stride))
        kernel = bilinear_kernel(classes, classes, 2 * stride)
        place = (Placement.half_pixel(stride),) * 2
        ways = {
            "interpolate": lambda x, s=stride: F.interpolate(
                x, scale_factor=s, mode="bilinear", align_corners=False
            ),
            "matrix products": lambda x, p=place, size=(height, width): upsample(x, p, size),
            "transposed conv": lambda x, k=kernel, s=stride: F.conv_transpose2d(
                x, k, stride=s, padding=s // 2
            ),
        }
        base: tuple[float, float] | None = None
        for name, way in ways.items():

            def forward(way=way, scores=scores):
                with torch.inference_mode():
                    way(scores)

            def both(way=way, scores=scores):
                leaf = scores.clone().requires_grad_()
                way(leaf).sum().backward()

            (ahead, spread), (round_trip, spread_both) = timed(forward), timed(both)
            base = base or (ahead, round_trip)
            case = f"{batch}, {classes}, {stride}, {height} x {width}"
            figures = [f"{ahead:8.1f} ±{spread:5.1f} ({base[0] / ahead:4.2f}x)"]
            figures += [f"{round_trip:8.1f} ±{spread_both:5.1f} ({base[1] / round_trip:4.2f}x)"]
            print(case.ljust(28), name.ljust(17), *figures)


if __name__ == "__main__":
    main()
