"""Masks of other ids and masks in MAT-files become label maps of the data set's classes."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
from PIL import Image

from fullconv.data.mapped import MappedMask, MatMask
from fullconv.data.sources import MaskSource, Member
from fullconv.errors import DataError
from fullconv.labels import LabelSet

STORED = LabelSet.from_names(["nothing", "cat", "dog", "lawn", "oak"])
LABELS = LabelSet.from_names(["plant", "animal"])
IDS = bytes([255, 1, 1, 0, 0])


def save(path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(path)
    return path


def test_ids_and_colours_are_mapped(tmp_path: Path):
    ids = np.array([[0, 1, 2, 3], [4, 255, 1, 0]], np.uint8)
    expected = [[255, 1, 1, 0], [0, 255, 1, 255]]
    mask = MappedMask(save(tmp_path / "a.png", ids), STORED, IDS)
    assert isinstance(mask, MaskSource)
    assert (str(mask), mask.path) == (str(tmp_path / "a.png"), tmp_path / "a.png")
    assert mask.read(LABELS).tolist() == expected
    colors = np.array([*STORED.colors, (224, 224, 192)], np.uint8)[np.where(ids == 255, 5, ids)]
    colored = MappedMask(save(tmp_path / "b.png", colors), STORED, IDS).read(LABELS)
    assert (colored.tolist(), colored.dtype) == (expected, np.uint8)


def test_mapped_masks_may_be_packed(tmp_path: Path):
    path = save(tmp_path / "a.png", np.array([[3, 1]], np.uint8))
    member = Member(path, "inside", 0, path.stat().st_size)
    mask = MappedMask(member, STORED, IDS)
    assert (mask.path, str(mask)) == (path, f"{path}:inside")
    assert mask.read(LABELS).tolist() == [[0, 1]]


def test_ids_that_are_not_known(tmp_path: Path):
    mask = MappedMask(save(tmp_path / "a.png", np.array([[3, 7, 7]], np.uint8)), STORED, IDS)
    with pytest.raises(DataError, match=r"a\.png: id 7 on 2 pixels is none of the 5 classes"):
        mask.read(LABELS)
    mask = MappedMask(save(tmp_path / "b.png", np.array([[1, 1, 3]], np.uint8)), STORED, IDS)
    with pytest.raises(DataError) as caught:
        mask.read(LabelSet.from_names(["plant"]))
    assert str(caught.value) == (
        f"{tmp_path}/b.png: id 1 on 2 pixels is none of the 1 classes; expected dataset.yaml to name all that the layout "
        "has, or none"
    )


def test_what_the_data_set_ignores_is_void(tmp_path: Path):
    mask = MappedMask(save(tmp_path / "a.png", np.array([[1, 3]], np.uint8)), STORED, IDS)
    assert mask.read(LabelSet(LABELS.names, LABELS.colors, (1,))).tolist() == [[255, 0]]


@pytest.mark.parametrize("dtype", ["u1", "i1", "i4", "f8"])
def test_arrays_of_matlab(tmp_path: Path, dtype):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"S": np.array([[0, 1], [2, 2]], dtype)})
    mask = MatMask(path, "S", 1, (0,))
    assert isinstance(mask, MaskSource)
    found = mask.read(LABELS)
    assert (found.tolist(), found.dtype) == ([[255, 0], [1, 1]], np.uint8)
    if dtype != "u1":
        scipy.io.savemat(path, {"S": np.array([[0, -1, 1]], dtype)})
        assert MatMask(path, "S", 1, (0, -1)).read(LABELS).tolist() == [[255, 255, 0]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        ([[1, 3, 3]], "S holds 3 on 2 pixels; expected 1..2 for the 2 classes, or void (0)"),
        ([[1, -1]], "S holds -1 on 1 pixels; expected 1..2"),
        ([[1.5, 1]], "S holds 1.5 on 1 pixels; expected 1..2"),
        ([[np.nan, 1]], "S holds nan on 1 pixels; expected 1..2"),
        ([[np.inf, 1]], "S holds inf on 1 pixels; expected 1..2"),
        (np.ones((2, 2, 2)), "S has the shape (2, 2, 2); expected (height, width)"),
        (np.ones((0, 0)), "S has the shape (0, 0); expected (height, width)"),
    ],
)
def test_arrays_that_are_no_masks(tmp_path: Path, array, message):
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"S": np.array(array)})
    with pytest.raises(DataError) as caught:
        MatMask(path, "S", 1, (0,)).read(LABELS)
    assert str(caught.value).startswith(f"{path}: {message}")
