"""Hugging Face data sets in Parquet files and in Arrow files: the same pictures, masks, splits and classes."""

import io
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from fullconv.data.binary import BINARY
from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import arrow, parquet
from fullconv.data.layouts.huggingface import split_of
from fullconv.data.pictures import picture_size
from fullconv.data.samples import Sample, read_sample
from fullconv.errors import DataError
from fullconv.labels import LabelSet
from fullconv.training.facts import digest_of

FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {"info": {"features": {"image": {"_type": "Image"}, "mask": {"_type": "Image"}}}}


def pixels_of(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (3, 4, 3), np.uint8)


def ids_of(number: int) -> np.ndarray:
    return np.array([[0, 1, 2, 255]] * 3, np.uint8) if number % 2 else np.array([[2, 2, 0, 1]] * 3, np.uint8)


def encoded(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def table_of(
    numbers: range, columns: tuple[str, str] = ("image", "mask"), masks=ids_of, named: bool = True
) -> pa.Table:
    pictures = [{"bytes": encoded(pixels_of(i)), "path": f"p{i}.jpg" if named else None} for i in numbers]
    truths = [{"bytes": encoded(masks(i)), "path": None} for i in numbers]
    table = pa.table(
        {
            "id": list(numbers),
            columns[0]: pa.array(pictures, FILE),
            columns[1]: pa.array(truths, FILE),
        }
    )
    return table.replace_schema_metadata({"huggingface": json.dumps(FEATURES)})


def write_parquet(path: Path, table: pa.Table, group: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)


def write_arrow(folder: Path, *tables: pa.Table) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"data-{i:05d}-of-{len(tables):05d}.arrow" for i in range(len(tables))]
    for name, table in zip(names, tables, strict=True):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table, max_chunksize=2)
    state = {"_data_files": [{"filename": name} for name in names], "_split": None}
    (folder / "state.json").write_text(json.dumps(state))


def make(root: Path, kind: str, masks=ids_of, named: bool = True) -> Path:
    """Seven rows of train in two files, two of validation."""
    parts = {"train": (range(4), range(4, 7)), "validation": (range(7, 9),)}
    for split, numbers in parts.items():
        tables = [table_of(each, masks=masks, named=named) for each in numbers]
        if kind == "arrow":
            write_arrow(root / split, *tables)
        for index, table in enumerate(tables if kind == "parquet" else ()):
            write_parquet(root / "data" / f"{split}-{index:05d}-of-{len(tables):05d}-ab12.parquet", table)
    if kind == "arrow":
        (root / "dataset_dict.json").write_text('{"splits": ["train", "validation"]}')
    return root


@pytest.fixture(params=["parquet", "arrow"])
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def check(samples: tuple[Sample, ...], labels: LabelSet, numbers: range) -> None:
    for sample, number in zip(samples, numbers, strict=True):
        picture, label_map = read_sample(sample, labels)
        assert (picture == pixels_of(number)).all()
        assert (label_map == ids_of(number)).all()


def test_every_row_is_a_sample(tmp_path: Path, kind):
    dataset = open_dataset(make(tmp_path, kind))
    assert dataset.layout_name == kind
    assert dataset.layout == f"{kind.title()} with the columns image and mask"
    assert dataset.labels == LabelSet.from_names(["class_0", "class_1", "class_2"])
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": [f"p{i}" for i in range(7)],
        "val": ["p7", "p8"],
    }
    check(dataset.split("train"), dataset.labels, range(7))
    check(dataset.split("val"), dataset.labels, range(7, 9))
    sample = dataset.split("train")[5]
    assert pickle.loads(pickle.dumps(sample)) == sample  # noqa: S301 as worker processes do
    assert picture_size(sample.picture) == (3, 4)
    assert len({digest_of(dataset.split(split)) for split in ("train", "val")}) == 2
    assert f"{tmp_path}" in str(sample.picture)
    assert "image[" in str(sample.picture)


def test_names_that_are_not_unique_become_numbers(tmp_path: Path, kind):
    dataset = open_dataset(make(tmp_path, kind, named=False))
    assert [sample.name for sample in dataset.split("train")] == [f"{i:06d}" for i in range(7)]
    check(dataset.split("train"), dataset.labels, range(7))


def test_black_and_white(tmp_path: Path, kind):
    dataset = open_dataset(make(tmp_path, kind, masks=lambda i: np.array([[0, 255, 0, 255]] * 3, np.uint8)))
    assert dataset.labels == BINARY
    assert read_sample(dataset.split("val")[0], dataset.labels)[1].tolist() == [[0, 1, 0, 1]] * 3


def test_train_alone_gives_a_tenth_to_val(tmp_path: Path, kind):
    if kind == "arrow":
        write_arrow(tmp_path, table_of(range(20)))
    else:
        write_parquet(tmp_path / "all.parquet", table_of(range(20)))
    dataset = open_dataset(tmp_path)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {"train": 18, "val": 2}
    assert dataset.layout.endswith("all of it train; val is a tenth, chosen by the names' SHA-256")


