"""SBD: masks in MAT-files, VOC's classes, its own lists."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import sbd
from fullconv.data.samples import read_sample
from fullconv.errors import DataError
from fullconv.labels import VOC

MASK = np.array([[0, 1, 20], [15, 0, 0]], np.uint8)


def make(root: Path, names: list[str]) -> Path:
    for folder in ("img", "cls"):
        (root / folder).mkdir(parents=True)
    for name in names:
        Image.new("RGB", (3, 2)).save(root / "img" / f"{name}.jpg")
        truth = {"Boundaries": np.zeros((2, 3)), "Segmentation": MASK, "CategoriesPresent": [1, 20]}
        scipy.io.savemat(root / "cls" / f"{name}.mat", {"GTcls": truth}, do_compression=True)
    (root / "train.txt").write_text("\n".join(names[1:]) + "\n")
    (root / "val.txt").write_text(f"{names[0]}\n")
    return root


@pytest.mark.parametrize("place", [".", "dataset", "benchmark_RELEASE/dataset"])
def test_masks_are_those_of_the_mat_files(tmp_path: Path, place):
    make(tmp_path / place, ["2008_000002", "2008_000004", "2008_000003"])
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "sbd"
    assert dataset.layout == "SBD with lists train.txt, val.txt"
    assert dataset.labels == VOC
    assert [sample.name for sample in dataset.split("train")] == ["2008_000004", "2008_000003"]
    (sample,) = dataset.split("val")
    assert (read_sample(sample, VOC)[1] == MASK).all()


def test_what_is_missing_is_named(tmp_path: Path):
    make(tmp_path, ["a", "b", "c"])
    (tmp_path / "cls" / "c.mat").unlink()
    with pytest.raises(
        DataError, match=r"img/c\.jpg: its mask is missing; expected .*/cls/c\.mat; split 'train' lacks 1"
    ):
        open_dataset(tmp_path)
    (tmp_path / "train.txt").write_text("b\nx\n")
    with pytest.raises(
        DataError, match=r"train\.txt: 1 of its 2 names have no picture, 'x' for one; add them or"
    ):
        open_dataset(tmp_path)
    (tmp_path / "train.txt").unlink()
    (tmp_path / "val.txt").unlink()
    with pytest.raises(DataError, match=r"no list names a picture with a mask; expected train\.txt"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not SBD; expected img/, cls/"):
        sbd.read(tmp_path / "img")
