"""The places of values in Arrow streams are where pyarrow wrote them."""

from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.arrowfile import read_schema, read_stream, read_texts
from fullconv.errors import DataError

VALUES = st.lists(st.one_of(st.none(), st.binary(max_size=30)), max_size=20)
OTHERS = [
    pa.null(), pa.int8(), pa.float64(), pa.bool_(), pa.decimal128(5), pa.date32(), pa.timestamp("s"), pa.list_(pa.int16()),
    pa.struct([("a", pa.list_(pa.string())), ("b", pa.bool_())]), pa.large_string(), pa.binary(3), pa.list_(pa.int8(), 2),
    pa.map_(pa.string(), pa.int8()), pa.large_list(pa.int8()), pa.duration("s"), pa.dictionary(pa.int8(), pa.string()),
]  # fmt: skip
"""Types of columns that stand before the one that is read."""


def write(
    path: Path, table: pa.Table, chunk: int = 1000, options: pa.ipc.IpcWriteOptions | None = None
) -> Path:
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_table(table, max_chunksize=chunk)
    return path


def table_of(values: list[bytes | None], others: list[pa.DataType], kind: pa.DataType) -> pa.Table:
    structs = [
        None if value is None else {"bytes": value, "path": f"{i}.png"} for i, value in enumerate(values)
    ]
    columns = {f"other{i}": pa.nulls(len(values), other) for i, other in enumerate(others)}
    image = pa.array(structs, pa.struct([("bytes", kind), ("path", pa.string())]))
    return pa.table({**columns, "image": image, "after": pa.nulls(len(values), pa.string())})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("arrow")


@given(
    values=VALUES,
    others=st.lists(st.sampled_from(OTHERS), max_size=4),
    kind=st.sampled_from([pa.binary(), pa.large_binary()]),
    chunk=st.integers(1, 25),
)
def test_values_behind_columns_of_all_types(folder: Path, values, others, kind, chunk):
    path = write(folder / "a.arrow", table_of(values, others, kind), chunk)
    data = path.read_bytes()
    stream = read_stream(path, (("image", "bytes"), ("image", "path")))
    found = [
        None if place is None else data[place[0] : sum(place)] for place in stream.places["image", "bytes"]
    ]
    assert found == values
    texts = read_texts(path, stream.places["image", "path"])
    assert texts == [None if value is None else f"{i}.png" for i, value in enumerate(values)]


def test_slices_and_notes(tmp_path: Path):
    values: list[bytes | None] = [b"a" * i for i in range(30)]
    table = table_of(values, [], pa.binary()).slice(11, 7).replace_schema_metadata({"huggingface": "{}"})
    path = write(tmp_path / "a.arrow", table)
    places = read_stream(path, (("image", "bytes"),)).places["image", "bytes"]
    data = path.read_bytes()
    assert [data[place[0] : sum(place)] for place in places if place] == values[11:18]
    assert read_schema(path).notes == {b"huggingface": b"{}"}
    assert read_schema(path).places == {}


def test_long_texts_are_no_names(tmp_path: Path):
    path = write(tmp_path / "a.arrow", pa.table({"path": ["x" * 5000, "y"]}))
    assert read_texts(path, read_stream(path, (("path",),)).places["path",]) == [None, "y"]


def fault(path: Path, *columns: tuple[str, ...]) -> str:
    with pytest.raises(DataError) as caught:
        read_stream(path, columns)
    return str(caught.value)


def test_what_is_not_read(tmp_path: Path):
    path = tmp_path / "a.arrow"
    damaged = f"{path}: is damaged, or no Arrow stream; save or download it again"
    for content in (
        b"",
        b"ARROW1\0\0" * 9,
        b"\xff" * 16,
        b"\0" * 16,
        b"\xff\xff\xff\xff\x10\0\0\0" + b"\x7f" * 16,
    ):
        path.write_bytes(content)
        assert fault(path) == damaged
    table = table_of([b"abc" * 200] * 50, [], pa.binary())
    write(path, table)
    assert fault(path, ("image",)) == damaged
    assert fault(path, ("none",)) == damaged
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert fault(path, ("image", "bytes")) == damaged
    write(path, table, options=pa.ipc.IpcWriteOptions(compression="lz4"))
    assert fault(path, ("image", "bytes")) == (
        f"{path}: is compressed; expected what save_to_disk writes; save it again"
    )
    write(path, pa.table({"view": pa.nulls(2, pa.string_view())}))
    assert fault(path) == damaged


def test_streams_of_before_2019(tmp_path: Path):
    options = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    path = write(tmp_path / "a.arrow", pa.table({"b": [b"xyz", b"12"]}), options=options)
    data = path.read_bytes()
    assert [data[at : at + size] for at, size in filter(None, read_stream(path, (("b",),)).places["b",])] == [
        b"xyz",
        b"12",
    ]
