"""How much of a picture a network may see at a time."""

import math
import os
from pathlib import Path

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
    """Free bytes on a GPU, or of the machine and the container as far as they tell."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        with open("/proc/meminfo") as lines:
            fields = dict(line.split(":", 1) for line in lines)
        return min(int(fields["MemAvailable"].split()[0]) * 1024, left_of_group())
    except (OSError, KeyError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def left_of_group(own: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that a container or a service may still take, by the limit of its own group; without one, more than there are.

    Source: docs.kernel.org, "Control Group v2", memory.max, memory.current, memory.stat.
    """
    try:
        (path,) = (line[3:].strip("/\n") for line in own.read_text().splitlines() if line.startswith("0::"))
        group = root / path
        limit, used = int((group / "memory.max").read_text()), int((group / "memory.current").read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return max(0, limit - used + int(stat["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no such system, or no limit: "max"
        return 1 << 62


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
