"""Columns of bytes in Parquet files, a page at a time.

Only what pictures in tables need is here: columns of bytes that are in no list. Every length is held against the file
before it is believed, so that a damaged file ends in an error and not, as it may in libraries written for speed, in the
end of the process. A cell costs the headers of its column's pages and one page, wherever in its row group it is.

Source: Apache Parquet, "File Format" (https://parquet.apache.org/docs/file-format/) and parquet.thrift
(https://github.com/apache/parquet-format), whose field ids stand here as numbers.
"""

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.thrift import Malformed, read_struct, read_varint
from fullconv.errors import DataError

MAX_FOOTER = 2**24
MAX_PAGE = 2**28
"""The longest page, unpacked; a page has at least one value."""

KEPT_PAGES = 8

Column = tuple[str, ...]
"""The name of a column, and those of the fields down to the one that is meant."""

Stamp = tuple[int, int]
"""Length and time of a file, so that what is kept of it ends with it."""

_BYTE_ARRAY, _OPTIONAL, _REPEATED = 6, 1, 2
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_PLAIN, _DICTIONARY_ENCODINGS = 0, (2, 8)
_CODECS = {1: "snappy", 4: "brotli", 6: "zstd", 7: "lz4_raw"}


@dataclass(frozen=True)
class Chunk:
    """A column of one row group: where its pages are, and how they are packed."""

    begin: int
    end: int
    codec: int


@dataclass(frozen=True)
class Table:
    """What a Parquet file says about itself.

    Attributes:
        levels: of each column of bytes, how many of the fields above and it may be absent.
        groups: of each row group the number of rows and the columns' chunks.
        notes: what its writer noted, by key.
    """

    levels: dict[Column, int]
    groups: tuple[tuple[int, dict[Column, Chunk]], ...]
    notes: dict[bytes, bytes]


@dataclass(frozen=True)
class _Page:
    """Where a page's content begins, and what its header says."""

    begin: int
    size: int
    unpacked: int
    kind: int
    about: dict[int, Any]

    @property
    def num_values(self) -> int:
        return self.about[1]


def stamp_of(path: Path) -> Stamp:
    about = path.stat()
    return about.st_size, about.st_mtime_ns


def read_table(path: Path) -> Table:
    """The columns and row groups of a file.

    Raises:
        DataError: it is no Parquet file, or damaged.
        OSError: it cannot be read.
    """
    return _guarded(_table, path, path, stamp_of(path))


def read_cell(path: Path, column: Column, group: int, row: int) -> bytes | None:
    """One value of a column of bytes, None where it is absent; errors as of `read_table`."""
    return _guarded(_cell, path, path, column, group, row)


def read_column(path: Path, column: Column, group: int) -> list[bytes | None]:
    """All values of a column of bytes in one row group; errors as of `read_table`."""
    return _guarded(_column, path, path, column, group)


def _guarded(read: Any, path: Path, *args: Any) -> Any:
    try:
        return read(*args)
    except DataError:
        raise
    except (
        Malformed,
        AttributeError,
        StopIteration,
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        OverflowError,
        zlib.error,
    ):
        raise DataError(f"{path}: is damaged, or no Parquet file; copy or download it again") from None


@lru_cache(maxsize=64)
def _table(path: Path, stamp: Stamp) -> Table:
    size = stamp[0]
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        tail = file.read(8)
        if tail[4:] == b"PARE":
            raise DataError(f"{path}: is encrypted; expected plain Parquet; decrypt it first")
        length = int.from_bytes(tail[:4], "little")
        if tail[4:] != b"PAR1" or length > min(size - 8, MAX_FOOTER):
            raise Malformed
        file.seek(size - 8 - length)
        about, _ = read_struct(file.read(length))
    groups = []
    for group in about[4]:
        chunks = {_names(column[3][3]): _chunk(column[3], size) for column in group[1] if 3 in column}
        if not 0 <= group[3] <= size:  # each row has a picture of a byte at least
            raise Malformed
        groups.append((group[3], chunks))
    notes = {note[1]: note.get(2, b"") for note in about.get(5, [])}
    return Table(_levels(about[2]), tuple(groups), notes)


