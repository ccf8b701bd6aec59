"""What public sets lack is made of what they have."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.public_masks import (
    PETS,
    STANFORD,
    describe_camvid,
    describe_coco_stuff,
    mask_pets,
    mask_stanford,
    read_regions,
)
from fullconv.data.samples import read_sample
from fullconv.errors import DataError
from fullconv.labels import CAMVID


def picture(path: Path, height: int, width: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height)).save(path)


def make_pets(folder: Path) -> None:
    trimap = np.array([[1, 2, 3], [2, 2, 1]], np.uint8)
    for name in ("Abyssinian_1", "beagle_2", "pug_3"):
        picture(folder / "images" / f"{name}.jpg", 2, 3)
        (folder / "annotations" / "trimaps").mkdir(parents=True, exist_ok=True)
        Image.fromarray(trimap).save(folder / "annotations" / "trimaps" / f"{name}.png")
    (folder / "annotations" / "trimaps" / "._pug_3.png").write_bytes(b"junk of macOS")
    (folder / "images" / "Abyssinian_1.mat").write_bytes(b"junk")
    (folder / "annotations" / "trainval.txt").write_text("Abyssinian_1 1 1 1\nbeagle_2 2 2 1\n")
    (folder / "annotations" / "test.txt").write_text("#Image CLASS-ID SPECIES BREED ID\npug_3 3 2 2\n")


def test_pets(tmp_path):
    make_pets(tmp_path)
    mask_pets(tmp_path)
    dataset = open_dataset(tmp_path)
    assert {split: [each.name for each in samples] for split, samples in dataset.splits.items()} == {
        "test": ["pug_3"],
        "train": ["Abyssinian_1", "beagle_2"],
    }
    assert dataset.labels == PETS
    _, label_map = read_sample(dataset.split("train")[0], dataset.labels)
    assert label_map.tolist() == [[1, 0, 255], [0, 0, 1]]


def test_a_trimap_of_colours(tmp_path):
    make_pets(tmp_path)
    picture(tmp_path / "annotations" / "trimaps" / "pug_3.png", 2, 3)
    with pytest.raises(DataError, match=r"pug_3.png: is no trimap; expected ids 1 to 3"):
        mask_pets(tmp_path)


def test_stanford(tmp_path):
    for name in ("0000047", "6000124"):
        picture(tmp_path / "images" / f"{name}.jpg", 2, 3)
        (tmp_path / "labels").mkdir(exist_ok=True)
        (tmp_path / "labels" / f"{name}.regions.txt").write_text("0 7 -1\n 5 5 0 \n")
        (tmp_path / "labels" / f"{name}.surfaces.txt").write_text("1 1 1\n1 1 1\n")
    mask_stanford(tmp_path)
    dataset = open_dataset(tmp_path)
    assert dataset.labels == STANFORD
    assert sum(map(len, dataset.splits.values())) == 2
    _, label_map = read_sample(dataset.split("train")[0], dataset.labels)
    assert label_map.tolist() == [[0, 7, 255], [5, 5, 0]]


@pytest.mark.parametrize("content", ["", "1 2\n3\n", "1 x\n", "8 8\n", "1.5\n", "9" * 30, "é", "\0"])
def test_texts_that_hold_no_regions(tmp_path, content):
    (tmp_path / "a.regions.txt").write_text(content)
    with pytest.raises(DataError, match="holds no regions; expected a line of ids -1 to 7 for each row"):
        read_regions(tmp_path / "a.regions.txt")


def test_a_text_without_end(tmp_path, monkeypatch):
    monkeypatch.setattr("fullconv.data.public_masks.LONGEST_TEXT", 3)
    (tmp_path / "a.regions.txt").write_text("1 1 1\n")
    with pytest.raises(DataError, match="holds no regions"):
        read_regions(tmp_path / "a.regions.txt")


def test_names_of_coco_stuff(tmp_path):
    names = ["unlabeled", *(f"thing {index}" for index in range(1, 183))]
    (tmp_path / "labels.txt").write_text("\n".join(f"{index}: {name}" for index, name in enumerate(names)))
    describe_coco_stuff(tmp_path)
    picture(tmp_path / "images" / "train" / "1.jpg", 1, 3)
    (tmp_path / "masks" / "train").mkdir(parents=True)
    Image.fromarray(np.array([[0, 181, 255]], np.uint8)).save(tmp_path / "masks" / "train" / "1.png")
    dataset = open_dataset(tmp_path)
    assert (dataset.name, dataset.labels.num_classes) == ("coco-stuff", 182)
    assert (dataset.labels.names[0], dataset.labels.names[181]) == ("thing 1", "thing 182")
    _, label_map = read_sample(dataset.split("train")[0], dataset.labels)
    assert label_map.tolist() == [[0, 181, 255]]


def test_a_list_of_names_that_is_another(tmp_path):
    (tmp_path / "labels.txt").write_text("<html>404</html>")
    with pytest.raises(DataError, match=r"labels.txt: names 0 ids; expected 0 to 182; download it again"):
        describe_coco_stuff(tmp_path)


def test_camvid(tmp_path):
    describe_camvid(tmp_path)
    picture(tmp_path / "images" / "train" / "1.png", 1, 2)
    (tmp_path / "masks" / "train").mkdir(parents=True)
    Image.fromarray(np.array([[0, 11]], np.uint8)).save(tmp_path / "masks" / "train" / "1.png")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == CAMVID
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[0, 255]]
