"""YOLO's outlines, as Ultralytics' documents show them."""

from pathlib import Path

import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts.yolo import YoloMask
from fullconv.data.samples import read_sample
from fullconv.errors import DataError

SQUARE = "1 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75\n"
YAML = "path: ../datasets/x\ntrain: images/train\nval: images/val\nnames:\n  0: person\n  1: car\n"


def add(root: Path, split: str, name: str, text: str | None = SQUARE) -> None:
    picture, lines = root / "images" / split / f"{name}.jpg", root / "labels" / split / f"{name}.txt"
    for path in (picture, lines):
        path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 4)).save(picture)
    if text is not None:
        lines.write_text(text)


def make(root: Path, text: str = SQUARE, yaml: str = YAML) -> Path:
    add(root, "train", "a", text)
    add(root, "val", "b", text)
    (root / "data.yaml").write_text(yaml)
    return root


def mask_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split("train")[0], dataset.labels)[1].tolist()


def test_polygons_in_parts_of_the_size(tmp_path: Path):
    dataset = open_dataset(make(tmp_path))
    assert dataset.layout_name == "yolo"
    assert dataset.labels.names == ("background", "person", "car")
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a"],
        "val": ["b"],
    }
    assert mask_of(tmp_path) == [[0] * 8, [0, 0, 2, 2, 2, 2, 0, 0], [0, 0, 2, 2, 2, 2, 0, 0], [0] * 8]


def test_pictures_without_text_and_blank_lines(tmp_path: Path):
    make(tmp_path, text=f"\n{SQUARE}\n")
    add(tmp_path, "train", "0", None)
    assert mask_of(tmp_path) == [[0] * 8] * 4
    masks = [sample.mask for sample in open_dataset(tmp_path).split("train")]
    assert [mask.path.name for mask in masks if isinstance(mask, YoloMask)] == ["data.yaml", "a.txt"]
    dataset = open_dataset(tmp_path)
    assert read_sample(dataset.split("train")[1], dataset.labels)[1].sum() == 16


@pytest.mark.parametrize("names", ["[person, car]", "{0: person, 1: car}", "{1: car, 0: person}"])
def test_forms_of_names(tmp_path: Path, names):
    make(
        tmp_path, yaml=f"train: images/train\nval: images/val\ntest: ../test/images\nnc: 2\nnames: {names}\n"
    )
    assert open_dataset(tmp_path).labels.names == ("background", "person", "car")


def test_roboflows_folders(tmp_path: Path):
    for split in ("train", "valid", "test"):
        for folder, name in (("images", "a.jpg"), ("labels", "a.txt")):
            (tmp_path / split / folder).mkdir(parents=True)
            if folder == "images":
                Image.new("RGB", (8, 4)).save(tmp_path / split / folder / name)
            else:
                (tmp_path / split / folder / name).write_text(SQUARE)
    places = "train: ../train/images\nval: ../valid/images\ntest: ../test/images\n"
    (tmp_path / "data.yaml").write_text(f"{places}nc: 2\nnames: ['person', 'car']\n")
    dataset = open_dataset(tmp_path)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a"],
        "val": ["a"],
        "test": ["a"],
    }
    assert sum(map(sum, mask_of(tmp_path))) == 16


def test_lists_of_files_a_root_and_further_splits(tmp_path: Path):
    make(tmp_path / "inner")
    (tmp_path / "inner" / "some.txt").write_text("./images/val/b.jpg\nimages/train/a.jpg\n")
    yaml = "path: inner\ntrain: some.txt\nmore: images/val\nnames: [person, car]\n"
    (tmp_path / "data.yaml").write_text(yaml)
    assert [sample.name for sample in open_dataset(tmp_path).split("train")] == ["inner/b", "inner/a"]
    (tmp_path / "inner" / "data.yaml").write_text(
        "train: images/train\nmore: images/val\nnames: [person, car]\n"
    )
    assert list(open_dataset(tmp_path / "inner").splits) == ["train", "more"]


