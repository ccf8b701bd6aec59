"""A picture and its mask fit, or the reason is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.masks import write_mask
from fullconv.data.samples import Sample, read_sample
from fullconv.errors import DataError
from fullconv.labels import LabelSet

BAG = LabelSet.from_names(["background", "bag"])


def make(
    tmp_path: Path, picture_hw: tuple[int, int], mask_hw: tuple[int, int], orientation: int = 1
) -> Sample:
    tags = Image.Exif()
    tags[274] = orientation
    Image.new("RGB", picture_hw[::-1], (1, 2, 3)).save(tmp_path / "a.jpg", exif=tags)
    write_mask(tmp_path / "a.png", np.ones(mask_hw, np.uint8), BAG)
    return Sample("a", tmp_path / "a.jpg", tmp_path / "a.png")


def test_a_pair(tmp_path: Path):
    picture, label_map = read_sample(make(tmp_path, (30, 20), (30, 20)), BAG)
    assert picture.shape == (30, 20, 3)
    assert label_map.shape == (30, 20)
    assert picture.dtype == label_map.dtype == np.uint8


def test_a_turned_picture_fits_a_mask_drawn_as_it_is_shown(tmp_path: Path):
    picture, label_map = read_sample(make(tmp_path, (20, 30), (30, 20), orientation=6), BAG)
    assert picture.shape[:2] == label_map.shape == (30, 20)


def test_a_mask_drawn_without_orientation(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read_sample(make(tmp_path, (20, 30), (20, 30), orientation=6), BAG)
    assert str(caught.value) == (
        f"{tmp_path}/a.png: is 20 x 30 (height x width), its picture 30 x 20: swapped, as when the mask was drawn "
        f"without the picture's EXIF orientation; rotate the mask or remove the orientation tag of {tmp_path}/a.jpg"
    )


def test_a_mask_of_another_size(tmp_path: Path):
    with pytest.raises(DataError) as caught:
        read_sample(make(tmp_path, (30, 20), (15, 10)), BAG)
    assert str(caught.value) == (
        f"{tmp_path}/a.png: is 15 x 10 (height x width), its picture 30 x 20; expected equal sizes; export it at the size "
        f"of {tmp_path}/a.jpg"
    )
