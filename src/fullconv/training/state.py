"""The state of a run on disk: one file, written beside and renamed, from which training goes on to the same bits."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch

from fullconv.errors import BundleError
from fullconv.storage import write_atomically

STATE = "state.safetensors"


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps done.
        epoch_loss: sum of the losses of the current epoch's steps so far.
        best: the best validation mean IU so far, 0..1; -1 before the first.
        seconds: training time so far.
    """

    step: int = 0
    epoch_loss: float = 0.0
    best: float = -1.0
    seconds: float = 0.0


def save_state(
    file: Path, networks: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, progress: Progress
) -> None:
    """Writes weights and buffers of networks, under their names, optimiser state and progress in one atomic file.

    Raises:
        StorageError: the disk is full or may not be written; the file that was there still is.
    """
    tensors = {
        f"{network}.{name}": tensor
        for network, module in networks.items()
        for name, tensor in module.state_dict().items()
    }
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entry.items()}
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_atomically(file, safetensors.torch.save(tensors, {"progress": json.dumps(vars(progress))}))


def load_state(
    file: Path, networks: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer
) -> Progress:
    """Puts a saved state into networks and an optimiser that were built from the same configuration.

    Raises:
        BundleError: there is none, or it does not fit.
    """
    try:
        with safetensors.safe_open(file, framework="pt") as opened:
            progress = Progress(**json.loads(opened.metadata()["progress"]))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        for network, module in networks.items():
            start = f"{network}."
            module.load_state_dict(
                {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
            )
        entries: dict[int, dict[str, Any]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            if kind == "optimizer":
                index, _, key = rest.partition(".")
                entries.setdefault(int(index), {})[key] = tensor
        optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})
    except FileNotFoundError:
        raise BundleError(f"no state to resume from at {file}; train without --resume") from None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RuntimeError, OSError) as error:
        raise BundleError(
            f"{file} cannot be resumed from: {str(error).splitlines()[0]}; start a new run"
        ) from None
    return progress