NAMES = ["nothing", "cat", "dog"]
ID2LABEL = json.dumps({"0": "nothing", "1": "cat", "2": "dog", "255": "void"})
CARD = """---
license: mit
dataset_info:
  features:
  - name: image
    dtype: image
  - name: scene
    dtype: {class_label: {names: {'0': indoors, '1': outdoors}}}
  - name: mask
    sequence: {class_label: {names: {'0': nothing, '1': cat, '2': dog}}}
---
# My data
"""


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("id2label.json", ID2LABEL),
        ("README.md", CARD),
        ("README.md", f"---\nid2label: {ID2LABEL}\n---\n"),
        (
            "dataset_infos.json",
            json.dumps({"default": {"features": {"mask": {"feature": {"names": NAMES}}}}}),
        ),
        ("classes.txt", "\n".join(NAMES)),
        ("dataset.yaml", f"classes: {NAMES}"),
    ],
)
def test_where_names_of_classes_come_from(tmp_path: Path, kind, name, text):
    make(tmp_path, kind)
    (tmp_path / name).write_text(text)
    dataset = open_dataset(tmp_path)
    assert dataset.labels == LabelSet.from_names(NAMES)
    check(dataset.split("val"), dataset.labels, range(7, 9))


def test_names_in_the_tables(tmp_path: Path):
    features = {"info": {"features": {"mask": {"feature": {"names": NAMES, "_type": "ClassLabel"}}}}}
    table = table_of(range(4)).replace_schema_metadata({"huggingface": json.dumps(features)})
    write_parquet(tmp_path / "train.parquet", table)
    assert open_dataset(tmp_path).labels.names == tuple(NAMES)


def test_structs_of_bytes_alone_and_notes_that_are_not_understood(tmp_path: Path, kind):
    plain = pa.struct([("bytes", pa.binary())])
    table = table_of(range(3))
    table = pa.table({name: pa.array([{"bytes": each["bytes"]} for each in table.column(name).to_pylist()], plain)
                      for name in ("image", "mask")}).replace_schema_metadata({"huggingface": "{"})  # fmt: skip
    if kind == "arrow":
        write_arrow(tmp_path / "test", table)
        write_arrow(tmp_path / "extra", table)
        (tmp_path / "dataset_dict.json").write_text("{}")
    else:
        write_parquet(tmp_path / "test.parquet", table)
    dataset = open_dataset(tmp_path)
    assert [sample.name for sample in dataset.split("test")] == ["000000", "000001", "000002"]
    check(dataset.split("test"), dataset.labels, range(3))
    assert list(dataset.splits) == (["extra", "test"] if kind == "arrow" else ["test"])


def test_gaps_in_the_names_and_cards_without_names(tmp_path: Path, kind):
    make(tmp_path, kind)
    (tmp_path / "README.md").write_text("---\n: [\n---\n")
    assert open_dataset(tmp_path).labels.names == ("class_0", "class_1", "class_2")
    (tmp_path / "README.md").write_text("no front matter")
    assert open_dataset(tmp_path).labels.names == ("class_0", "class_1", "class_2")
    (tmp_path / "id2label.json").write_text('{"0": "nothing"}')  # one class is not all there is
    assert open_dataset(tmp_path).labels.names == ("class_0", "class_1", "class_2")
    (tmp_path / "id2label.json").write_text('{"2": "dog", "0": "nothing"}')
    assert open_dataset(tmp_path).labels.names == ("nothing", "class_1", "dog")
    for text, message in (
        ('["a"]', "expected names by id, such as"),
        ('{"a": "b"}', "expected names by id, such as"),
        ("{", "cannot be read (Expecting property name enclosed in double quotes"),
        ('{"0": "a", "1": "a"}', "class name a is given twice; expected each once"),
    ):
        (tmp_path / "id2label.json").write_text(text)
        with pytest.raises(DataError) as caught:
            open_dataset(tmp_path)
        assert str(caught.value).startswith(f"{tmp_path}/id2label.json: {message}")


@pytest.mark.parametrize("columns", [("pixel_values", "label"), ("image", "foo"), ("foo", "annotation")])
def test_other_names_of_columns(tmp_path: Path, columns):
    write_parquet(tmp_path / "train.parquet", table_of(range(3), columns))
    assert open_dataset(tmp_path).layout.startswith(f"Parquet with the columns {columns[0]} and {columns[1]}")


