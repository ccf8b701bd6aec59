"""Thrift's compact protocol: values as its description encodes them, and nothing but Malformed from other bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.thrift import Malformed, read_struct, read_varint

SAMPLE = bytes(
    [
        0x15, 0x01,  # field 1, i32: -1
        0x16, 0xAC, 0x04,  # field 2, i64: 278
        0x28, 0x03, 0x61, 0x62, 0x63,  # field 4, binary: abc
        0x11,  # field 5: true
        0x12,  # field 6: false
        0x13, 0x2A,  # field 7, byte
        0x17, 0, 0, 0, 0, 0, 0, 0xF0, 0x3F,  # field 8, double
        0x19, 0x25, 0x02, 0x04,  # field 9, list of two i32: 1, 2
        0x1C, 0x14, 0x02, 0x00,  # field 10, struct with field 1, i16: 1
        0x1B, 0x01, 0x85, 0x01, 0x61, 0x02,  # field 11, map of one binary to i32
        0x05, 0xE8, 0x07, 0x06,  # the long form: field 500, i32: 3
        0x00,
    ]
)  # fmt: skip


def test_values_of_all_types():
    assert read_struct(SAMPLE.replace(b"\x1b\x01\x85\x01a\x02", b"\x1b\x01\x85\x01a\x02")) == (
        {
            1: -1, 2: 278, 4: b"abc", 5: True, 6: False, 7: b"\x2a", 8: b"\0\0\0\0\0\0\xf0?", 9: [1, 2], 10: {1: 1}, 11: None,
            500: 3,
        },
        len(SAMPLE),
    )  # fmt: skip


@given(st.integers(0, 2**64 - 1))
def test_varints(value):
    data, rest = bytearray(), value
    while rest >= 0x80:
        data.append(rest & 0x7F | 0x80)
        rest >>= 7
    assert read_varint(bytes([*data, rest, 99]), 0) == (value, len(data) + 1)


@given(st.binary(max_size=60))
def test_other_bytes_are_malformed_at_worst(data):
    for cut in (data, SAMPLE[: len(data)] + data):
        try:
            read_struct(cut)
        except Malformed:
            continue


@pytest.mark.parametrize("data", [SAMPLE[:i] for i in range(len(SAMPLE))])
def test_every_cut_is_noticed(data):
    with pytest.raises(Malformed):
        read_struct(data)


def test_depth_and_lengths_are_bounded():
    with pytest.raises(Malformed):
        read_struct(b"\x1c" * 10_000)
    with pytest.raises(Malformed):
        read_struct(b"\x19\xf5\xff\xff\xff\xff\x0f")
    with pytest.raises(Malformed):
        read_struct(b"\x19\x99" * 10_000)
