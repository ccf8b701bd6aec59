"""Where the values of a column of bytes lie in an Arrow stream.

Only what pictures in tables need is here: structs of bytes and texts, uncompressed. Every length is held against the file
before it is believed, as in `parquetfile`.

Source: Apache Arrow, "Serialization and Interprocess Communication (IPC)"
(https://arrow.apache.org/docs/format/Columnar.html) with Schema.fbs and Message.fbs; FlatBuffers, "Internals"
(https://flatbuffers.dev/internals/).
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fullconv.data.thrift import Malformed
from fullconv.errors import DataError

MAX_HEADER = 2**24
_MAX_FIELDS = 10_000

_SCHEMA, _BATCH = 1, 3
_STRUCT = 13
_WIDTHS = {4: 4, 5: 4, 19: 8, 20: 8}
"""Types of bytes and texts -> the bytes of an offset."""

_BUFFERS = {
    1: 0, 2: 2, 3: 2, 4: 3, 5: 3, 6: 2, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2, 12: 2, 13: 1, 15: 2, 16: 1, 17: 2, 18: 2, 19: 3,
    20: 3, 21: 2,
}  # fmt: skip
"""Types -> how many buffers an array of them has besides its children's; others are not read."""

Column = tuple[str, ...]
Place = tuple[int, int]
"""Where a value begins in the file, and how long it is."""


@dataclass(frozen=True)
class Field:
    """A column or a field in one: its node and first buffer in a batch, and those of itself and of the structs around it."""

    kind: int
    validity: tuple[tuple[int, int], ...]

    @property
    def node(self) -> int:
        return self.validity[-1][0]

    @property
    def buffer(self) -> int:
        return self.validity[-1][1]


@dataclass(frozen=True)
class Stream:
    """What an Arrow stream holds.

    Attributes:
        fields: the columns and the fields in them.
        notes: what its writer noted, by key.
        places: of each column that was asked for the place of each value, None where it is absent.
    """

    fields: dict[Column, Field]
    notes: dict[bytes, bytes]
    places: dict[Column, list[Place | None]]


@dataclass(frozen=True)
class _Table:
    """A table in a FlatBuffer: fields are found through a table of offsets."""

    data: bytes
    at: int

    def _field(self, index: int) -> int:
        table = self.at - _number("i", self.data, self.at)
        if 4 + 2 * index >= _number("H", self.data, table):
            return 0
        offset = _number("H", self.data, table + 4 + 2 * index)
        return self.at + offset if offset else 0

    def number(self, index: int, kind: str) -> int:
        at = self._field(index)
        return _number(kind, self.data, at) if at else 0

    def table(self, index: int) -> "_Table | None":
        at = self._field(index)
        return _Table(self.data, at + _number("I", self.data, at)) if at else None

    def vector(self, index: int, width: int) -> tuple[int, int]:
        """Where a vector's items begin, and how many there are."""
        at = self._field(index)
        if not at:
            return 0, 0
        at += _number("I", self.data, at)
        size = _number("I", self.data, at)
        if at + 4 + size * width > len(self.data):
            raise Malformed
        return at + 4, size

    def tables(self, index: int) -> "list[_Table]":
        begin, size = self.vector(index, 4)
        places = range(begin, begin + 4 * size, 4)
        return [_Table(self.data, at + _number("I", self.data, at)) for at in places]

    def text(self, index: int) -> bytes:
        begin, size = self.vector(index, 1)
        return self.data[begin : begin + size]


def read_schema(path: Path) -> Stream:
    """The columns of a stream and its notes, without places; errors as of `read_stream`."""
    return read_stream(path, ())


def read_stream(path: Path, columns: tuple[Column, ...]) -> Stream:
    """Where the values of columns are.

    Raises:
        DataError: the file is no Arrow stream, is damaged or compressed, or a column is not of bytes or texts.
        OSError: it cannot be read.
    """
    try:
        return _read(path, columns)
    except DataError:
        raise
    except (Malformed, StopIteration, KeyError, IndexError, ValueError, struct.error, OverflowError):
        raise DataError(f"{path}: is damaged, or no Arrow stream; save or download it again") from None


def _read(path: Path, columns: tuple[Column, ...]) -> Stream:
    size = path.stat().st_size
    places: dict[Column, list[Place | None]] = {column: [] for column in columns}
    with path.open("rb") as file:
        messages = _messages(file, size)
        kind, header, _, _ = next(messages, (0, None, 0, 0))
        if kind != _SCHEMA or header is None:
            raise Malformed
        fields: dict[Column, Field] = {}
        _add_fields(fields, header.tables(1), (), [0, 0])
        notes = {note.text(0): note.text(1) for note in header.tables(2)}
        if columns:
            for kind, header, begin, length in messages:
                if kind == _BATCH and header is not None:
                    if header.table(3):
                        raise DataError(
                            f"{path}: is compressed; expected what save_to_disk writes; save it again"
                        )
                    for column in columns:
                        places[column] += _places(file, header, fields[column], begin, length)
    return Stream(fields, notes, places)


