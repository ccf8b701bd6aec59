"""What the numbers of a run depend on besides its configuration: with other facts it cannot go on to the same bits."""

import hashlib
import platform
from collections.abc import Sequence
from pathlib import Path

import torch

from fullconv.data.samples import Sample
from fullconv.data.shards.samples import ShardSamples
from fullconv.data.sources import MaskFile, signature
from fullconv.errors import ConfigError

REMEDIES = {
    "data": "put the files back as they were",
    "threads": "set OMP_NUM_THREADS to what it was",
    "processes": "start as many processes as before",
    "torch": "install the version that it began with",
    "processor": "go on with the kind of processor that it began on",
}
"""Fact -> what brings it back."""


def facts_of(samples: Sequence[Sample], device: torch.device, processes: int) -> dict[str, str]:
    """The facts of this process, as text."""
    processor = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"
    )
    return {
        "data": f"{len(samples)} samples, {digest_of(samples)}",
        "threads": str(torch.get_num_threads()),
        "processes": str(processes),
        "torch": torch.__version__,
        "processor": processor,
    }


def digest_of(samples: Sequence[Sample]) -> str:
    """Of the samples' names, the names of their files, and how large these are; times and folders are left out.

    Of shards, it is their names and how many samples and bytes they have.
    """
    digest = hashlib.sha256()
    if isinstance(samples, ShardSamples):
        for shard in samples.shards:
            digest.update(f"{shard.path.name} {shard.num_bytes} {shard.num_samples}\n".encode())
        return digest.hexdigest()[:16]
    for sample in samples:
        files: list[MaskFile] = [sample.picture, sample.mask, *sample.head_masks]
        if sample.extra is not None:
            files.append(sample.extra)
        told = [sample.name, *map(signature, files)]
        digest.update("\n".join(told).encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()[:16]


def check_facts(run: Path, before: dict[str, str], now: dict[str, str]) -> None:
    """Refuses to go on where something is not what it was.

    Raises:
        ConfigError: naming the first such fact.
    """
    for fact, remedy in REMEDIES.items():
        if before.get(fact) != now[fact]:
            raise ConfigError(
                f"{run} was trained with {fact} {before.get(fact, 'unknown')!r}, now it is {now[fact]!r}, which gives other "
                f"numbers; {remedy}, or add --force to go on all the same"
            )
