"""Packing a data set into tar shards, in WebDataset's convention.

Of each split SPLIT-000000.tar, SPLIT-000001.tar, ..., each with its index, and SPLIT.json, the list of them; a
dataset.yaml for all. Of each sample KEY.jpg (or .png, ...: the picture's bytes as they are), KEY.mask.png (ids, with
the class colours as palette), and where there are such KEY.extra.png (as it is) and KEY.head0.png, KEY.head1.png, ...
A key is the sample's name, percent-encoded where it is not made of letters, digits, "_", "-", "~" and "/".

The same data set gives the same bytes, whenever and wherever it is packed by the same versions of Pillow and zlib.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import yaml

from fullconv.data.contents import Dataset
from fullconv.data.masks import encode_mask, read_mask
from fullconv.data.pictures import open_file, open_header
from fullconv.data.samples import Sample
from fullconv.data.shards.catalog import Catalog, ShardEntry
from fullconv.data.shards.index import Record, index_text
from fullconv.data.shards.tar import END, Entry, header, padding
from fullconv.data.sources import PictureFile, signature
from fullconv.errors import InputError, StorageError
from fullconv.labels import LabelSet
from fullconv.lookahead import ahead, pool
from fullconv.storage import write_atomically, write_text_atomically

SHARD_MB = 256.0

_SUFFIXES = {
    "JPEG": "jpg",
    "MPO": "jpg",
    "PNG": "png",
    "WEBP": "webp",
    "BMP": "bmp",
    "TIFF": "tif",
    "GIF": "gif",
    "PPM": "ppm",
}
_JOURNAL = "journal.jsonl"

Files = dict[str, bytes]
"""The members of a sample, by extension."""


@dataclass(frozen=True)
class _Task:
    """What is packed, and where to."""

    dataset: Dataset
    folder: Path
    limit: int


def write_shards(
    dataset: Dataset,
    folder: Path,
    shard_mb: float = SHARD_MB,
    seen: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, int]:
    """Packs a data set into shards; where it was interrupted, it goes on behind the last whole shard.

    The folder takes its name when all of it is there; until then its parts lie beside, in `.NAME.partial`. A split
    whose samples are all in others, as VOC's trainval, is left out.

    Args:
        dataset: what is packed.
        folder: where to; new, or empty.
        shard_mb: a shard ends when it has so many megabytes (10^6 bytes).
        seen: called with (done, total) samples.

    Returns:
        The samples of each split that was packed.

    Raises:
        InputError: `folder` holds something, or `shard_mb` is none.
        PictureError, DataError: a sample cannot be read.
        StorageError: the disk is full or may not be written.
    """
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{folder}: is there already; expected a new folder; choose another, or remove it")
    if not 0 < shard_mb < 1e9:
        raise InputError(f"got shards of {shard_mb} MB; expected more than 0")
    splits = _splits_once(dataset)
    total = sum(map(len, splits.values()))
    task = _Task(
        dataset, folder.absolute().with_name(f".{folder.absolute().name}.partial"), int(shard_mb * 1e6)
    )
    try:
        task.folder.mkdir(parents=True, exist_ok=True)
        finished = _resumed(task, _plan(task, splits))
        done = 0
        for split, samples in splits.items():
            entries = [entry for of, entry in finished if of == split]
            first = sum(entry.nsamples for entry in entries)
            done += first
            for entry in _packed(task, split, samples[first:], len(entries)):
                entries.append(entry)
                done += entry.nsamples
                seen(done, total)
            catalog = Catalog(name=split, shardlist=tuple(entries))
            write_text_atomically(task.folder / f"{split}.json", catalog.text())
        write_text_atomically(task.folder / "dataset.yaml", _description(dataset))
        (task.folder / _JOURNAL).unlink()
        if folder.exists():
            folder.rmdir()
        task.folder.rename(folder)
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; free space or choose another folder"
        ) from error
    return {split: len(samples) for split, samples in splits.items()}


def _splits_once(dataset: Dataset) -> dict[str, Sequence[Sample]]:
    """The splits without those that others make up; smaller ones come first, and stay."""
    kept: dict[str, Sequence[Sample]] = {}
    held: set[PictureFile] = set()
    for split, samples in sorted(dataset.splits.items(), key=lambda item: len(item[1])):
        pictures = {sample.picture for sample in samples}
        if not kept or not pictures <= held:
            kept[split] = samples
            held |= pictures
    return {split: samples for split, samples in dataset.splits.items() if split in kept}


def _plan(task: _Task, splits: dict[str, Sequence[Sample]]) -> str:
    """A digest of all that decides the shards' bytes, to know whether an earlier attempt was at the same."""
    digest = hashlib.sha256(f"{task.limit}\n{_description(task.dataset)}".encode())
    for split, samples in splits.items():
        for sample in samples:
            sources = [
                sample.picture,
                sample.mask,
                *sample.head_masks,
                *([sample.extra] if sample.extra else []),
            ]
            told = "\n".join([split, sample.name, *map(signature, sources)])
            digest.update(told.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()


def _resumed(task: _Task, plan: str) -> list[tuple[str, ShardEntry]]:
    """The split and the entry of each whole shard that an earlier attempt left; all else that it left is removed."""
    journal = task.folder / _JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True) if journal.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith(b"}\n")]
    finished = []
    if whole and whole[0].get("plan") == plan:
        finished = [(line.pop("split"), ShardEntry(**line)) for line in whole[1:]]
    names = {entry.url for _, entry in finished} | {f"{Path(entry.url).stem}.idx" for _, entry in finished}
    for left in task.folder.iterdir():
        if left.name not in names:
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    _note(task, {"plan": plan})
    for split, entry in finished:
        _note(task, {"split": split, **entry.model_dump()})
    return finished


