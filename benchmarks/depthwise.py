"""Strided depthwise convolutions, forward and backward, in bfloat16: as they are and with `ops/depthwise.py`; beside float32.

    python benchmarks/depthwise.py

The four of MobileNetV2, a batch of 8 crops of 320 x 320. Ratios compare with the same row's first column.
"""

import torch
from torch import nn

from common import machine, timed
from fullconv.devices import keep_freed_memory
from fullconv.ops.depthwise import StridedDepthwise

CASES = [(96, 160), (144, 80), (192, 40), (576, 20)]  # channels, pixels a side


def main() -> None:
    keep_freed_memory()
    print(machine())
    print("channels, side   bfloat16 ms        ours ms        float32 ms")
    for channels, side in CASES:
        layer = nn.Conv2d(channels, channels, 3, 2, 1, groups=channels, bias=False)
        layer = layer.to(memory_format=torch.channels_last)
        pictures = torch.randn(8, channels, side, side).to(memory_format=torch.channels_last)

        def both(bf16=True, layer=layer, pictures=pictures):
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                leaf = (pictures.bfloat16() if bf16 else pictures).requires_grad_()
                layer(leaf).sum().backward()

        def ours(both=both):
            with StridedDepthwise():
                both()

        base, spread = timed(both)
        fast, spread_fast = timed(ours)
        plain, spread_plain = timed(lambda both=both: both(bf16=False))
        print(
            f"{channels:4}, {side:4}    {base:8.1f} ±{spread:5.1f}   {fast:6.1f} ±{spread_fast:4.1f} ({base / fast:4.1f}x)   "
            f"{plain:6.1f} ±{spread_plain:4.1f} ({base / plain:4.1f}x)",
            flush=True,
        )


if __name__ == "__main__":
    main()
