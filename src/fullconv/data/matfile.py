"""Masks and names out of MATLAB's MAT-files, versions 5 to 7.

Only what was asked for is looked at, and nothing is allocated that the file does not pay for in bytes: lengths are
checked against what is left before anything is read.

Source: MathWorks, MAT-File Format, "Level 5 MAT-File Format"
(https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf).
"""

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.pictures import open_file
from fullconv.data.sources import Packed
from fullconv.errors import DataError

MAX_MAT_BYTES = 2**26
"""The longest file, and the longest array in it when it is unpacked."""

MAX_ELEMENTS = 65_536
"""The most fields or cells in one array."""

_HEADER = 128
_MATRIX, _COMPRESSED = 14, 15
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMBER_CLASSES = range(6, 16)

_NUMBERS = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip
"""Data type of an element -> numpy's."""

_CODECS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
"""Data type of an element of characters -> their encoding."""


class _Damaged(Exception):
    """The bytes are no MAT-file, or end too early."""


@dataclass(frozen=True)
class _Array:
    """An array: its parts are elements, each a data type and its bytes."""

    name: str
    kind: int
    dims: tuple[int, ...]
    parts: list[tuple[int, memoryview]]


def read_mat_array(path: Path | Packed, where: str) -> np.ndarray:
    """The numbers of a variable, or of a field in a struct.

    Args:
        path: the MAT-file.
        where: the variable's name, and after dots those of fields, as in "GTcls.Segmentation".

    Returns:
        An array of the variable's shape.

    Raises:
        PictureError: the file cannot be opened.
        DataError: it is no such file, is damaged, or has no numbers there.
    """
    array, order = _find(path, where)
    try:
        if array.kind not in _NUMBER_CLASSES or not array.parts:
            raise _Damaged
        kind, data = array.parts[0]
        numbers = np.frombuffer(data, np.dtype(f"{order}{_NUMBERS[kind]}"))
        if numbers.size != math.prod(array.dims):
            raise _Damaged
        return numbers.reshape(array.dims, order="F")
    except (_Damaged, KeyError, ValueError):
        raise DataError(f"{path}: {where} is no array of numbers; expected one; save it again") from None


def read_mat_names(path: Path | Packed, where: str) -> list[str]:
    """The texts of a cell array; as `read_mat_array`."""
    array, order = _find(path, where)
    try:
        if array.kind != _CELL:
            raise _Damaged
        cells = [_array(data, order) for kind, data in array.parts if kind == _MATRIX]
        return [_text(cell, order) for cell in cells]
    except (_Damaged, LookupError, UnicodeDecodeError):
        raise DataError(f"{path}: {where} is no list of names; expected a cell array of texts") from None


def _text(cell: _Array, order: str) -> str:
    if cell.kind != _CHAR:
        raise _Damaged
    kind, data = cell.parts[0] if cell.parts else (1, memoryview(b""))
    codec = _CODECS[kind]
    wide = "" if codec in ("latin-1", "utf-8") else {"<": "-le", ">": "-be"}[order]
    return bytes(data).decode(codec + wide)


def _find(path: Path | Packed, where: str) -> tuple[_Array, str]:
    """The array at `where`, and the file's byte order ("<" or ">")."""
    with open_file(path) as stream:
        data = stream.read(MAX_MAT_BYTES + 1)
    if len(data) > MAX_MAT_BYTES:
        raise DataError(f"{path}: has more than {MAX_MAT_BYTES:,} bytes; expected a mask's file; reduce it")
    if data[:20].startswith(b"MATLAB 7.3 MAT-file"):
        raise DataError(f"{path}: is a MAT-file of version 7.3; expected 5 to 7; save it with -v7")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise DataError(f"{path}: is no MAT-file of versions 5 to 7; copy it again, or save it with -v7")
    name, *fields = where.split(".")
    try:
        seen = []
        for array in _variables(memoryview(data)[_HEADER:], order):
            if array.name == name:
                for field in fields:
                    array = _field(array, field, order)
                return array, order
            seen.append(array.name)
    except (_Damaged, zlib.error, UnicodeDecodeError):
        raise DataError(f"{path}: is damaged or cut short, or lacks {where}; copy it again") from None
    found = ", ".join(seen[:8]) or "nothing"
    raise DataError(f"{path}: has no variable {name}, but {found}; expected {where}")


def _variables(data: memoryview, order: str) -> Iterator[_Array]:
    left = MAX_MAT_BYTES
    for kind, content in _elements(data, order):
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            unpacked = unpacker.decompress(content, left)
            left -= len(unpacked)
            if unpacker.unconsumed_tail or left <= 0:
                raise _Damaged
            inner = _elements(memoryview(unpacked), order)
        else:
            inner = iter([(kind, content)])
        yield from (_array(content, order) for kind, content in inner if kind == _MATRIX)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """The data type and the bytes of each element."""
    at, count = 0, 0
    while at + 8 <= len(data) and count < MAX_ELEMENTS:
        first, size = np.frombuffer(data[at : at + 8], f"{order}u4").tolist()
        if first >> 16:  # up to four bytes stand in the tag itself
            kind, size, begin, after = first & 0xFFFF, first >> 16, at + 4, at + 8
        else:
            kind, begin = first, at + 8
            after = begin + (size if kind == _COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data) or (first >> 16 and size > 4):
            raise _Damaged
        yield kind, data[begin : begin + size]
        at, count = after, count + 1


def _array(data: memoryview, order: str) -> _Array:
    parts = list(_elements(data, order))
    if not parts:  # how an empty array is written
        return _Array("", 6, (0, 0), [])
    if len(parts) < 3 or len(parts[0][1]) != 8 or len(parts[1][1]) % 4:
        raise _Damaged
    kind = int(np.frombuffer(parts[0][1], f"{order}u4")[0]) & 0xFF
    dims = tuple(np.frombuffer(parts[1][1], f"{order}i4").tolist())
    if not 2 <= len(dims) <= 32 or min(dims) < 0:
        raise _Damaged
    return _Array(bytes(parts[2][1]).decode("ascii"), kind, dims, parts[3:])


def _field(array: _Array, name: str, order: str) -> _Array:
    """A field of a struct, of the first one where there are several."""
    if array.kind != _STRUCT or len(array.parts) < 2 or len(array.parts[0][1]) != 4:
        raise _Damaged
    length = int(np.frombuffer(array.parts[0][1], f"{order}i4")[0])
    names = bytes(array.parts[1][1])
    if length < 1:
        raise _Damaged
    fields = [names[at : at + length].split(b"\0")[0] for at in range(0, len(names), length)]
    if name.encode() not in fields or math.prod(array.dims) < 1:
        raise _Damaged
    index = 2 + fields.index(name.encode())
    if index >= len(array.parts):
        raise _Damaged
    return _array(array.parts[index][1], order)
