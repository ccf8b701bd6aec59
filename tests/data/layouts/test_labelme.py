"""LabelMe's JSON files, as its own code writes them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.data.shapes import bitmaps
from fullconv.errors import DataError


def shape(label: str, points: list[Any], shape_type: str = "polygon", **more: Any) -> dict[str, Any]:
    return {
        "label": label, "points": points, "group_id": None, "description": "", "shape_type": shape_type, "flags": {},
        "mask": None, **more,
    }  # fmt: skip


def add(root: Path, name: str, *shapes: Any, **more: Any) -> Path:
    path = root / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4)).save(path.with_suffix(".jpg"))
    content = {
        "version": "5.4.1",
        "flags": {},
        "shapes": shapes,
        "imagePath": f"{path.stem}.jpg",
        "imageData": "AAAA",
    }
    path.write_text(json.dumps({**content, "imageHeight": 4, "imageWidth": 6, **more}))
    return path


def mask_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split("train")[0], dataset.labels)[1].tolist()


SQUARE = [[1, 1], [3, 1], [3, 3], [1, 3]]


@pytest.mark.parametrize(
    ("drawn", "rows"),
    [
        (shape("cat", SQUARE), [0, 0b011000, 0b011000, 0]),
        (shape("cat", [[3, 3], [1, 1]], "rectangle"), [0, 0b011000, 0b011000, 0]),
        (
            shape("cat", [[-0.2, 2], [2, -0.2], [4.2, 2], [2, 4.2]], "oriented_rectangle"),
            [0b011000, 0b111100, 0b111100, 0b011000],
        ),
        (shape("cat", [[2, 2], [2, 0.9]], "circle"), [0, 0b011000, 0b011000, 0]),
        (
            shape(
                "cat", [[1, 2], [2, 3]], "mask", mask=bitmaps.encode(np.eye(2, dtype=bool), deflated=False)
            ),
            [0, 0, 0b010000, 0b001000],
        ),
        (
            shape(
                "cat", [[5, -1], [6, 0]], "mask", mask=bitmaps.encode(np.ones((2, 2), bool), deflated=False)
            ),
            [0b000001, 0, 0, 0],
        ),
    ],
)
def test_kinds_of_shapes(tmp_path: Path, drawn, rows):
    add(tmp_path, "a", drawn)
    assert mask_of(tmp_path) == [[int(bit) for bit in f"{row:06b}"] for row in rows]


def test_lines_and_points_are_left_out_and_told(tmp_path: Path):
    lines = [shape("cut", [[0, 0], [5, 3]], kind) for kind in ("line", "linestrip", "linestrip")]
    add(tmp_path, "a", shape("cat", SQUARE), *lines, shape("nose", [[1, 1]], "point"))
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("background", "cat")
    assert dataset.layout.endswith("; without area and left out: 1 line, 2 linestrip, 1 point")
    assert np.sum(mask_of(tmp_path)) == 4


def test_the_order_of_labels_txt_and_void(tmp_path: Path):
    add(tmp_path, "a", shape("cat", SQUARE), shape("__ignore__", [[0, 0], [1, 0], [1, 1], [0, 1]]))
    assert mask_of(tmp_path)[0][0] == 255
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    assert open_dataset(tmp_path).labels.names == ("_background_", "dog", "cat")
    assert mask_of(tmp_path)[1] == [0, 2, 2, 0, 0, 0]


def test_folders_of_splits(tmp_path: Path):
    for split, names in {"train": "ab", "val": "c", "more": "d"}.items():
        for name in names:
            add(tmp_path / split, name, shape("cat", SQUARE))
    dataset = open_dataset(tmp_path)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "more": ["d"],
        "train": ["a", "b"],
        "val": ["c"],
    }


def test_folders_that_dataset_yaml_calls_splits(tmp_path: Path):
    for folder in ("monday", "friday"):
        add(tmp_path / folder, "a", shape("cat", SQUARE))
    (tmp_path / "dataset.yaml").write_text("layout: labelme\nsplits: [friday]\n")
    dataset = open_dataset(tmp_path)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "friday": ["a"],
        "monday": ["a"],
    }


def test_without_splits_a_tenth_is_val(tmp_path: Path):
    for number in range(20):
        add(tmp_path, f"n{number}", shape("cat", SQUARE))
    assert [sample.name for sample in open_dataset(tmp_path).split("val")] == ["n2", "n8"]


@pytest.mark.parametrize("named", ["../images/a.jpg", "..\\images\\a.jpg"])
def test_pictures_in_another_folder(tmp_path: Path, named):
    path = add(tmp_path / "json", "a", shape("cat", SQUARE), imagePath=named)
    (tmp_path / "images").mkdir()
    path.with_suffix(".jpg").rename(tmp_path / "images" / "a.jpg")
    assert open_dataset(tmp_path).split("train")[0].picture == tmp_path / "images" / "a.jpg"


@pytest.mark.parametrize(
    ("shapes", "more", "complaint"),
    [
        ([shape("cat", SQUARE[:2])], {}, "shapes[0].points: got 2, expected at least 3 for a polygon"),
        ([shape("cat", SQUARE, "circle")], {}, "shapes[0].points: got 4, expected 2 for a circle"),
        ([shape("cat", [])], {}, "shapes[0].points: got 0, expected at least 3"),
        ([shape("cat", [[1, 1], [2, 2], [99, 1]])], {}, "shapes[0].points: got the point (99, 1), far outside"),
        ([shape("cat", SQUARE, "mask")], {}, "shapes[0].points: got 4, expected 2 for a mask"),
        ([shape("cat", SQUARE[:2], "mask")], {}, "shapes[0].mask: "),
        ([shape("cat", SQUARE[:2], "mask", mask="?")], {}, "shapes[0].mask: is not base64"),
        ([shape("cat", SQUARE, "blob")], {}, "shapes[0].shape_type: got 'blob', expected 'polygon'"),
        ([shape("cat", SQUARE), {"points": []}], {}, "shapes[1].label: is missing; expected a value"),
        ([shape("cat", [[1, 2, 3]])], {}, "shapes[0].points[0]: got a list of 3, expected at most 2 items"),
        ([], {"imageWidth": 4, "imageHeight": 6}, "is 6 x 4 (height x width), its picture 4 x 6: swapped"),
        ([], {"imageWidth": 7}, "is 4 x 7 (height x width), its picture 4 x 6 (height x width); expected equal sizes")
    ],
)  # fmt: skip
def test_malformed_files(tmp_path: Path, shapes, more, complaint):
    path = add(tmp_path, "a", *shapes, **more)
    with pytest.raises(DataError) as caught:
        mask_of(tmp_path)
    told = str(caught.value).replace("its picture 4 x 6 (height x width)", "its picture 4 x 6")
    assert told.startswith(
        f"{path}: {complaint.replace('its picture 4 x 6 (height x width)', 'its picture 4 x 6')}"
    )


@pytest.mark.parametrize("named", ["no.jpg", "../../a.jpg", ""])
def test_missing_pictures(tmp_path: Path, named):
    add(tmp_path, "a", imagePath=named).with_suffix(".jpg").unlink()
    with pytest.raises(
        DataError,
        match=r"its picture .* is missing; expected it there or beside|imagePath: got .*expected the",
    ):
        open_dataset(tmp_path)


def test_other_programs_files(tmp_path: Path):
    add(tmp_path, "a", shape("cat", SQUARE))
    (tmp_path / "other.json").write_text('{"classes": []}')
    (tmp_path / "tasks.json").write_text("[]")
    assert open_dataset(tmp_path).layout.endswith("; 2 JSON files of other programs are left out")
    (tmp_path / "b.json").write_text("")
    with pytest.raises(DataError, match=r"b.json: is not JSON"):
        open_dataset(tmp_path)


def test_no_files(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"holds no JSON files of LabelMe; expected NAME.json beside NAME.jpg"
    ):
        open_dataset(f"labelme:{tmp_path}")