def test_a_background_class_takes_what_no_shape_covers(tmp_path: Path):
    make(tmp_path, yaml="train: images/train\nnames: [road, car, background]\n")
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("road", "car", "background")
    assert mask_of(tmp_path)[1] == [2, 2, 1, 1, 1, 1, 2, 2]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "0 0.1 0.2 0.3 0.4\n",
            "line 1: got 4 numbers, which is a box; expected x and y of at least 3 points; export outl",
        ),
        (f"{SQUARE}0 0.1 0.2 0.3 0.4 0.5\n", "line 2: got 5 numbers, expected x and y of at least 3 points"),
        ("0 0.1 0.2 0.3 0.4 0.5 x\n", "line 1: got '0 0.1 0.2 0.3 0.4 0.5 x', expected a class and numbers"),
        (
            "0 0.1 0.2 0.3 0.4 0.5 nan\n",
            "line 1: got '0 0.1 0.2 0.3 0.4 0.5 nan', expected a class and finite numbers",
        ),
        (
            "0 0.1 0.2 0.3 0.4 0.5 1e308\n",
            "line 1: got 1e+308, expected parts of the picture's width and height, 0 to 1",
        ),
        (
            "0 1 2 3 4 320 240\n",
            "line 1: got 320, expected parts of the picture's width and height, 0 to 1; divide pixels",
        ),
        ("2 0.1 0.2 0.3 0.4 0.5 0.6\n", "line 1: got class 2, expected 0 to 1 as in data.yaml"),
        (
            "0.5 0.1 0.2 0.3 0.4 0.5 0.6\n",
            "line 1: got '0.5 0.1 0.2 0.3 0.4 0.5 0.6', expected a class and finite",
        ),
        ("inf 0.1 0.2 0.3 0.4 0.5 0.6\n", "line 1: got 'inf 0.1"),
        ("\udcff", "is no text in UTF-8; expected lines of numbers; export it again"),
    ],
)
def test_malformed_lines(tmp_path: Path, text, complaint):
    make(tmp_path)
    path = tmp_path / "labels/train/a.txt"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError) as caught:
        mask_of(tmp_path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


@pytest.mark.parametrize(
    ("yaml", "complaint"),
    [
        ("{", "is not YAML (while parsing"),
        ("train: images/train\n", "names: is missing; expected a value"),
        ("names: 3\n", "names: got 3, expected a list of names, or names by their numbers from 0"),
        (
            "names: {0: a, 2: b}\n",
            "names: got an object of 2 by other numbers than 0 to 1; expected each once",
        ),
        ("names: [a, [b]]\n", "names[1]: got a list of 1, expected a valid string"),
        ("names: [a, a]\ntrain: images/train\n", "class name 'a' is given twice"),
        (
            "names: [a, b]\ntrain: ../../elsewhere\n",
            "train: got '../../elsewhere', expected a folder of pictures in",
        ),
        ("names: [a, b]\ntrain: /etc\n", "train: got '/etc', expected a folder of pictures in"),
        ("names: [a, b]\n", "holds no labelled picture; expected some"),
        ("- a\n", "got a list of 1, expected a valid dictionary"),
    ],
)
def test_malformed_descriptions(tmp_path: Path, yaml, complaint):
    make(tmp_path, yaml=yaml)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / 'data.yaml'}: {complaint}")


def test_lists_that_lead_elsewhere(tmp_path: Path):
    make(tmp_path, yaml="train: list.txt\nnames: [a, b]\n")
    (tmp_path / "list.txt").write_text("../../../etc/passwd\n")
    with pytest.raises(
        DataError, match=r"list.txt: got '../../../etc/passwd', expected the name of a file in"
    ):
        open_dataset(tmp_path)


def test_no_text_file_at_all(tmp_path: Path):
    add(tmp_path, "train", "a", None)
    (tmp_path / "data.yaml").write_text("train: images/train\nnames: [a]\n")
    with pytest.raises(
        DataError, match=r"none of its 1 pictures has a text file; expected e.g. .*labels/train/a.txt; add"
    ):
        open_dataset(tmp_path)


def test_no_description(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no data.yaml; expected one with names:, train: and val:"):
        open_dataset(f"yolo:{tmp_path}")
