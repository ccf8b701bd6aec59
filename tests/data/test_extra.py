"""Extra channels become 0..255 by their range, or are refused in one line."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.errors import DataError, PictureError


def save(path: Path, pixels: np.ndarray, **options) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


@given(
    low=st.integers(0, 60000),
    span=st.integers(1, 60000),
    stored=st.lists(st.integers(0, 65535), min_size=1, max_size=20),
)
def test_sixteen_bits_by_their_range(tmp_path_factory, low, span, stored):
    values = np.array([stored], np.uint16)
    path = save(tmp_path_factory.mktemp("extra") / "a.png", values)
    got = read_extra(path, ExtraFormat(range=(low, low + span)))
    assert (got.shape, got.dtype) == ((1, len(stored), 1), np.uint8)
    expected = np.clip((values.astype(float) - low) / span, 0, 1) * 255
    assert np.abs(got[..., 0] - expected).max() <= 0.501
    turned = read_extra(path, ExtraFormat(range=(low + span, low)))  # near is bright
    assert np.abs(turned[..., 0] - (255 - expected)).max() <= 0.501


def test_eight_bits_are_kept_unless_a_range_is_given(tmp_path: Path):
    values = np.random.default_rng(0).integers(0, 256, (5, 7), np.uint8)
    path = save(tmp_path / "a.png", values)
    assert (read_extra(path, ExtraFormat())[..., 0] == values).all()
    stretched = read_extra(path, ExtraFormat(range=(0, 51)))[..., 0]
    assert (stretched == np.minimum(values.astype(int) * 5, 255)).all()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_three_channels(tmp_path: Path, suffix):
    values = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert (read_extra(save(tmp_path / f"a.{suffix}", values), ExtraFormat(channels=3)) == values).all()
    with_alpha = np.dstack([values, np.full((5, 7), 9, np.uint8)])
    assert (read_extra(save(tmp_path / f"b.{suffix}", with_alpha), ExtraFormat(channels=3)) == values).all()


def test_orientation_turns_a_file_like_its_picture(tmp_path: Path):
    values, tags = np.array([[1, 2, 3], [4, 5, 6]], np.uint8), Image.Exif()
    tags[274] = 6
    got = read_extra(save(tmp_path / "a.png", values, exif=tags), ExtraFormat())[..., 0]
    assert (got == values.T[:, ::-1]).all()


def test_what_is_not_as_described(tmp_path: Path):
    grey, rgb = np.zeros((2, 2), np.uint8), np.zeros((2, 2, 3), np.uint8)
    with pytest.raises(DataError) as caught:
        read_extra(save(tmp_path / "a.png", rgb), ExtraFormat())
    assert str(caught.value) == (
        f"{tmp_path}/a.png: has 3 channels (mode RGB); expected 1 of 8 or 16 bits; convert it, or change channels under "
        "extra: in dataset.yaml"
    )
    with pytest.raises(DataError, match=r"b\.png: has 1 channels \(mode L\); expected 3 of"):
        read_extra(save(tmp_path / "b.png", grey), ExtraFormat(channels=3))
    with pytest.raises(DataError, match=r"c\.tif: has floating-point values \(mode F\); expected 1 of 8 or"):
        read_extra(save(tmp_path / "c.tif", grey.astype(np.float32)), ExtraFormat(range=(0, 1)))
    with pytest.raises(
        DataError, match=r"d\.png: has mode I;16, and nothing says which .*add, .* range: \[0"
    ):
        read_extra(save(tmp_path / "d.png", grey.astype(np.uint16)), ExtraFormat())
    with pytest.raises(PictureError, match=r"none\.png: no such file"):
        read_extra(tmp_path / "none.png", ExtraFormat())