def _note(task: _Task, line: dict[str, object]) -> None:
    """Adds a line to the journal, and waits until the disk has it."""
    with (task.folder / _JOURNAL).open("a", encoding="utf-8") as journal:
        journal.write(json.dumps(line) + "\n")
        journal.flush()
        os.fsync(journal.fileno())


def _packed(task: _Task, split: str, samples: Iterable[Sample], number: int) -> Iterator[ShardEntry]:
    """Writes the shards of a split from `number` on."""
    with pool() as threads:
        files = ahead(threads, lambda sample: _files(task.dataset, sample), samples)
        waiting = next(files, None)
        while waiting is not None:
            path = task.folder / f"{split}-{number:06d}.tar"
            digest, records, position = hashlib.sha256(), list[Record](), 0
            with path.open("wb") as tar:
                while waiting is not None and (position < task.limit or not records):
                    content, record, position = _members(*waiting, position)
                    for part in content:
                        tar.write(part)
                        digest.update(part)
                    records.append(record)
                    waiting = next(files, None)
                tar.write(END)
                digest.update(END)
                tar.flush()
                os.fsync(tar.fileno())
            write_atomically(path.with_suffix(".idx"), index_text(records))
            entry = ShardEntry(
                url=path.name, nsamples=len(records), filesize=position + len(END), sha256=digest.hexdigest()
            )
            _note(task, {"split": split, **entry.model_dump()})
            yield entry
            number += 1


def _members(key: str, files: Files, position: int) -> tuple[list[bytes], Record, int]:
    """The bytes of a sample in a tar, from `position` on, its members, and where the next sample begins."""
    content, record = list[bytes](), Record()
    for extension, data in files.items():
        name = f"{key}.{extension}"
        head = header(name, len(data))
        record[extension] = Entry(name, position + len(head), len(data))
        parts = [head, data, padding(len(data))]
        content += parts
        position += sum(map(len, parts))
    return content, record, position


def _files(dataset: Dataset, sample: Sample) -> tuple[str, Files]:
    """A sample's key and its files."""
    picture, suffix = _as_it_is(sample.picture)
    mask = encode_mask(read_mask(sample.mask, dataset.labels, sample.shades), dataset.labels)
    files = {suffix: picture, "mask.png": mask}
    if sample.extra is not None:
        extra, suffix = _as_it_is(sample.extra)
        files[f"extra.{suffix}"] = extra
    for index, (head, source) in enumerate(zip(dataset.heads, sample.head_masks, strict=True)):
        files[f"head{index}.png"] = encode_mask(read_mask(source, head.labels), head.labels)
    return key_of(sample.name), files


def _as_it_is(source: PictureFile) -> tuple[bytes, str]:
    """A picture file's bytes, and the suffix of what they are."""
    with open_file(source) as stream:
        suffix = _SUFFIXES[open_header(stream, str(source)).format or ""]
        stream.seek(0)
        return stream.read(), suffix


def key_of(name: str) -> str:
    """A sample's name as a key: dots end a key in WebDataset, and tar and DALI are sure of ASCII alone.

    >>> key_of("seq 1/frame.0001")
    'seq%201/frame%2E0001'
    """
    key = quote(name, safe="/", errors="surrogateescape").replace(".", "%2E")
    return "%5F" + key[1:] if key.startswith("__") else key  # WebDataset takes __NAME__ for something else


def _description(dataset: Dataset) -> str:
    """The dataset.yaml of the shards."""

    def entries(labels: LabelSet) -> list[dict[str, object]]:
        return [{"name": n, "color": list(c)} for n, c in zip(labels.names, labels.colors, strict=True)]

    told: dict[str, object] = {
        "name": dataset.name,
        "layout": "webdataset",
        "classes": entries(dataset.labels),
        "ignore": list(dataset.labels.ignore_ids),
    }
    if dataset.extra is not None:
        bounds = {} if dataset.extra.range is None else {"range": list(dataset.extra.range)}
        told["extra"] = {"folder": "extra", "channels": dataset.extra.channels, **bounds}
    if dataset.heads:
        told["heads"] = [
            {
                "name": head.name,
                "masks": f"head{index}",
                "classes": entries(head.labels),
                "ignore": list(head.labels.ignore_ids),
            }
            for index, head in enumerate(dataset.heads)
        ]
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True)
