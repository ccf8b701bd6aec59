"""Lists of colours name the classes of colour-coded masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.color_lists import read_colors
from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.errors import DataError
from fullconv.labels import LabelSet


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("label_colors.txt", "0 255 255\turban land\n255  255 0   road\n0 0 0 Void\n"),
        ("class_dict.csv", "name,r,g,b\nurban land, 0,255,255\nroad,255,255,0\nVoid,0,0,0\n"),
        ("class_dict.csv", "urban land,0,255,255\nroad,255,255,0\nVoid,0,0,0\n"),
    ],
)
def test_masks_in_colours_of_a_list(tmp_path: Path, name, text):
    (tmp_path / name).write_text(text)
    colors = ((0, 255, 255), (255, 255, 0), (0, 0, 0))
    assert read_colors(tmp_path / name) == LabelSet(("urban land", "road", "Void"), colors)
    for folder, pixels in (
        ("images", np.zeros((1, 3, 3), np.uint8)),
        ("masks", np.array([colors], np.uint8)),
    ):
        (tmp_path / folder).mkdir()
        Image.fromarray(pixels).save(tmp_path / folder / "a.png")
    dataset = open_dataset(tmp_path)
    assert dataset.labels == LabelSet(("urban land", "road", "Void"), colors, ignore_ids=(2,))
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[0, 1, 255]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.txt",
            "1 2 3\n",
            "line 1 is '1 2 3'; expected a colour and a name that no other line has, such as 64 128 64 A",
        ),
        ("a.txt", "1 2 3 a\n4 5 6 a\n", "line 2 is '4 5 6 a'; expected a colour and a name that no other"),
        ("a.txt", "1 2 3 a\n1 2 3 b\n", "class colour (1, 2, 3) is given twice"),
        ("a.txt", "1 2 999 a\n", "class a has the colour (1, 2, 999); expected (R, G, B), each 0..255"),
        ("a.txt", "0 0 0 Void\n", "names no class; expected a colour and a name a line"),
        (
            "a.txt",
            "".join(f"{i} 0 {i // 256} c{i}\n" for i in range(256)),
            "names 256 classes; expected at most 255",
        ),
        (
            "a.csv",
            "name,r,g,b\na,1,2\n",
            "line 2 is 'a,1,2'; expected a colour and a name that no other line has, such",
        ),
        ("a.csv", "name,r,g,b\n,1,2,3\n", "line 2 is ',1,2,3'; expected a colour and a name"),
    ],
)
def test_lists_of_colours_that_are_not_understood(tmp_path: Path, name, text, message):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_colors(path)
    assert str(caught.value).startswith(f"{path}: {message}")
