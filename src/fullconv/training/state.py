"""The state of a run on disk: one file, written beside and renamed, from which training goes on to the same bits."""

import hashlib
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
SHARDS = "state"
"""The folder that takes its place where the state is in shards (`sharded_state`)."""


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: optimiser steps done.
        epoch_loss: sum of the losses of the current epoch's steps so far.
        best: the best validation mean IU so far, 0..1; -1 before the first.
        seconds: training time so far.
        epochs_since_best: epochs without a better mean IU.
        skipped: the last steps in a row whose loss was not finite.
    """

    step: int = 0
    epoch_loss: float = 0.0
    best: float = -1.0
    seconds: float = 0.0
    skipped: int = 0
    epochs_since_best: int = 0


def save_state(
    file: Path,
    networks: dict[str, torch.nn.Module],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    facts: dict[str, str],
) -> None:
    """Writes weights and buffers of networks, under their names, optimiser state, progress and facts in one atomic file.

    The file carries a SHA-256 of all of it.

    Raises:
        StorageError: the disk is full or may not be written; the file that was there still is.
    """
    tensors = {
        name: tensor.detach().cpu().contiguous()
        for name, tensor in state_tensors(networks, optimizer).items()
    }
    about = json.dumps({"progress": vars(progress), "facts": facts})
    digest = digest_of(about, safetensors.torch.save(tensors))
    write_atomically(file, safetensors.torch.save(tensors, {"about": about, "sha256": digest}))


def state_tensors(
    networks: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer
) -> dict[str, torch.Tensor]:
    """All that changes in training, by the name that it has on disk: "model.score.16.weight", "optimizer.0.exp_avg"."""
    tensors = {
        f"{network}.{name}": tensor
        for network, module in networks.items()
        for name, tensor in module.state_dict().items()
    }
    for index, entry in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in entry.items()}
    return tensors


def set_optimizer(optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]) -> None:
    """Puts the values of `state_tensors` that are an optimiser's into it."""
    entries: dict[int, dict[str, Any]] = {}
    for name, tensor in tensors.items():
        kind, _, rest = name.partition(".")
        if kind == "optimizer":
            index, _, key = rest.partition(".")
            entries.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": entries, "param_groups": optimizer.state_dict()["param_groups"]})


def load_state(
    file: Path, networks: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer
) -> tuple[Progress, dict[str, str]]:
    """Puts a saved state into networks and an optimiser that were built from the same configuration.

    Returns:
        How far the run was, and its facts.

    Raises:
        BundleError: there is none, it is damaged, or it does not fit.
    """
    about, tensors = read_state(file)
    try:
        for network, module in networks.items():
            start = f"{network}."
            module.load_state_dict(
                {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}
            )
        set_optimizer(optimizer, tensors)
        return Progress(**about["progress"]), about["facts"]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(
            f"{file} cannot be resumed from: {str(error).splitlines()[0]}; start a new run"
        ) from None


def read_state(file: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """What a state file says of itself, and its tensors.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    try:
        content = file.read_bytes()
        tensors = safetensors.torch.load(content)
        with safetensors.safe_open(file, framework="pt") as opened:
            metadata = opened.metadata()
        if digest_of(metadata["about"], content) != metadata["sha256"]:
            raise ValueError("its digest is wrong")
        return json.loads(metadata["about"]), tensors
    except FileNotFoundError:
        raise BundleError(f"no state to resume from at {file}; train without --resume") from None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise BundleError(f"{file} is damaged: {str(error).splitlines()[0]}; start a new run") from None


def digest_of(about: str, content: bytes) -> str:
    """Of what a safetensors file says of itself, of its tensors' names and shapes, and of their values."""
    length = int.from_bytes(content[:8], "little")
    header = {
        name: entry for name, entry in json.loads(content[8 : 8 + length]).items() if name != "__metadata__"
    }
    digest = hashlib.sha256(about.encode() + json.dumps(header, sort_keys=True).encode())
    digest.update(memoryview(content)[8 + length :])
    return digest.hexdigest()
