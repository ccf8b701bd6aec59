"""What is where in a shard: a text file beside it, NAME.idx, of which each line is a sample.

The format is that of NVIDIA DALI, so either program reads the other's. The first line is "v1.2 SAMPLES"; each other
line tells the members of one sample, and of each its extension, offset, size and name:

    jpg 512 30112 a.jpg mask.png 31232 902 a.mask.png

Source: NVIDIA DALI, tools/wds2idx.py, https://github.com/NVIDIA/DALI/blob/main/tools/wds2idx.py. What belongs to a
sample: WebDataset, `base_plus_ext` and `group_by_keys`,
https://github.com/webdataset/webdataset/blob/main/src/webdataset/tariterators.py: adjacent files whose names are the
same up to the first dot after the last slash.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from fullconv.data.order import STRETCH
from fullconv.data.pictures import SUFFIXES
from fullconv.data.shards.tar import BLOCK, Entry, entries, size_before
from fullconv.download import cache_folder
from fullconv.errors import DataError, StorageError
from fullconv.storage import write_atomically

VERSION = "v1.2"

MOST_BYTES = 1 << 28
"""The longest index that is read; a sample takes about a hundred bytes."""

STRETCHES_HELD = 4096
"""A process keeps the lines of so many stretches of samples in memory, some thirty megabytes."""

_NAME = re.compile(r"((?:.*/)?[^./]+)[.]([^/]*)", re.DOTALL)

Record = dict[str, Entry]
"""The members of a sample by extension, in lower case: all behind the name's first dot."""


@dataclass(frozen=True)
class Shard:
    """A tar of samples.

    Attributes:
        path: the file.
        num_samples: how many are in it.
        num_bytes: its length.
        index: the index's file.
    """

    path: Path
    num_samples: int
    num_bytes: int
    index: Path

    def record(self, number: int) -> Record:
        """The members of a sample.

        Raises:
            DataError: the index is damaged, or belongs to another shard.
        """
        return self._record(_stretch(self, number // STRETCH)[number % STRETCH], number)

    def _record(self, line: bytes, number: int) -> Record:
        fields = line.split(b" ")
        record: Record = {}
        for start in range(0, len(fields), 4):
            try:
                extension, offset, size, name = fields[start : start + 4]
                entry = Entry(name.decode("utf-8"), int(offset), int(size))
            except ValueError:
                raise self.damaged(
                    f"line {number + 2} is not made of extension, offset, size and name"
                ) from None
            if entry.offset < BLOCK or entry.size < 0 or entry.offset + entry.size > self.num_bytes:
                raise self.damaged(f"line {number + 2} tells of bytes that the shard does not have")
            record[extension.decode("ascii", "replace").lower()] = entry
        return record

    def damaged(self, what: str) -> DataError:
        return DataError(
            f"{self.index}: is no index of {self.path.name}: {what}; expected a line for each sample; remove it, and the "
            "shard is gone through anew"
        )


@lru_cache(maxsize=STRETCHES_HELD)
def _stretch(shard: Shard, which: int) -> list[bytes]:
    """The lines of so many samples that stand together; as many bytes, at most, are held, not all of the index."""
    text = _read(shard.index, MOST_BYTES)
    ends = np.flatnonzero(np.frombuffer(text, np.uint8) == ord("\n"))
    told = _number_told(text, shard.index)
    if not told == len(ends) - 1 == shard.num_samples:
        raise shard.damaged(
            f"it tells of {told:,} samples and has {len(ends) - 1:,}, expected {shard.num_samples:,}"
        )

    def lines(first: int, last: int) -> list[bytes]:
        return text[ends[first] + 1 : ends[last]].split(b"\n")

    try:
        with shard.path.open("rb") as file:
            length = file.seek(0, 2)
            if length != shard.num_bytes:
                raise DataError(
                    f"{shard.path}: has {length:,} bytes; expected {shard.num_bytes:,}; copy it again"
                )
            for number in {0, told - 1}:
                for entry in shard._record(lines(number, number + 1)[0], number).values():
                    if size_before(file, entry.offset) != entry.size:
                        raise shard.damaged(f"{entry.name} is elsewhere in the shard")
    except OSError as error:
        raise DataError(f"{shard.path}: cannot be read ({error.strerror}); copy it again") from None
    return lines(which * STRETCH, min((which + 1) * STRETCH, told))


def open_shard(path: Path) -> Shard:
    """A shard with the index beside it; where none is, the shard is gone through, and the index kept in the cache.

    Raises:
        DataError: the shard or its index cannot be used.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); copy it again") from None
    index = path.with_suffix(".idx")
    if not index.is_file():
        told = f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode("utf-8", "surrogateescape")
        index = cache_folder() / "shards" / f"{hashlib.sha256(told).hexdigest()[:32]}.idx"
        if not index.is_file():
            records = [record for _, record in samples_in(entries(path)) if has_picture(record)]
            try:
                write_atomically(index, index_text(records))
            except StorageError as error:
                raise DataError(
                    f"{path}: has no index beside it, and {error}; or set FULLCONV_CACHE"
                ) from None
    return Shard(path, _number_told(_read(index, 64), index), status.st_size, index)


def samples_in(members: Iterable[Entry]) -> Iterator[tuple[str, Record]]:
    """The samples that adjacent members make, with their keys; what has no extension belongs to none."""
    key, record = "", Record()
    for entry in members:
        found = _NAME.fullmatch(entry.name)
        if found is None:
            continue
        if found[1] != key or found[2].lower() in record:
            if record:
                yield key, record
            key, record = found[1], Record()
        record[found[2].lower()] = entry
    if record:
        yield key, record


def has_picture(record: Record) -> bool:
    return any(f".{extension.rpartition('.')[2]}" in SUFFIXES for extension in record)


def index_text(records: Iterable[Record]) -> bytes:
    """The text of an index; white space in names, which the format has no place for, is percent-encoded.

    >>> index_text([{"jpg": Entry("a b.jpg", 512, 30)}])
    b'v1.2 1\\njpg 512 30 a%20b.jpg\\n'
    """
    lines = [
        " ".join(
            f"{_dense(key)} {entry.offset} {entry.size} {_dense(entry.name)}" for key, entry in record.items()
        )
        for record in records
    ]
    return "\n".join([f"{VERSION} {len(lines)}", *lines, ""]).encode("utf-8", "surrogateescape")


def _dense(name: str) -> str:
    return re.sub(r"\s", lambda space: "".join(f"%{byte:02X}" for byte in space[0].encode()), name)


def _read(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); remove it, and it is made anew"
        ) from None


def _number_told(text: bytes, path: Path) -> int:
    found = re.match(rb"v1\.2 (\d{1,12})\n", text)
    if found is None:
        raise DataError(
            f"{path}: is no index: begins with {text[:16]!r}, expected 'v1.2 SAMPLES'; remove it, and the shard is gone "
            "through anew"
        )
    return int(found[1])
