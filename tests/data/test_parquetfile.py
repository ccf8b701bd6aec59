"""Columns of bytes in Parquet files are what pyarrow wrote, however it wrote them."""

import os
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fullconv.data.parquetfile import read_cell, read_column, read_table
from fullconv.errors import DataError

VALUES = st.lists(
    st.one_of(st.none(), st.binary(max_size=40), st.sampled_from([b"twice", b"", b"x" * 3000])),
    min_size=1,
    max_size=40,
)
PACKINGS = ["none", "snappy", "gzip", "zstd", "brotli", "lz4"]


def table_of(values: list[bytes | None], nested: bool = True) -> pa.Table:
    if not nested:
        return pa.table({"image": pa.array(values, pa.binary())})
    kind = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    structs = [None if value is None else {"bytes": value, "path": value.hex()[:20]} for value in values]
    other = pa.array([[1, 2]] * len(values))
    return pa.table({"before": other, "image": pa.array(structs, kind), "after": [b"y"] * len(values)})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("parquet")


@settings(max_examples=60)
@given(
    values=VALUES,
    packing=st.sampled_from(PACKINGS),
    dictionary=st.booleans(),
    version=st.sampled_from(["1.0", "2.0"]),
    group=st.integers(1, 50),
    nested=st.booleans(),
)
def test_all_ways_of_writing(folder: Path, values, packing, dictionary, version, group, nested):
    path = folder / "a.parquet"
    pq.write_table(
        table_of(values, nested), path, compression=packing, use_dictionary=dictionary, data_page_version=version,
        row_group_size=group, data_page_size=64, write_batch_size=3, dictionary_pagesize_limit=50,
    )  # fmt: skip
    os.utime(path, ns=(0, hash((tuple(values), packing, dictionary, version, group, nested)) % 2**60))
    table = read_table(path)
    column = ("image", "bytes") if nested else ("image",)
    assert table.levels == (
        {("image", "bytes"): 2, ("image", "path"): 2, ("after",): 1} if nested else {("image",): 1}
    )
    assert [rows for rows, _ in table.groups] == [
        len(values[at : at + group]) for at in range(0, len(values), group)
    ]
    for number in range(len(table.groups)):
        expected = values[number * group : (number + 1) * group]
        assert read_column(path, column, number) == expected
        assert [read_cell(path, column, number, row) for row in range(len(expected))] == expected
    if nested:
        paths = read_column(path, ("image", "path"), 0)
        assert paths == [None if value is None else value.hex()[:20].encode() for value in values[:group]]


def test_required_columns_and_long_values(tmp_path: Path):
    values = [np.random.default_rng(i).bytes(400_000) for i in range(7)]
    schema = pa.schema([pa.field("image", pa.binary(), nullable=False)], metadata={"huggingface": "{}"})
    pq.write_table(pa.table({"image": values}, schema=schema), tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    assert table.levels == {("image",): 0}
    assert table.notes[b"huggingface"] == b"{}"
    for row in (6, 0, 3):  # some are in the dictionary, others behind it
        assert read_cell(tmp_path / "a.parquet", ("image",), 0, row) == values[row]


def test_a_file_that_is_written_anew_is_read_anew(tmp_path: Path):
    path = tmp_path / "a.parquet"
    for value in (b"first", b"other"):
        pq.write_table(pa.table({"image": [value]}), path)
        assert read_column(path, ("image",), 0) == [value]


def fault(path: Path, *args: object) -> str:
    with pytest.raises(DataError) as caught:
        read_cell(path, *args) if args else read_table(path)  # pyright: ignore[reportArgumentType]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_what_is_not_read(tmp_path: Path):
    path = tmp_path / "a.parquet"
    damaged = f"{path}: is damaged, or no Parquet file; copy or download it again"
    for content in (
        b"",
        b"PAR1",
        b"PAR1" + b"\xff" * 4 + b"PAR1",
        b"x" * 100,
        b"x" * 30 + struct.pack("<I", 20) + b"PAR1",
    ):
        path.write_bytes(content)
        assert fault(path) == damaged
    path.write_bytes(b"x" * 30 + struct.pack("<I", 20) + b"PARE")
    assert fault(path) == f"{path}: is encrypted; expected plain Parquet; decrypt it first"
    pq.write_table(table_of([b"a", b"b"]), path)
    assert fault(path, ("image", "bytes"), 0, 2) == damaged
    assert fault(path, ("image", "bytes"), 1, 0) == damaged
    assert fault(path, ("image", "none"), 0, 0) == damaged
    delta = {"image": "DELTA_BYTE_ARRAY"}
    pq.write_table(table_of([b"a", b"b"], nested=False), path, use_dictionary=False, column_encoding=delta)
    assert fault(path, ("image",), 0, 0) == (
        f"{path}: a page of image has a rare encoding; write it again with plain encoding"
    )
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "none.parquet")