def _names(parts: list[bytes]) -> Column:
    return tuple(part.decode("utf-8", "replace") for part in parts)


def _chunk(about: dict[int, Any], size: int) -> Chunk:
    begin = min(about[9], about[11]) if about.get(11, 0) > 0 else about[9]
    end = begin + about[7]
    if not 0 <= begin <= end <= size:
        raise Malformed
    return Chunk(begin, end, about[4])


def _levels(schema: list[dict[int, Any]]) -> dict[Column, int]:
    """Of each column of bytes that is in no list: how many levels of it may be absent."""
    levels: dict[Column, int] = {}
    open_fields: list[list[Any]] = [
        [(), 0, False, schema[0].get(5, 0)]
    ]  # names, level, in a list, fields to come
    for element in schema[1:]:
        while open_fields and open_fields[-1][3] == 0:
            open_fields.pop()
        if not open_fields or len(open_fields) > 64:
            raise Malformed
        names, level, repeated, _ = open_fields[-1]
        open_fields[-1][3] -= 1
        kind = element.get(3, 0)
        names = (*names, *_names([element[4]]))
        level, repeated = level + (kind == _OPTIONAL), repeated or kind == _REPEATED
        if element.get(5):
            open_fields.append([names, level, repeated, element[5]])
        elif element.get(1) == _BYTE_ARRAY and not repeated:
            levels[names] = level
    return levels


def _cell(path: Path, column: Column, group: int, row: int) -> bytes | None:
    stamp = stamp_of(path)
    for page in _pages(path, stamp, column, group):
        if row < page.num_values:
            value = _values(path, stamp, column, group, page.begin)[row]
            return None if value is None else bytes(value)
        row -= page.num_values
    raise Malformed


def _column(path: Path, column: Column, group: int) -> list[bytes | None]:
    stamp = stamp_of(path)
    values: list[bytes | None] = []
    for page in _pages(path, stamp, column, group):
        found = _values(path, stamp, column, group, page.begin)
        values += [None if value is None else bytes(value) for value in found]
    return values


def _pages(path: Path, stamp: Stamp, column: Column, group: int) -> tuple[_Page, ...]:
    """The pages with data, in order."""
    return tuple(page for page in _all_pages(path, stamp, column, group) if page.kind != _DICTIONARY)


@lru_cache(maxsize=256)
def _all_pages(path: Path, stamp: Stamp, column: Column, group: int) -> tuple[_Page, ...]:
    rows, chunks = _table(path, stamp).groups[group]
    chunk = chunks[column]
    pages, at, left = [], chunk.begin, rows
    with path.open("rb") as file:
        while at < chunk.end and left > 0:
            about, length = _header(file, at, chunk.end)
            begin, size, unpacked = at + length, about[3], about[2]
            kind = about[1]
            if size < 0 or begin + size > chunk.end or not 0 <= unpacked <= MAX_PAGE:
                raise Malformed
            if kind in (_DATA, _DICTIONARY, _DATA_V2):
                page = _Page(
                    begin, size, unpacked, kind, about[{_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}[kind]]
                )
                if not 0 <= page.num_values <= rows:
                    raise Malformed
                pages.append(page)
                left -= page.num_values if kind != _DICTIONARY else 0
            at = begin + size
    if left:
        raise Malformed
    return tuple(pages)


def _header(file: Any, at: int, end: int) -> tuple[dict[int, Any], int]:
    """A page's header, which may hold long statistics, and its length."""
    for window in (2**9, 2**13, 2**20):
        file.seek(at)
        data = file.read(min(window, end - at))
        try:
            return read_struct(data)
        except Malformed:
            if len(data) < window:
                raise
    raise Malformed


