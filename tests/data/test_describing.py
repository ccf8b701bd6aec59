"""A generated dataset.yaml says what had been found: with it the same data set is read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.classes import read_description
from fullconv.data.contents import Dataset
from fullconv.data.dataset import open_dataset
from fullconv.data.describing import describe, write_description
from fullconv.data.scenes import write_scenes
from fullconv.errors import DataError
from fullconv.labels import LabelSet


def make(root: Path, mask: np.ndarray) -> Path:
    for split in ("train", "val"):
        for folder, pixels in (("images", np.zeros((*mask.shape, 3), np.uint8)), ("masks", mask)):
            (root / folder / split).mkdir(parents=True)
            Image.fromarray(pixels).save(root / folder / split / "a.png")
    return root


@pytest.mark.parametrize("mask", [[[0, 1, 2, 255]], [[0, 255, 255, 0]]], ids=["ids", "black and white"])
def test_what_is_written_is_read_the_same(tmp_path: Path, mask):
    found = open_dataset(make(tmp_path, np.array(mask, np.uint8)))
    path = write_description(found, tmp_path)
    assert path == tmp_path / "dataset.yaml"
    again = open_dataset(tmp_path)
    layout = found.layout.split(";")[0]  # the note on black and white is not needed any more
    assert again == replace(found, layout=layout)
    assert describe(again) == path.read_text()
    with pytest.raises(
        DataError, match=r"dataset\.yaml: is there already; expected none; change it by hand, or"
    ):
        write_description(found, tmp_path)


def test_names_of_all_kinds_and_void_ids(tmp_path: Path):
    names = ("yes", "1", "a: b", "#x", "straße", "it's", "[", "- a", " lead", "null", "天")
    labels = LabelSet(LabelSet.from_names(names).names, LabelSet.from_names(names).colors, (11, 7))
    dataset = Dataset("no", Path("nowhere"), "", labels, {}, layout_name="twin")
    (tmp_path / "dataset.yaml").write_text(describe(dataset), "utf-8")
    description = read_description(tmp_path / "dataset.yaml")
    assert (description.name, description.layout, description.labels()) == ("no", "twin", labels)


@given(st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=5, unique=True))
def test_any_names(tmp_path_factory: pytest.TempPathFactory, names):
    path = tmp_path_factory.mktemp("names") / "dataset.yaml"
    labels = LabelSet.from_names(names)
    try:
        text = describe(Dataset(names[0], Path("nowhere"), "", labels, {}))
        path.write_text(text, "utf-8", newline="")
    except UnicodeEncodeError:  # half a character is no name
        return
    assert read_description(path).labels() == labels


def test_a_data_set_with_its_own(tmp_path: Path):
    folder = write_scenes(tmp_path / "scenes", num_train=1, num_val=1, seed=0, depth=True, geometry=True)
    dataset = open_dataset(folder)
    own = folder / "dataset.yaml"
    assert dataset.root != folder
    assert describe(dataset, folder) == own.read_text()
    with pytest.raises(
        DataError, match=r"has extra channels or heads that a dataset\.yaml elsewhere names; copy that one"
    ):
        describe(dataset)