def _messages(file: BinaryIO, size: int) -> Iterator[tuple[int, _Table | None, int, int]]:
    """The type of each message, its header, and where its body begins and how long it is."""
    at = 0
    while at + 8 <= size:
        file.seek(at)
        start = file.read(8)
        marked = start[:4] == b"\xff\xff\xff\xff"  # streams of before 2019 have no mark
        length = int.from_bytes(start[4:] if marked else start[:4], "little")
        begin = at + (8 if marked else 4)
        if length == 0:
            return
        if length > MAX_HEADER or begin + length > size:
            raise Malformed
        file.seek(begin)
        data = file.read(length)
        message = _Table(data, _number("I", data, 0))
        body = message.number(3, "q")
        if body < 0 or begin + length + body > size:
            raise Malformed
        yield message.number(1, "B"), message.table(2), begin + length, body
        at = begin + length + body
    if at == 0:
        raise Malformed


def _add_fields(fields: dict[Column, Field], tables: list[_Table], above: Column, taken: list[int]) -> None:
    """Adds fields and their children in the order in which batches have their nodes and buffers."""
    for table in tables:
        kind, children = table.number(2, "B"), table.tables(5)
        coded = table.table(4) is not None  # in a batch such a column is one of numbers
        name = (*above, table.text(0).decode("utf-8", "replace"))
        if kind not in _BUFFERS or len(name) > 16 or taken[0] > _MAX_FIELDS:
            raise Malformed
        around = fields[above].validity if above else ()
        fields[name] = Field(2 if coded else kind, (*around, (taken[0], taken[1])))
        taken[0] += 1
        taken[1] += 2 if coded else _BUFFERS[kind]
        if not coded:
            _add_fields(fields, children, name, taken)


def _places(file: BinaryIO, batch: _Table, field: Field, begin: int, length: int) -> list[Place | None]:
    """The place of each value of a batch; the batch's body begins there and is so long."""
    nodes, num_nodes = batch.vector(1, 16)
    buffers, num_buffers = batch.vector(2, 16)
    if field.kind not in _WIDTHS or field.node >= num_nodes or field.buffer + 3 > num_buffers:
        raise Malformed
    rows = _pair(batch, nodes, field.node)[0]
    (ends_at, ends_size), (data_at, data_size) = (
        _span(batch, buffers, field.buffer + i, length) for i in (1, 2)
    )
    if not 0 <= rows <= length:
        raise Malformed
    if rows == 0:
        return []
    width = _WIDTHS[field.kind]
    if ends_size < (rows + 1) * width:
        raise Malformed
    file.seek(begin + ends_at)
    ends = np.frombuffer(file.read((rows + 1) * width), f"<i{width}").astype(np.int64)
    if ends[0] < 0 or (np.diff(ends) < 0).any() or ends[-1] > data_size:
        raise Malformed
    present = np.ones(rows, bool)
    for node, buffer in field.validity:
        if _pair(batch, nodes, node)[1]:
            at, size = _span(batch, buffers, buffer, length)
            if size < -(-rows // 8):
                raise Malformed
            file.seek(begin + at)
            bits = np.frombuffer(file.read(-(-rows // 8)), np.uint8)
            present &= np.unpackbits(bits, bitorder="little")[:rows].astype(bool)
    starts, sizes = (ends[:-1] + (begin + data_at)).tolist(), np.diff(ends).tolist()
    return [
        (at, size) if is_there else None
        for at, size, is_there in zip(starts, sizes, present.tolist(), strict=True)
    ]


def _pair(batch: _Table, begin: int, index: int) -> tuple[int, int]:
    """The two numbers of a node or of a buffer in a vector of them."""
    return struct.unpack_from("<qq", batch.data, begin + 16 * index)


def _span(batch: _Table, begin: int, index: int, length: int) -> tuple[int, int]:
    """Where a buffer begins in a body of that length, and how long it is."""
    at, size = _pair(batch, begin, index)
    if at < 0 or size < 0 or at + size > length:
        raise Malformed
    return at, size


def read_texts(path: Path, places: list[Place | None]) -> list[str | None]:
    """The texts at places of a file; those that are long for a name are None."""
    texts: list[str | None] = []
    with path.open("rb") as file:
        for place in places:
            if place is None or place[1] > 4096:
                texts.append(None)
                continue
            file.seek(place[0])
            texts.append(file.read(place[1]).decode("utf-8", "replace"))
    return texts


def _number(kind: str, data: bytes, at: int) -> Any:
    if at < 0:
        raise Malformed
    return struct.unpack_from(f"<{kind}", data, at)[0]