def test_pages_that_do_not_unpack(tmp_path: Path):
    path = tmp_path / "a.parquet"
    value = np.random.default_rng(0).integers(0, 256, 900, np.uint8).repeat(40).tobytes()
    for packing in ("snappy", "zstd", "gzip"):
        pq.write_table(pa.table({"image": [value]}), path, compression=packing, use_dictionary=False)
        data = bytearray(path.read_bytes())
        at = {"snappy": 300, "zstd": data.find(b"\x28\xb5\x2f\xfd"), "gzip": data.find(b"\x1f\x8b")}[packing]
        data[at : at + 100] = b"\xff" * 100
        path.write_bytes(data)
        assert fault(path, ("image",), 0, 0).startswith(f"{path}: is damaged, or no Parquet file")


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


class Long(int):
    """An integer of 64 bits; others have 32."""


def thrift(fields: dict[int, object]) -> bytes:
    """A struct in Thrift's compact protocol: integers, texts, lists of texts and of structs, structs."""
    out, last = b"", 0
    for number, value in fields.items():
        kind, data = encoded(value)
        out, last = out + bytes([(number - last) << 4 | kind]) + data, number
    return out + b"\0"


def encoded(value: object) -> tuple[int, bytes]:
    match value:
        case bool():
            return (1 if value else 2), b""
        case int():
            return 6 if isinstance(value, Long) else 5, varint(
                value << 1 if value >= 0 else (-value << 1) - 1
            )
        case bytes():
            return 8, varint(len(value)) + value
        case dict():
            return 12, thrift(value)
        case list():
            items = [encoded(item) for item in value]
            head = bytes([min(len(items), 15) << 4 | items[0][0]]) + (
                varint(len(items)) if len(items) > 14 else b""
            )
            return 9, head + b"".join(data for _, data in items)
    raise AssertionError(value)


def by_hand(
    page: dict[int, object] | None = None,
    about: dict[int, object] | None = None,
    group: dict[int, object] | None = None,
    levels: bytes = b"\x03\x05",  # a pack of eight bits: present, absent, present
    values: bytes = b"\x01\0\0\0a\x02\0\0\0bc",
    schema: list[dict[int, object]] | None = None,
) -> bytes:
    """A file of one optional column, one row group and one page of three values, as parquet.thrift has it, with lies."""
    content = struct.pack("<I", len(levels)) + levels + values
    facts = {1: 0, 2: len(content), 3: len(content), 5: {1: 3, 2: 0, 3: 3, 4: 3}} | (page or {})
    header = thrift(dict(sorted(facts.items())))
    size = len(header) + len(content)
    column = {1: 6, 2: [0], 3: [b"image"], 4: 0, 5: Long(3), 6: Long(size), 7: Long(size), 9: Long(4)} | (
        about or {}
    )
    rows = {1: [{2: Long(4), 3: dict(sorted(column.items()))}], 2: Long(size), 3: Long(3)} | (group or {})
    tree = schema or [{4: b"schema", 5: 1}, {1: 6, 3: 1, 4: b"image"}]
    footer = thrift({1: 1, 2: tree, 3: Long(3), 4: [rows]})
    return b"PAR1" + header + content + footer + struct.pack("<I", len(footer)) + b"PAR1"


