"""Splits that hold their own pictures and masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import nested
from fullconv.data.samples import read_sample
from fullconv.errors import DataError

IDS = np.array([[0, 1, 2, 255]], np.uint8)


def make(
    root: Path, trees: dict[str, list[str]], folders: tuple[str, str] = ("images", "masks"), end: str = ""
) -> Path:
    for tree, names in trees.items():
        for name in names:
            for folder, file, pixels in zip(
                folders,
                (f"{name}.jpg", f"{name}{end}.png"),
                (np.zeros((1, 4, 3), np.uint8), IDS),
                strict=True,
            ):
                (root / tree / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / tree / folder / file)
    return root


@pytest.mark.parametrize("folders", [("images", "masks"), ("img", "labels")])
@pytest.mark.parametrize("end", ["", "_mask"])
def test_each_split_has_its_own_folders(tmp_path: Path, folders, end):
    dataset = open_dataset(make(tmp_path, {"train": ["a", "b"], "valid": ["a"], "test": ["c"]}, folders, end))
    assert dataset.layout_name == "nested"
    assert dataset.layout == f"splits with {folders[0]}/ + {folders[1]}/ in each"
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a", "b"],
        "test": ["c"],
        "val": ["a"],
    }
    assert dataset.labels.names == ("class_0", "class_1", "class_2")
    assert (read_sample(dataset.split("val")[0], dataset.labels)[1] == IDS).all()


def test_masks_in_folders_beside(tmp_path: Path):
    """As in Carvana's archive."""
    for folder, name, pixels in (
        ("train", "car_01.jpg", np.zeros((1, 4, 3), np.uint8)),
        ("train_masks", "car_01_mask.gif", np.array([[0, 1, 1, 0]], np.uint8)),
        ("test", "car_02.jpg", np.zeros((1, 4, 3), np.uint8)),
    ):
        (tmp_path / folder).mkdir()
        image = Image.fromarray(pixels)
        if name.endswith("gif"):
            image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(tmp_path / folder / name)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout_name, dataset.layout) == ("nested", "splits with train/ + train_masks/ and so on")
    assert list(dataset.splits) == ["train"]
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[0, 1, 1, 0]]


def test_dataset_yaml_says_what_is_dark(tmp_path: Path):
    make(tmp_path, {"train": ["a"]})
    (tmp_path / "dataset.yaml").write_text("classes: [bag, nothing]\nmasks: {dark: nothing, light: bag}\n")
    dataset = open_dataset(tmp_path)
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[1, 1, 1, 0]]
    (tmp_path / "dataset.yaml").write_text("classes: [bag, nothing]\nextra: {folder: depth}\n")
    with pytest.raises(
        DataError,
        match=r"dataset\.yaml: extra: is read in the layouts voc, twin, flat, webdataset, and this is nested; r",
    ):
        open_dataset(tmp_path)


def test_missing_masks(tmp_path: Path):
    make(tmp_path, {"train": ["a", "b"]})
    (tmp_path / "train/masks/b.png").unlink()
    with pytest.raises(
        DataError, match=r"train/images/b\.jpg: its mask is missing; expected .*/train/masks/b\.png; split"
    ):
        open_dataset(tmp_path)
    (tmp_path / "train/masks/a.png").unlink()
    with pytest.raises(DataError, match="no picture has a mask; expected train/images/"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not pictures and masks in each split; expected train/images/"):
        nested.read(tmp_path / "train")
