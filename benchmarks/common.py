"""What every benchmark prints and how it times."""

import platform
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torchvision


def machine() -> str:
    capabilities = torch.cpu.get_capabilities()
    native = [name for name in ("amx_bf16", "avx512_bf16") if capabilities.get(name)]
    cpu = f"{capabilities.get('cpu_name', platform.processor())}, {torch.get_num_threads()} threads"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    return f"{cpu}, {', '.join(native) or 'no bf16'}; {versions}"


def timed(work: Callable[[], Any], repeats: int = 7) -> tuple[float, float]:
    """Median and spread (interquartile range) of the milliseconds that `work` takes, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    low, _, high = statistics.quantiles(times, n=4)
    return statistics.median(times), high - low
