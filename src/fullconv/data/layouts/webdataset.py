"""WebDataset: tar shards, each sample in them as KEY.jpg and KEY.mask.png.

A split is what a list SPLIT.json tells of; without lists, all shards whose names, or their folders', have a split's name
in them: train-000000.tar, val-000000.tar, or train/0000.tar. Where no name has, a tenth of the shards becomes val. Shards
without an index beside them are gone through once.

Source: WebDataset, https://github.com/webdataset/webdataset, and its "WebDataset File Format Specification",
https://docs.google.com/document/d/18OdLjruFNX74ILmgrdiCI9J1fQZuhzzRBCHV9URWto0
"""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fullconv.data.classes import (
    CLASS_LISTS,
    EXAMPLE,
    existing,
    find_description,
    infer_labels,
    read_class_list,
)
from fullconv.data.contents import Dataset
from fullconv.data.layouts.folders import SPLIT_NAMES
from fullconv.data.shards.catalog import is_catalog, read_catalog
from fullconv.data.shards.index import Shard, open_shard
from fullconv.data.shards.samples import Roles, ShardSamples
from fullconv.errors import DataError
from fullconv.labels import LabelSet

NAME = "webdataset"

SPLITS = {"train": "train", "val": "val", "test": "test", **SPLIT_NAMES}

COMPRESSED = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".tar.zst")

MOST_LOOKED_THROUGH = 20_000
"""Where nothing names the classes, so many masks are looked through for them at most."""


def detect(folder: Path) -> bool:
    """Whether tar files lie in a folder, or in folders of it; compressed ones too, of which `read` says more."""
    return bool(_files(folder, (".tar", *COMPRESSED)))


def read(folder: Path) -> Dataset:
    """The data set in tar shards, with the classes of dataset.yaml or of a list of names, or of the ids found in the masks.

    Raises:
        DataError: a shard, an index or a list cannot be used, or the classes cannot be known.
    """
    packed = _files(folder, COMPRESSED)
    if packed and not _files(folder, (".tar",)):
        raise DataError(
            f"{packed[0]}: is compressed; expected plain tar shards, whose members can be reached; unpack it"
        )
    described = find_description(folder)
    description = described[1] if described else None
    extra = description.extra if description else None
    roles = Roles(
        heads=tuple(head.masks for head in description.heads) if description else (),
        extra=extra.folder if extra else None,
        extra_format=extra.form() if extra else None,
        shades=description.shades() if description else None,
    )
    lists = {path.stem: path for path in sorted(folder.glob("*.json")) if is_catalog(path)}
    by_split = {split: _listed(path) for split, path in lists.items()} or _found(folder)
    splits = {split: ShardSamples(shards, roles) for split, shards in by_split.items()}
    splits = {split: samples for split, samples in splits.items() if len(samples)}
    if not splits:
        raise DataError(
            f"{folder}: its tar files hold no pictures; expected KEY.jpg with KEY.mask.png; unpack other archives"
        )
    for samples in splits.values():
        samples[0]  # says at once what is wrong with all
    return Dataset(
        name=folder.resolve().name,
        root=folder,
        layout=f"{sum(map(len, by_split.values()))} tar shards"
        + (f" listed in {_names(lists)}" if lists else ""),
        labels=description.labels() if description and description.classes else _labels(folder, splits),
        splits=splits,
        heads=description.further_heads() if description else (),
        extra=roles.extra_format,
    )


def _files(folder: Path, ends: tuple[str, ...]) -> list[Path]:
    found = [*folder.glob("*"), *folder.glob("*/*")]
    return sorted(path for path in found if path.name.endswith(ends) and not path.name.startswith("."))


def _names(lists: dict[str, Path]) -> str:
    return ", ".join(path.name for path in lists.values())


def _listed(path: Path) -> list[Shard]:
    """The shards that a list tells of, all of which are there."""
    shards = []
    for entry in read_catalog(path).shardlist:
        tar = path.parent / entry.url
        if not tar.is_file():
            raise DataError(
                f"{tar}: no such file; {path.name} lists it; copy it there, or pack the data set again"
            )
        index = tar.with_suffix(".idx")
        if entry.filesize is None or not index.is_file():
            shards.append(open_shard(tar))
        else:
            shards.append(Shard(tar, entry.nsamples, entry.filesize, index))
    return shards


def _found(folder: Path) -> dict[str, list[Shard]]:
    """The shards that lie there, by the split that their names tell."""
    tars = _files(folder, (".tar",))
    with ThreadPoolExecutor() as threads:
        shards = dict(zip(tars, threads.map(open_shard, tars), strict=True))
    by_split: dict[str, list[Shard]] = {}
    for path, shard in shards.items():
        words = re.split(r"[-_. /]", path.relative_to(folder).as_posix().lower())
        split = next((SPLITS[word] for word in words if word in SPLITS), "")
        by_split.setdefault(split, []).append(shard)
    if "" not in by_split:
        return by_split
    if len(by_split) > 1:
        raise DataError(
            f"{by_split[''][0].path}: its name has no split in it, as those of other shards have; expected all or none; "
            "rename it, such as train-000000.tar"
        )
    by_hash = sorted(by_split[""], key=lambda shard: hashlib.sha256(shard.path.name.encode()).digest())
    val = set(by_hash[: max(1, round(len(by_hash) / 10))]) if len(by_hash) > 1 else set()
    return {
        "train": [shard for shard in by_split[""] if shard not in val],
        "val": [shard for shard in by_split[""] if shard in val],
    }


def _labels(folder: Path, splits: dict[str, ShardSamples]) -> LabelSet:
    for path in existing([folder], CLASS_LISTS):
        return read_class_list(path)
    number = sum(map(len, splits.values()))
    if number > MOST_LOOKED_THROUGH:
        raise DataError(
            f"{folder}: nothing names the classes of its {number:,} masks; add a dataset.yaml: {EXAMPLE}"
        )
    return infer_labels([sample.mask for samples in splits.values() for sample in samples])
