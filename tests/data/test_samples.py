"""A picture and its mask fit, or the reason is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.masks import Shades, write_mask
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.errors import DataError
from fullconv.labels import VOC, Head, LabelSet

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


def test_extra_channels_stand_behind_the_picture(tmp_path: Path):
    sample = make(tmp_path, (30, 20), (30, 20))
    depth = np.random.default_rng(0).integers(0, 256, (30, 20), np.uint8)
    Image.fromarray(depth).save(tmp_path / "d.png")
    picture = read_sample(replace(sample, extra=tmp_path / "d.png"), BAG)[0]
    assert (picture[..., :3] == read_sample(sample, BAG)[0]).all()
    assert (picture[..., 3] == depth).all()


def test_extra_channels_of_another_size(tmp_path: Path):
    sample = make(tmp_path, (20, 30), (30, 20), orientation=6)
    Image.new("L", (20, 10)).save(tmp_path / "d.png")
    with pytest.raises(DataError) as caught:
        read_sample(replace(sample, extra=tmp_path / "d.png"), BAG)
    assert str(caught.value) == (
        f"{tmp_path}/d.png: is 10 x 20 (height x width), its picture 30 x 20; expected equal sizes; export it at the size "
        f"of {tmp_path}/a.jpg"
    )
    Image.new("L", (30, 20)).save(tmp_path / "d.png")
    with pytest.raises(
        DataError, match=r"d\.png: is 20 x 30 .*: swapped, as when its channels were saved without"
    ):
        read_sample(replace(sample, extra=tmp_path / "d.png"), BAG)


def test_a_mask_of_black_and_white(tmp_path: Path):
    sample = make(tmp_path, (2, 4), (2, 4))
    Image.fromarray(np.array([[0, 127, 128, 255]] * 2, np.uint8)).save(tmp_path / "a.png")
    assert read_sample(replace(sample, shades=Shades(dark=1, light=0)), BAG)[1].tolist() == [[1, 1, 0, 0]] * 2


def test_all_heads_of_a_sample(tmp_path: Path):
    sample = make(tmp_path, (2, 3), (2, 3))
    heads = [Head("a", LabelSet.from_names("xyz")), Head("b", LabelSet.from_names("uv"))]
    for name in "gh":
        write_mask(tmp_path / f"{name}.png", np.full((2, 3), "hg".index(name) + 1, np.uint8), VOC)
    sample = replace(sample, head_masks=(tmp_path / "g.png", tmp_path / "h.png"))
    picture, label_maps = read_heads(sample, BAG, heads)
    assert picture.shape == (2, 3, 3)
    assert label_maps.shape == (3, 2, 3)
    assert label_maps[:, 0, 0].tolist() == [1, 2, 1]
    with pytest.raises(
        DataError, match=r"a\.jpg: has masks of 2 further heads; expected 1 \(a\); give both the same"
    ):
        read_heads(sample, BAG, heads[:1])
    write_mask(tmp_path / "h.png", np.full((2, 3), 2, np.uint8), VOC)
    with pytest.raises(DataError, match=r"h\.png: id 2 on 6 pixels is none of the 2 classes"):
        read_heads(sample, BAG, heads)
    write_mask(tmp_path / "h.png", np.zeros((3, 3), np.uint8), VOC)
    with pytest.raises(DataError, match=r"h\.png: is 3 x 3 \(height x width\), its picture 2 x 3; expected"):
        read_heads(sample, BAG, heads)
