"""Thrift's compact protocol, as Parquet's metadata are written in it: structs as dicts of field id -> value.

Source: Apache Thrift, "Thrift Compact protocol encoding"
(https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md).
"""

from typing import Any

_MAX_DEPTH = 24

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _SET, _MAP, _STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
_INTEGERS = (4, 5, 6)


class Malformed(Exception):
    """The bytes are not what they are said to be, or end too early."""


def read_struct(data: bytes | memoryview, at: int = 0) -> tuple[dict[int, Any], int]:
    """The struct that begins at `at`, and where it ends.

    Integers are int, texts bytes, lists and sets list; maps are passed over.

    Raises:
        Malformed: it is none.

    >>> read_struct(bytes([0x15, 0x0E, 0x18, 0x02, 0x68, 0x69, 0x00]))
    ({1: 7, 2: b'hi'}, 7)
    """
    return _struct(data, at, 0)


def read_varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """The unsigned integer in groups of seven bits, the lowest first, and where it ends."""
    value, shift = 0, 0
    while True:
        if at >= len(data) or shift > 63:
            raise Malformed
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _struct(data: bytes | memoryview, at: int, depth: int) -> tuple[dict[int, Any], int]:
    if depth > _MAX_DEPTH:
        raise Malformed
    fields: dict[int, Any] = {}
    last = 0
    while True:
        if at >= len(data):
            raise Malformed
        head, at = data[at], at + 1
        if head == 0:
            return fields, at
        kind = head & 0x0F
        if head >> 4:
            last += head >> 4
        else:
            last, at = _integer(data, at)
        fields[last], at = (kind == _TRUE, at) if kind in (_TRUE, _FALSE) else _value(data, at, kind, depth)


def _integer(data: bytes | memoryview, at: int) -> tuple[int, int]:
    value, at = read_varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _value(data: bytes | memoryview, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        return _integer(data, at)
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    if kind in (_LIST, _SET):
        return _list(data, at, depth + 1)
    if kind == _MAP:
        return _map(data, at, depth + 1)
    if kind == _BINARY:
        size, at = read_varint(data, at)
    elif kind in (_BYTE, _TRUE, _FALSE):
        size = 1
    elif kind == _DOUBLE:
        size = 8
    else:
        raise Malformed
    if at + size > len(data):
        raise Malformed
    return bytes(data[at : at + size]), at + size


def _list(data: bytes | memoryview, at: int, depth: int) -> tuple[list[Any], int]:
    if at >= len(data) or depth > _MAX_DEPTH:
        raise Malformed
    size, kind, at = data[at] >> 4, data[at] & 0x0F, at + 1
    if size == 15:
        size, at = read_varint(data, at)
    if size > len(data) - at:  # each takes a byte at least
        raise Malformed
    values = []
    for _ in range(size):
        value, at = _value(data, at, kind, depth)
        values.append(value)
    return values, at


def _map(data: bytes | memoryview, at: int, depth: int) -> tuple[None, int]:
    size, at = read_varint(data, at)
    if depth > _MAX_DEPTH or size > len(data) - at or (size and at >= len(data)):
        raise Malformed
    if size:
        kinds, at = (data[at] >> 4, data[at] & 0x0F), at + 1
        for _ in range(size):
            for kind in kinds:
                _, at = _value(data, at, kind, depth)
    return None, at