def test_columns_that_cannot_be_told(tmp_path: Path):
    write_parquet(tmp_path / "train.parquet", table_of(range(3), ("foo", "bar")))
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/train.parquet: its columns of pictures are foo, bar; expected one of pictures, such as image, images, "
        "img, and one of masks, such as mask, label, annotation"
    )
    write_parquet(tmp_path / "train.parquet", pa.table({"text": ["a"]}))
    with pytest.raises(DataError, match="its columns of pictures are none; expected one"):
        open_dataset(tmp_path)
    write_parquet(tmp_path / "a.parquet", table_of(range(3)))
    write_parquet(tmp_path / "train.parquet", table_of(range(3), ("image", "label")))
    with pytest.raises(
        DataError,
        match=r"has the columns \('image', 'label'\); expected \('image', 'mask'\), as in a\.parquet",
    ):
        open_dataset(tmp_path)


def test_pictures_that_are_elsewhere(tmp_path: Path, kind):
    table = table_of(range(4))
    apart = pa.array([{"bytes": None, "path": "/home/me/a.jpg"}] * 4, FILE)
    table = table.set_column(1, "image", apart)
    if kind == "arrow":
        write_arrow(tmp_path, table)
        with pytest.raises(DataError, match="row 0 holds no bytes, perhaps only paths; save it with"):
            open_dataset(tmp_path)
    else:
        write_parquet(tmp_path / "train.parquet", table)
        sample = open_dataset(tmp_path).split("train")[0]
        with pytest.raises(
            DataError, match=r"train\.parquet:image\[.*holds no bytes, perhaps only a path; expected the"
        ):
            read_sample(sample, LabelSet.from_names(NAMES))


def test_no_rows(tmp_path: Path, kind):
    if kind == "arrow":
        write_arrow(tmp_path, table_of(range(0)))
    else:
        write_parquet(tmp_path / "train.parquet", table_of(range(0)))
    with pytest.raises(DataError, match="its tables have no rows; expected pictures and masks"):
        open_dataset(tmp_path)


def test_files_that_are_damaged(tmp_path: Path, kind):
    make(tmp_path, kind)
    path = sorted(tmp_path.rglob(f"*.{kind}"))[0]
    data = path.read_bytes()
    path.write_bytes(b"no table")
    with pytest.raises(DataError, match=f"is damaged, or no {kind.title()} (file|stream)"):
        open_dataset(tmp_path)
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match=r"is damaged"):
        open_dataset(tmp_path)


def test_a_file_that_a_state_names_and_that_is_not_there(tmp_path: Path):
    write_arrow(tmp_path, table_of(range(3)))
    (tmp_path / "data-00000-of-00001.arrow").unlink()
    with pytest.raises(
        DataError, match=r"00001\.arrow: no such file, though state\.json names it; copy the folder again"
    ):
        open_dataset(tmp_path)


def test_what_is_not_one_of_them(tmp_path: Path):
    with pytest.raises(DataError, match=r"is not a data set in Parquet; expected NAME\.parquet"):
        parquet.read(tmp_path)
    with pytest.raises(DataError, match=r"is not a data set of save_to_disk; expected dataset_dict\.json"):
        arrow.read(tmp_path)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ("{}", "names no data files; expected _data_files"),
        ('{"_data_files": [{"filename": "../x.arrow"}]}', "names no data files; expected _data_files"),
        ('{"_data_files": [7]}', "names no data files; expected _data_files"),
        ("[", "cannot be read ("),
        ('{"_data_files": "data"}', "names no data files; expected _data_files"),
        (
            '{"_data_files": [{"filename": "x.arrow"}], "_indices_data_files": [{}]}',
            "shows a selection of its rows; expected all; call flatten_indices()",
        ),
    ],
)
def test_states_that_are_not_understood(tmp_path: Path, state, message):
    (tmp_path / "state.json").write_text(state)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/state.json: {message}")


@pytest.mark.parametrize(
    ("path", "split"),
    [
        ("data/train-00000-of-00001.parquet", "train"),
        ("data/validation-00000-of-00001-a1b2.parquet", "val"),
        ("default/test/0000.parquet", "test"),
        ("my_dev_set.parquet", "val"),
        ("training/x.parquet", "train"),
        ("whatever.parquet", "train"),
    ],
)
def test_splits_by_names(path, split):
    assert split_of(Path("/d") / path, Path("/d")) == split


def test_plain_files_need_no_package(tmp_path: Path, kind, monkeypatch):
    make(tmp_path, kind)
    if kind == "parquet":
        for path in tmp_path.rglob("*.parquet"):
            pq.write_table(pq.read_table(path), path, compression="none")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    check(
        open_dataset(tmp_path).split("val"),
        LabelSet.from_names(["class_0", "class_1", "class_2"]),
        range(7, 9),
    )


def test_packed_parquet_without_pyarrow(tmp_path: Path, monkeypatch):
    make(tmp_path, "parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        DataError, match=r"the package pyarrow cannot be imported .*; install it: pip install 'fullconv\[fo"
    ):
        open_dataset(tmp_path)
