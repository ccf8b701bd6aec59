"""Cityscapes: ids and train ids give the same 19 classes; fine masks go before coarse ones."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import cityscapes
from fullconv.data.samples import read_sample
from fullconv.errors import DataError
from fullconv.labels import CITYSCAPES

TRAIN_ID_OF = {
    7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12, 26: 13, 27: 14, 28: 15,
    31: 16, 32: 17, 33: 18,
}  # fmt: skip
"""id -> train id, as cityscapesScripts' helpers/labels.py has them; the other ids 0..33 are void."""

IDS = np.arange(34, dtype=np.uint8).reshape(2, 17)
TRAIN_IDS = np.array([[TRAIN_ID_OF.get(i, 255) for i in row] for row in IDS.tolist()], np.uint8)


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def add(
    root: Path, split: str, name: str, truth: str = "gtFine", kind: str = "labelIds", suffix: str = "png"
) -> None:
    city = name.split("_")[0]
    save(root / "leftImg8bit" / split / city / f"{name}_leftImg8bit.{suffix}", np.zeros((2, 17, 3), np.uint8))
    mask = IDS if kind == "labelIds" else TRAIN_IDS
    save(root / truth / split / city / f"{name}_{truth}_{kind}.png", mask)


@pytest.mark.parametrize("place", [".", "cityscapes"])
def test_ids_become_the_scored_classes(tmp_path: Path, place):
    add(tmp_path / place, "train", "aachen_000000_000019")
    add(tmp_path / place, "train", "bochum_000000_000313")
    add(tmp_path / place, "val", "lindau_000001_000019", suffix="jpg")
    save(tmp_path / place / "gtFine/train/aachen/aachen_000000_000019_gtFine_color.png", IDS)
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "cityscapes"
    assert dataset.layout == "Cityscapes with gtFine, as its 19 scored classes"
    assert dataset.labels == CITYSCAPES
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["aachen_000000_000019", "bochum_000000_000313"],
        "val": ["lindau_000001_000019"],
    }
    for samples in dataset.splits.values():
        assert (read_sample(samples[0], dataset.labels)[1] == TRAIN_IDS).all()


def test_train_ids_are_read_where_they_are(tmp_path: Path):
    add(tmp_path, "train", "ulm_1_2")
    add(tmp_path, "train", "ulm_1_2", kind="labelTrainIds")
    add(tmp_path, "train", "ulm_1_3", kind="labelTrainIds")
    first, second = open_dataset(tmp_path).split("train")
    assert str(first.mask).endswith("ulm_1_2_gtFine_labelTrainIds.png")
    for sample in (first, second):
        assert (read_sample(sample, CITYSCAPES)[1] == TRAIN_IDS).all()


def test_coarse_masks_fill_what_fine_ones_lack(tmp_path: Path):
    add(tmp_path, "train", "ulm_1_2")
    add(tmp_path, "train", "ulm_1_2", "gtCoarse")
    add(tmp_path, "train_extra", "bonn_1_2", "gtCoarse")
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "Cityscapes with gtFine and gtCoarse, as its 19 scored classes"
    assert [str(sample.mask).split("_")[-2] for sample in dataset.split("train")] == ["gtFine"]
    (extra,) = dataset.split("train_extra")
    assert (read_sample(extra, CITYSCAPES)[1] == TRAIN_IDS).all()


def test_the_test_split_is_left_out(tmp_path: Path):
    add(tmp_path, "val", "ulm_1_2")
    add(tmp_path, "test", "berlin_1_2")
    assert list(open_dataset(tmp_path).splits) == ["val"]


def test_missing_masks_and_what_is_not_cityscapes(tmp_path: Path):
    add(tmp_path, "train", "ulm_1_2")
    add(tmp_path, "train", "ulm_1_3")
    (tmp_path / "gtFine/train/ulm/ulm_1_3_gtFine_labelIds.png").unlink()
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value) == (
        f"{tmp_path}/leftImg8bit/train/ulm/ulm_1_3_leftImg8bit.png: its mask is missing; expected {tmp_path}/gtFine/train/CITY/"
        "ulm_1_3_gtFine_labelIds.png; split 'train' lacks 1 of 2 masks; add them or take these pictures out of the split"
    )
    (tmp_path / "gtFine/train/ulm/ulm_1_2_gtFine_labelIds.png").unlink()
    with pytest.raises(
        DataError, match="no picture in leftImg8bit/ has a mask; expected for leftImg8bit/train/CITY/"
    ):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not Cityscapes; expected leftImg8bit/SPLIT/CITY/"):
        cityscapes.read(tmp_path / "gtFine")


def test_an_id_that_cityscapes_does_not_have(tmp_path: Path):
    add(tmp_path, "train", "ulm_1_2")
    save(tmp_path / "gtFine/train/ulm/ulm_1_2_gtFine_labelIds.png", np.full((2, 17), 34, np.uint8))
    with pytest.raises(DataError, match="id 34 on 34 pixels is none of the 34 classes"):
        read_sample(open_dataset(tmp_path).split("train")[0], CITYSCAPES)
