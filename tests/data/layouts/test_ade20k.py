"""ADE20K: 1..150 are the classes, 0 is void, and the names are the file's."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import ade20k
from fullconv.data.layouts.ade20k_classes import ADE20K
from fullconv.data.samples import read_sample
from fullconv.errors import DataError

INFO = "Idx\tRatio\tTrain\tVal\tStuff\tName\n1\t0.1\t5\t1\t1\twall\n2 \t0.1\t5\t1\t1\tbuilding, edifice\n3\t0\t1\t1\t0\tbed \n"


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make(root: Path, ids: np.ndarray) -> Path:
    for tree, name in (("training", "ADE_train_00000001"), ("validation", "ADE_val_00000001")):
        save(root / "images" / tree / f"{name}.jpg", np.zeros((*ids.shape, 3), np.uint8))
        save(root / "annotations" / tree / f"{name}.png", ids)
    return root


@pytest.mark.parametrize("place", [".", "ADEChallengeData2016"])
def test_all_150_classes(tmp_path: Path, place):
    ids = np.arange(151, dtype=np.uint8)[None]
    make(tmp_path / place, ids)
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "ade20k"
    assert dataset.layout == "ADE20K with 150 classes; 0 is void"
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["ADE_train_00000001"],
        "val": ["ADE_val_00000001"],
    }
    assert (dataset.labels.num_classes, dataset.labels.names[0], dataset.labels.names[149]) == (
        150,
        "wall",
        "flag",
    )
    label_map = read_sample(dataset.split("val")[0], dataset.labels)[1]
    assert label_map.tolist() == [[255, *range(150)]]


def test_names_from_the_file(tmp_path: Path):
    make(tmp_path, np.array([[0, 1, 2, 3]], np.uint8))
    (tmp_path / "objectInfo150.txt").write_text(INFO)
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("wall", "building", "bed")
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[255, 0, 1, 2]]


def test_the_whole_file_gives_the_names_that_are_built_in(tmp_path: Path):
    lines = [f"{number}\t0.1\t5\t1\t{name}, other" for number, name in enumerate(ADE20K.names, start=1)]
    (tmp_path / "info.txt").write_text("\n".join(["Idx\tRatio\tTrain\tVal\tName", *lines]))
    assert ade20k.read_object_info(tmp_path / "info.txt") == ADE20K


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "Idx\tName\n2\twall\n",
            "line 2 is '2\\twall'; expected 1, ..., NAME with tabs between; copy it again",
        ),
        ("Idx\tName\n1 wall\n", "line 2 is '1 wall'; expected 1, ..."),
        ("Idx\tName\n1\t, edifice\n", "line 2 is '1\\t, edifice'; expected 1, ..."),
        ("Idx\tName\n1\twall\n2\twall\n", "class name wall is given twice; expected each once"),
        ("Idx\tName\n", "the class list is empty; expected at least one class"),
        (
            "Idx\tName\n" + "".join(f"{i}\tc{i}\n" for i in range(1, 256)),
            "names 255 classes; expected at most 254",
        ),
    ],
)
def test_lists_that_are_not_understood(tmp_path: Path, text, message):
    make(tmp_path, np.ones((2, 2), np.uint8))
    (tmp_path / "objectInfo150.txt").write_text(text)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/objectInfo150.txt: {message}")
    assert "\n" not in str(caught.value)


def test_other_twin_trees_of_these_names_are_twin_trees(tmp_path: Path):
    save(tmp_path / "images" / "training" / "a.jpg", np.zeros((2, 2, 3), np.uint8))
    save(tmp_path / "annotations" / "training" / "a.png", np.eye(2, dtype=np.uint8))
    assert open_dataset(tmp_path).layout_name == "twin"
    assert open_dataset(tmp_path, "ade20k").labels == ADE20K


def test_missing_files(tmp_path: Path):
    make(tmp_path, np.ones((2, 2), np.uint8))
    for path in (tmp_path / "annotations").glob("*/*"):
        path.unlink()
    with pytest.raises(DataError, match="no picture in images/ has a mask in annotations/"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not ADE20K; expected images/training/"):
        ade20k.read(tmp_path / "images")
