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
