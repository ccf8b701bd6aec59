"""Masks find their pictures though their names end in what they are."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts.folders import MASK_ENDS
from fullconv.data.samples import read_sample
from fullconv.errors import DataError


def add(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make(root: Path, pictures: list[str], masks: list[str]) -> Path:
    for name in pictures:
        add(root / "images" / name, np.zeros((4, 6, 3), np.uint8))
    for number, name in enumerate(masks):
        add(root / "masks" / name, np.full((4, 6), number % 3, np.uint8))
    return root


def pairs(folder: Path) -> dict[str, str]:
    dataset = open_dataset(folder)
    root = dataset.root / "masks"
    return {
        sample.name: str(Path(str(sample.mask)).relative_to(root))
        for samples in dataset.splits.values()
        for sample in samples
    }


@pytest.mark.parametrize("end", MASK_ENDS)
@pytest.mark.parametrize("tree", ["", "train/"])
def test_each_end(tmp_path: Path, end, tree):
    make(tmp_path, [f"{tree}a.jpg", f"{tree}b.1.jpg"], [f"{tree}a{end}.png", f"{tree}b.1{end}.png"])
    assert pairs(tmp_path) == {"a": f"{tree}a{end}.png", "b.1": f"{tree}b.1{end}.png"}


def test_a_mask_with_the_very_name_wins(tmp_path: Path):
    make(tmp_path, ["a.jpg", "b_mask.jpg"], ["a_mask.png", "a.png", "b_mask.png"])
    assert pairs(tmp_path) == {"a": "a.png", "b_mask": "b_mask.png"}


def test_gifs_as_of_carvana(tmp_path: Path):
    add(tmp_path / "images" / "car_01.jpg", np.zeros((4, 6, 3), np.uint8))
    ids = np.array([[0, 0, 1, 1, 0, 0]] * 4, np.uint8)
    image = Image.fromarray(ids)
    image.putpalette([0, 0, 0, 255, 255, 255])
    (tmp_path / "masks").mkdir()
    image.save(tmp_path / "masks" / "car_01_mask.gif")
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("class_0", "class_1")
    assert (read_sample(dataset.split("train")[0], dataset.labels)[1] == ids).all()


def test_other_ends_are_missing_masks(tmp_path: Path):
    make(tmp_path, ["train/a.jpg", "train/b.jpg"], ["train/a_mask.png", "train/b_other.png"])
    with pytest.raises(DataError, match=r"b\.jpg: its mask is missing; expected .*masks/train/b\.png"):
        pairs(tmp_path)
