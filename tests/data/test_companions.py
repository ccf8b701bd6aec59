"""Extra channels and further heads are found beside pictures and masks, or named where they are missing."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades, write_mask
from fullconv.data.samples import read_heads, read_sample
from fullconv.errors import DataError
from fullconv.labels import Head, LabelSet

DESCRIPTION = """
classes: [background, bag]
extra: {folder: depth, range: [0, 1000]}
heads:
  - {name: geometric, masks: masks_geometric, classes: [sky, ground, wall], ignore: [9]}
  - {name: light, masks: masks_light, classes: [dark, bright]}
"""
BAG, GEOMETRIC = LabelSet.from_names(["background", "bag"]), LabelSet.from_names(["sky", "ground", "wall"])


def make(root: Path, keys: list[str], masks: str = "masks", pictures: str = "images") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    (root / "dataset.yaml").write_text(DESCRIPTION)
    for number, key in enumerate(keys):
        files = {
            name: root / name / f"{key}.png" for name in (masks, "depth", "masks_geometric", "masks_light")
        }
        picture = root / pictures / f"{key}.jpg"
        for path in (picture, files["depth"]):
            path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 2), (90, 90, 90)).save(picture)
        Image.fromarray(np.full((2, 4), 200 * number, np.uint16)).save(files["depth"])
        write_mask(files[masks], np.full((2, 4), number % 2, np.uint8), BAG)
        write_mask(files["masks_geometric"], np.array([[0, 1, 2, 9]] * 2, np.uint8), GEOMETRIC)
        write_mask(files["masks_light"], np.full((2, 4), 1, np.uint8), BAG)
    return root


def fault(folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        open_dataset(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("keys", [["train/a", "train/b", "val/a"], ["a", "b"]])
def test_twin_trees_and_flat_folders(tmp_path: Path, keys):
    dataset = open_dataset(make(tmp_path, keys))
    assert dataset.heads == (
        Head("geometric", LabelSet(GEOMETRIC.names, GEOMETRIC.colors, (9,))),
        Head("light", LabelSet.from_names(["dark", "bright"])),
    )
    assert (dataset.extra, dataset.num_channels) == (ExtraFormat(1, (0, 1000)), 4)
    samples = [sample for split in dataset.splits.values() for sample in split]
    assert len(samples) == len(keys)
    for sample in samples:
        key = sample.picture.relative_to(tmp_path / "images").with_suffix("").as_posix()
        assert sample.extra == tmp_path / "depth" / f"{key}.png"
        assert sample.head_masks == tuple(
            tmp_path / f"masks_{n}" / f"{key}.png" for n in ("geometric", "light")
        )
        picture, label_maps = read_heads(sample, dataset.labels, dataset.heads)
        assert (picture.shape, picture.dtype) == ((2, 4, 4), np.uint8)
        assert (picture[..., 3] == 51 * keys.index(key)).all()
        assert (label_maps.shape, label_maps.dtype) == ((3, 2, 4), np.uint8)
        assert (label_maps[0] == keys.index(key) % 2).all()
        assert label_maps[1].tolist() == [[0, 1, 2, 255]] * 2
        assert (label_maps[2] == 1).all()
        alone, label_map = read_sample(sample, dataset.labels)
        assert (alone == picture).all()
        assert (label_map == label_maps[0]).all()


def test_the_folders_of_a_vocdevkit_lie_in_its_year(tmp_path: Path):
    root = make(tmp_path / "VOCdevkit" / "VOC2012", ["a", "b"], "SegmentationClass", "JPEGImages")
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("b\n")
    shutil.move(root / "dataset.yaml", tmp_path / "dataset.yaml")
    (sample,) = open_dataset(tmp_path).split("train")
    assert sample.extra == root / "depth" / "b.png"
    assert sample.head_masks == (root / "masks_geometric" / "b.png", root / "masks_light" / "b.png")


def test_trees_of_pictures_and_one_folder_of_files_for_all(tmp_path: Path):
    make(tmp_path, ["train/a", "val/b"])
    for path in sorted((tmp_path / "depth").rglob("*.png")):
        shutil.move(path, tmp_path / "depth" / path.name)
    dataset = open_dataset(tmp_path)
    assert dataset.split("val")[0].extra == tmp_path / "depth" / "b.png"


def test_missing_files_and_folders_are_named(tmp_path: Path):
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "depth" / "b.png").unlink()
    (tmp_path / "masks_light" / "c.png").unlink()
    found = fault(tmp_path)
    assert found.startswith(
        f"{tmp_path}/images/b.jpg: its file for extra is missing; expected {tmp_path}/depth/b.png; 1 of"
    )
    assert found.endswith("; add them")
    Image.new("L", (4, 2)).save(tmp_path / "depth" / "b.png")
    assert (
        f"images/c.jpg: its file for head light is missing; expected {tmp_path}/masks_light/c.png; 1 of"
        in fault(tmp_path)
    )
    shutil.rmtree(tmp_path / "depth")
    assert fault(tmp_path) == (
        f"{tmp_path}/depth: no such folder; dataset.yaml names it under extra; correct the name"
    )


def test_brightness_reaches_every_sample(tmp_path: Path):
    make(tmp_path, ["a", "b"])
    (tmp_path / "dataset.yaml").write_text(
        "classes: [background, bag]\nmasks: {dark: bag, light: background}\n"
    )
    dataset = open_dataset(tmp_path)
    samples = [sample for split in dataset.splits.values() for sample in split]
    assert [sample.shades for sample in samples] == [Shades(dark=1, light=0)] * 2
    assert (dataset.heads, dataset.extra, dataset.num_channels) == ((), None, 3)