@lru_cache(maxsize=KEPT_PAGES)
def _values(path: Path, stamp: Stamp, column: Column, group: int, begin: int) -> list[memoryview | None]:
    """The values of the page whose content begins there."""
    pages = _all_pages(path, stamp, column, group)
    page = next(page for page in pages if page.begin == begin)
    table = _table(path, stamp)
    level, codec = table.levels[column], table.groups[group][1][column].codec
    data, present = _content(path, page, codec, level)
    count = int(present.sum())
    if page.kind == _DICTIONARY or page.about[4 if page.kind == _DATA_V2 else 2] == _PLAIN:
        found = _plain(data, count)
    elif page.about[4 if page.kind == _DATA_V2 else 2] in _DICTIONARY_ENCODINGS:
        first = next(other for other in pages if other.kind == _DICTIONARY)
        words = _values(path, stamp, column, group, first.begin)
        width = data[0] if count else 0
        found = [words[index] for index in _runs(data[1:], width, count).tolist()]
    else:
        raise DataError(
            f"{path}: a page of {'.'.join(column)} has a rare encoding; write it again with plain encoding"
        )
    values = iter(found)
    return [next(values) if each else None for each in present.tolist()]


def _content(path: Path, page: _Page, codec: int, level: int) -> tuple[memoryview, np.ndarray]:
    """A page's encoded values, unpacked, and which of its values are present: (num_values,) bool."""
    with path.open("rb") as file:
        file.seek(page.begin)
        data = memoryview(file.read(page.size))
    everything = np.ones(page.num_values, bool)
    if page.kind == _DATA_V2:
        head, repetition = page.about[5], page.about[6]
        if head < 0 or repetition or head > len(data):
            raise Malformed
        is_packed = page.about.get(7, True)
        values = data[head:]
        values = _unpacked(path, values, codec, page.unpacked - head) if is_packed else values
        present = _runs(data[:head], level.bit_length(), page.num_values) == level if level else everything
        return values, present
    data = _unpacked(path, data, codec, page.unpacked)
    if page.kind == _DICTIONARY or not level:
        return data, everything
    length = int.from_bytes(data[:4], "little")
    if 4 + length > len(data):
        raise Malformed
    present = _runs(data[4 : 4 + length], level.bit_length(), page.num_values) == level
    return data[4 + length :], present


def _unpacked(path: Path, data: memoryview, codec: int, size: int) -> memoryview:
    if codec == 0:
        return data
    if size < 0:
        raise Malformed
    if codec == 2:
        unpacked = zlib.decompressobj(31).decompress(data, size + 1)
    elif codec in _CODECS:
        try:
            unpacked = _pyarrow().decompress(data, size, codec=_CODECS[codec], asbytes=True) if size else b""
        except OSError:  # what it makes of bytes that do not unpack
            raise Malformed from None
    else:
        raise DataError(
            f"{path}: is packed in a rare way; expected snappy, zstd, gzip or none; write it again"
        )
    if len(unpacked) != size:
        raise Malformed
    return memoryview(unpacked)


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            f"the package pyarrow cannot be imported ({error}); install it: pip install 'fullconv[formats]'"
        ) from None
    return pyarrow


def _plain(data: memoryview, count: int) -> list[memoryview]:
    """Values one after the other, each behind its length in four bytes."""
    values, at = [], 0
    for _ in range(count):
        begin = at + 4
        at = begin + int.from_bytes(data[at:begin], "little")
        if begin > len(data) or at > len(data):
            raise Malformed
        values.append(data[begin:at])
    return values


def _runs(data: memoryview, width: int, count: int) -> np.ndarray:
    """(count,) int64 numbers of `width` bits, in runs of one value and in packs of eight."""
    if width > 32:
        raise Malformed
    if width == 0:
        return np.zeros(count, np.int64)
    parts, at, left = [], 0, count
    while left > 0:
        head, at = read_varint(data, at)
        if head & 1:
            size = min(head >> 1, -(-left // 8)) * width
            bits = np.unpackbits(np.frombuffer(data[at : at + size], np.uint8), bitorder="little")
            numbers = bits[: bits.size // width * width].reshape(-1, width).astype(np.int64)
            part = (numbers << np.arange(width)).sum(1)[:left]
            if not part.size:
                raise Malformed
        else:
            size = (width + 7) // 8
            value = int.from_bytes(data[at : at + size], "little")
            if at + size > len(data) or not head:
                raise Malformed
            part = np.full(min(head >> 1, left), value)
        parts.append(part)
        left, at = left - part.size, at + size
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
