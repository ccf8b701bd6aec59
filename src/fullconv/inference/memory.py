"""How much of a picture a network may see at a time."""

import math
import os

import torch
from torch import nn

from fullconv.ops.tracing import trace_steps

ALIVE = 4
"""Feature maps as large as the largest that live at a time: input, output, a branch that is kept, and working memory."""

TILE_MEMORY = 1 << 30
"""Bytes that a tile's feature maps may take on the CPU; larger ones are not faster."""

BAND_MEMORY = 1 << 28
"""Bytes that a band's feature maps may take on the CPU; what the layers hold back comes on top."""

PROBE = 256


def bytes_per_pixel(model: nn.Module, channels: int = 3) -> float:
    """What a pass in float32 takes for each pixel of the picture, parameters left aside; an estimate from above."""
    _, steps = trace_steps(model, (PROBE, PROBE), channels)
    largest = max((step.channels * math.prod(step.size_hw) for step in steps), default=channels * PROBE**2)
    return ALIVE * 4 * largest / PROBE**2


def available_memory(device: torch.device) -> int:
    """Free bytes on a GPU, or of the machine as far as it tells."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def fits_whole(num_pixels: int, per_pixel: float, device: torch.device) -> bool:
    """Whether a picture may be seen in one pass: with less than half of what is free."""
    return num_pixels * per_pixel < available_memory(device) / 2


def tile_side(per_pixel: float, device: torch.device, multiple: int) -> int:
    """The side of the square windows, halo included, that keep within their memory; a multiple of `multiple`."""
    memory = TILE_MEMORY if device.type == "cpu" else available_memory(device) / 4
    return max(1, int(math.sqrt(memory / per_pixel)) // multiple) * multiple


def band_rows(per_pixel: float, device: torch.device, width: int) -> int:
    """The rows of a streamed picture that are read at a time, at least 8."""
    memory = BAND_MEMORY if device.type == "cpu" else available_memory(device) / 8
    return max(8, int(memory / per_pixel) // width // 8 * 8)
