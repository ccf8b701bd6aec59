"""The state of a sharded run on disk: a folder with a safetensors file of each process and a manifest with their digests.

torch.distributed.checkpoint (DCP) says which process writes what, and puts shards together in other numbers of processes too. Of
its formats the one without pickle is used, safetensors; the manifest takes the place of DCP's own `.metadata`.
"""

import hashlib
import json
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import Tensor
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.metadata import TensorStorageMetadata
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from fullconv.bundle import digest
from fullconv.errors import BundleError, StorageError
from fullconv.storage import fresh_name, newest, replaced_folder
from fullconv.training.state import Progress, set_optimizer, state_tensors
from fullconv.training.world import World

MANIFEST = "state.json"


def save_shards(
    folder: Path,
    networks: dict[str, torch.nn.Module],
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    facts: dict[str, str],
    world: World,
) -> None:
    """Writes what `state.save_state` writes, each process its shards; all of them take part.

    The folder is filled beside its place, synced, and renamed by the leader: killed at any moment, the old or the new one is
    there (see `storage.newest`).

    Raises:
        StorageError: the disk is full or may not be written; the folder that was there still is.
    """
    with replaced_folder(folder) if world.leads else nullcontext():
        world.wait()  # until the folder to fill is there
        fresh = fresh_name(folder)
        try:
            writer = HuggingFaceStorageWriter(str(fresh), save_distributed=True)
            save(state_tensors(networks, optimizer), storage_writer=writer)
        except CheckpointException as error:
            raise StorageError(
                f"cannot write {folder}: {reason_of(error)}; free space or choose another folder"
            ) from None
        about = {
            "progress": vars(progress),
            "facts": facts,
            "files": digests_of(sorted(fresh.iterdir()), world),
        }
        if world.leads:
            (fresh / MANIFEST).write_text(json.dumps(about | {"sha256": digest(about)}), encoding="utf-8")
    world.wait()  # until it has its name: a process that ends takes the others along


def load_shards(
    folder: Path, networks: dict[str, torch.nn.Module], optimizer: torch.optim.Optimizer, world: World
) -> tuple[Progress, dict[str, str]]:
    """Puts a saved state into sharded networks and their optimiser; all processes take part, as many as saved it or others.

    Returns:
        How far the run was, and its facts.

    Raises:
        BundleError: there is none, it is damaged, or it does not fit.
    """
    folder = newest(folder)
    about = read_manifest(folder, world)
    reader = HuggingFaceStorageReader(str(folder))
    saved = reader.read_metadata().state_dict_metadata
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    try:
        wanted = state_tensors(networks, optimizer) | {
            name: empty_like(parameters[int(name.split(".")[1])], entry)
            for name, entry in saved.items()
            if name.startswith("optimizer.") and isinstance(entry, TensorStorageMetadata)
        }
        if wanted.keys() != saved.keys():
            raise ValueError(f"{min(wanted.keys() ^ saved.keys())} is only in one of both")
        load(wanted, storage_reader=reader)
        set_optimizer(optimizer, wanted)
        return Progress(**about["progress"]), about["facts"]
    except (CheckpointException, KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise BundleError(f"{folder} cannot be resumed from: {reason_of(error)}; start a new run") from None


def read_shards(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a folder of shards says of itself, and its tensors put together, in a process of its own.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    folder = newest(folder)
    about = read_manifest(folder, World(0, 1, torch.device("cpu")))
    reader = HuggingFaceStorageReader(str(folder))
    tensors = {
        name: torch.empty(entry.size, dtype=entry.properties.dtype)
        for name, entry in reader.read_metadata().state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.distributed is disabled", UserWarning)  # as it should be
        load(tensors, storage_reader=reader, no_dist=True)
    return about, tensors


def read_manifest(folder: Path, world: World) -> dict[str, Any]:
    """What a folder of shards says of itself, after each file in it was found to be what was written.

    Raises:
        BundleError: there is none, or it is damaged.
    """
    try:
        about = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(about, dict) or about.pop("sha256", None) != digest(about):
            raise ValueError(f"the digest of {MANIFEST} is wrong")
        files = sorted(file for file in folder.iterdir() if file.name != MANIFEST)
        if [file.name for file in files] != list(about["files"]):
            raise ValueError(f"its files are not those of {MANIFEST}")
        found = digests_of(files, world)
        wrong = [name for name, sha256 in about["files"].items() if found[name] != sha256]
        if wrong:
            raise ValueError(f"the digest of {wrong[0]} is wrong")
        return about
    except FileNotFoundError:
        raise BundleError(f"no state to resume from at {folder}; train without --resume") from None
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError, RecursionError, OSError) as error:
        raise BundleError(f"{folder} is damaged: {str(error).splitlines()[0]}; start a new run") from None


def digests_of(files: list[Path], world: World) -> dict[str, str]:
    """Name -> SHA-256 of files, of which each process reads its share."""
    digests = torch.zeros(len(files), 32, dtype=torch.int64)
    for index in world.share(range(len(files))):
        with files[index].open("rb") as file:
            digests[index] = torch.tensor(list(hashlib.file_digest(file, "sha256").digest()))
    rows = world.sum(digests).tolist()
    return {file.name: bytes(row).hex() for file, row in zip(files, rows, strict=True)}


def empty_like(parameter: Tensor, entry: TensorStorageMetadata) -> Tensor:
    """A place for an optimiser's saved value: in shards where it has its parameter's shape, else whole, as a count of steps."""
    if entry.size == parameter.shape:
        return torch.zeros_like(parameter, dtype=entry.properties.dtype)
    return torch.zeros(entry.size, dtype=entry.properties.dtype)


def reason_of(error: BaseException) -> str:
    """One line; of several processes' errors the first's."""
    if isinstance(error, CheckpointException):
        error = next(iter(error.failures.values()))[0]
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
