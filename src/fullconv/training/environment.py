"""With what and where a run computes, as its log and its report tell it."""

import platform
from importlib.metadata import version
from pathlib import Path

import torch

from fullconv.devices import Precision

PACKAGES = ("fullconv", "torch", "torchvision", "timm", "numpy")
"""Those that a run's numbers depend on."""


def environment_of(device: torch.device, precision: Precision, processes: int) -> dict[str, str]:
    """Versions, system, machine, threads and precision; neither the machine's name nor its user's.

    Args:
        device: where this process computes.
        precision: of its convolutions.
        processes: how many train together.
    """
    return {
        **{name: version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
        "machine": torch.cuda.get_device_name(device) if device.type == "cuda" else processor(),
        "device": str(device),
        "precision": precision,
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
    }


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """The processor's name as Linux tells it; elsewhere, and where it does not, the kind of machine."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(filter(None, names), platform.processor() or platform.machine())