def test_a_file_by_hand(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(by_hand())
    assert pq.read_table(path).to_pydict() == {"image": [b"a", None, b"bc"]}
    assert read_column(path, ("image",), 0) == [b"a", None, b"bc"]


LIES = {
    "a page that begins before the file": {"about": {9: -1}},
    "a page that begins behind it": {"about": {9: 10_000}},
    "a column longer than the file": {"about": {7: 10_000}},
    "a column that is too short": {"about": {7: 10}},
    "more rows than bytes": {"group": {3: 1 << 40}},
    "fewer rows than none": {"group": {3: -1}},
    "more rows than values": {"group": {3: 4}},
    "fewer rows than values": {"group": {3: 2}},
    "a page longer than its column": {"page": {3: 10_000}},
    "a page of less than nothing": {"page": {3: -5}},
    "a page that unpacks to gigabytes": {"page": {2: 1 << 31}},
    "a dictionary that is not there": {"page": {5: {1: 3, 2: 8, 3: 3, 4: 3}}, "values": b"\x01\x03\x00"},
    "more values than bytes": {"values": b"\x01\0\0\0a"},
    "a value longer than the page": {"values": b"\x01\0\0\0a\xff\0\0\0bc"},
    "levels longer than the page": {"levels": b"", "values": b"", "page": {2: 4, 3: 4}},
    "a run of no values": {"levels": b"\0\0\0\0"},
    "a run without its value": {"levels": b"\x06", "values": b""},
    "numbers that are cut short": {"levels": b"\x03"},
    "no page header": {"page": {5: 7}},
    "a page of version 2 with lists": {"page": {1: 3, 8: {1: 3, 2: 1, 3: 3, 4: 0, 5: 2, 6: 1}}},
    "levels of version 2 beyond the page": {"page": {1: 3, 8: {1: 3, 2: 1, 3: 3, 4: 0, 5: 999, 6: 0}}},
    "what gzip did not pack": {"about": {4: 2}},
    "fewer fields than said": {
        "schema": [{4: b"schema", 5: 1}, {1: 6, 3: 1, 4: b"image"}, {1: 6, 4: b"more"}]
    },
    "a field without name": {"schema": [{4: b"schema", 5: 1}, {1: 6, 3: 1}]},
    "a name that is a number": {"schema": [{4: b"schema", 5: 1}, {1: 6, 3: 1, 4: 7}]},
    "no fields": {"schema": [{4: b"schema"}]},
    "fields within fields within fields": {"schema": [{4: b"s", 5: 1}] * 70},
}


@pytest.mark.parametrize("what", LIES)
def test_lies(tmp_path: Path, what):
    path = tmp_path / "a.parquet"
    path.write_bytes(by_hand(**LIES[what]))
    with pytest.raises(DataError) as caught:
        read_column(path, ("image",), 0)
    assert str(caught.value) == f"{path}: is damaged, or no Parquet file; copy or download it again"


def test_rare_packings_and_dictionaries_of_one_word(tmp_path: Path):
    path = tmp_path / "a.parquet"
    path.write_bytes(by_hand(about={4: 3}))
    assert fault(path, ("image",), 0, 0) == (
        f"{path}: is packed in a rare way; expected snappy, zstd, gzip or none; write it again"
    )
    word = b"\x03\0\0\0abc"
    dictionary = thrift({1: 2, 2: len(word), 3: len(word), 7: {1: 1, 2: 0}}) + word
    page = thrift({1: 0, 2: 7, 3: 7, 5: {1: 3, 2: 8, 3: 3, 4: 3}}) + b"\x02\0\0\0\x03\x05" + b"\0"
    size = len(dictionary) + len(page)
    column = {1: 6, 2: [0], 3: [b"image"], 4: 0, 5: 3, 6: size, 7: size, 9: 4 + len(dictionary), 11: 4}
    tree = [{4: b"schema", 5: 1}, {1: 6, 3: 1, 4: b"image"}]
    footer = thrift({1: 1, 2: tree, 3: 3, 4: [{1: [{3: column}], 3: 3}]})
    path.write_bytes(b"PAR1" + dictionary + page + footer + struct.pack("<I", len(footer)) + b"PAR1")
    assert read_column(path, ("image",), 0) == [b"abc", None, b"abc"]  # numbers of no bits need no bytes
