"""Where to compute, and in which precision."""

import ctypes
import platform
from typing import Literal

import torch

from fullconv.errors import ConfigError

Precision = Literal["fp32", "bf16", "int8"]
"""What convolutions are computed in."""

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Of glibc's malloc.h."""

NARROW = 64
"""Pixels: see `precision_for`."""


def keep_freed_memory() -> bool:
    """Has the C library keep what is freed for the next tensors, where it is glibc.

    By itself it gives each large block back to the system and takes it anew, page by page, at every layer of every step: a
    third of a training step's time on a CPU (benchmarks/training.py). The process then stays as large as it once was.

    Returns:
        Whether it will.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if platform.libc_ver()[0] == "glibc" else None
    return mallopt is not None and bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))


def return_freed_memory() -> None:
    """Gives the pages that nothing lies in any more back to the system, where the C library is glibc.

    By itself it gives back only what lies at the end of its heap, so that one small thing there keeps all below it.
    """
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def pick_device(name: str = "auto") -> torch.device:
    """ "auto" is the GPU where there is one, else the CPU; any other name is torch's.

    Raises:
        ConfigError: no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device {name!r} cannot be used ({str(error).splitlines()[0]}); expected 'auto', 'cpu' or 'cuda'"
        ) from None
    return device


def pick_precision(name: str, device: torch.device) -> Precision:
    """ "auto" is bfloat16 where the machine computes it natively, and so gains from it, else float32.

    Raises:
        ConfigError: not "auto", "fp32" or "bf16".
    """
    if name == "fp32" or name == "bf16":
        return name
    if name != "auto":
        raise ConfigError(f"precision {name!r} is not known; expected auto, fp32 or bf16")
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    capabilities = (
        torch.cpu.get_capabilities()
        if device.type == "cpu" and hasattr(torch.cpu, "get_capabilities")
        else {}
    )
    return "bf16" if capabilities.get("amx_bf16") or capabilities.get("avx512_bf16") else "fp32"


def precision_for(width: int, device: torch.device, precision: Precision) -> Precision:
    """`precision`, but float32 for pictures on a CPU that are too narrow for its convolutions in bfloat16.

    oneDNN's strided convolutions with AMX give wrong numbers, and read memory that nobody wrote, where their output is one wide
    and some rows high: whatever is narrower than `NARROW` pixels comes to that in a network of stride 32.

    >>> precision_for(2, torch.device("cpu"), "bf16"), precision_for(90, torch.device("cpu"), "bf16")
    ('fp32', 'bf16')
    """
    return "fp32" if device.type == "cpu" and width < NARROW else precision


def autocast(device: torch.device, precision: Precision) -> torch.autocast:
    """A context in which convolutions and matrix products run in `precision`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
