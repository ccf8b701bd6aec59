"""The page is complete, offline and safe."""

import re

import numpy as np
import pytest
from data_sets import stripes, write_set

from fullconv.data.dataset import open_dataset
from fullconv.reporting.data_facts import data_facts
from fullconv.reporting.data_page import write_data_page


def page_of(folder, path):
    write_data_page(data_facts(open_dataset(folder)), folder, path)
    return path.read_text("utf-8")


def test_a_page(tmp_path):
    maps = [stripes(30, 40, [0, 1, 1, 0]) for _ in range(8)]
    maps[5] = stripes(30, 40, [0, 0, 2, 255])
    folder = write_set(
        tmp_path / "set", {"train": maps, "val": maps[:2]}, ["background", "bag", "shoe", "hat"]
    )
    html = page_of(folder, tmp_path / "page.html")
    assert (
        html.count('src="data:image/jpeg;base64,') == 6 + 2
    )  # of the three classes that occur the two rarest
    assert not re.search(r'(src|href)="(?!data:)', html)
    assert "<strong>shoe</strong>, 25.0 % of train_5" in html
    assert "3 of 4" in html
    assert "fullconv train" in html
    assert re.search(r"hat<span class=\"pill\">absent", html)
    assert html == page_of(folder, tmp_path / "again.html")


def test_names_from_strangers(tmp_path):
    hostile = ["<script>x()</script>", "a\"b' onload=x", "标志"]
    folder = write_set(tmp_path / "<b>set", {"train": [stripes(9, 9, [0, 1, 2])]}, hostile)
    html = page_of(folder, tmp_path / "page.html")
    assert "<script" not in html
    assert "<b>set" not in html
    assert "&lt;script&gt;x()&lt;/script&gt;" in html
    assert "标志" in html


def test_examples_that_cannot_be_read_are_left_out(tmp_path):
    maps = [stripes(9, 9, [0, 1])] * 3
    folder = write_set(tmp_path / "set", {"train": maps}, ["background", "bag"])
    (folder / "masks" / "train" / "train_0.png").write_bytes(b"")
    (folder / "images" / "train" / "train_1.jpg").write_bytes(
        (folder / "images" / "train" / "train_1.jpg").read_bytes()[:-60]
    )
    write_set(tmp_path / "other", {"train": [stripes(5, 5, [0, 1])] * 3}, ["background", "bag"])
    (tmp_path / "other" / "masks" / "train" / "train_2.png").rename(
        folder / "masks" / "train" / "train_2.png"
    )
    html = page_of(folder, tmp_path / "page.html")
    assert "1 file could not be read" in html
    assert "data:image" not in html


@pytest.mark.parametrize("color", [(0, 0, 0), (9, 9, 9)])
def test_a_black_class_is_seen(tmp_path, color):
    folder = write_set(tmp_path / "set", {"train": [stripes(9, 9, [0, 1, 1])]}, ["sky", "road"])
    (folder / "dataset.yaml").write_text(
        f"classes: [{{name: sky, color: {list(color)}}}, {{name: road, color: [1, 2, 3]}}]"
    )
    assert "<strong>sky</strong>, 33.3 % of train_0" in page_of(folder, tmp_path / "page.html")


def test_void_alone(tmp_path):
    folder = write_set(tmp_path / "set", {"train": [np.full((9, 9), 255)]}, ["background", "bag"])
    assert "n/a" in page_of(folder, tmp_path / "page.html")
