"""Supervisely's projects, as its documents show them."""

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

META = {
    "classes": [{"title": "car", "shape": "polygon", "color": "#FF0000"}, {"title": "cat", "color": "bad"}],
    "tags": [],
}


def item(kind: str, exterior: Any = None, interior: Any = (), **more: Any) -> dict[str, Any]:
    points = {"points": {"exterior": exterior, "interior": list(interior)}} if exterior is not None else {}
    return {"id": 1, "classTitle": "cat", "geometryType": kind, "tags": [], **points, **more}


def add(root: Path, name: str, *objects: Any, dataset: str = "ds0", **more: Any) -> Path:
    for folder in ("img", "ann"):
        (root / dataset / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4)).save(root / dataset / "img" / f"{name}.jpg")
    (root / "meta.json").write_text(json.dumps(META))
    path = root / dataset / "ann" / f"{name}.jpg.json"
    content = {"description": "", "tags": [], "size": {"height": 4, "width": 6}, "objects": objects}
    path.write_text(json.dumps({**content, **more}))
    return path


def mask_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split("train")[0], dataset.labels)[1].tolist()


@pytest.mark.parametrize(
    ("drawn", "rows"),
    [
        (item("rectangle", [[1, 0], [3, 2]]), [0b011100, 0b011100, 0b011100, 0]),  # pixels, the last included
        (item("rectangle", [[1.0, 0.5], [3, 2.5]]), [0b011000, 0b011000, 0, 0]),
        (item("polygon", [[1.5, 0.5], [4.5, 0.5], [4.5, 2.5], [1.5, 2.5]]), [0b011100, 0b011100, 0, 0]),
        (
            item("polygon", [[1, 0], [4, 0], [4, 2], [1, 2]]),
            [0b011100, 0b011100, 0, 0],
        ),  # through the pixels' centres
        (
            item("polygon", [[0, 0], [5.2, 0], [5.2, 4], [0, 4]], [[[1, 1], [3, 1], [3, 3], [1, 3]]]),
            [0b111110, 0b100110, 0b100110, 0b111110],
        ),
        (
            item(
                "bitmap",
                bitmap={"data": bitmaps.encode(np.eye(2, dtype=bool), deflated=True), "origin": [1, 2]},
            ),
            [0, 0, 0b010000, 0b001000],
        ),
        (item("line", [[0, 0], [5, 3]]), [0, 0, 0, 0]),
    ],
)
def test_kinds_of_objects(tmp_path: Path, drawn, rows):
    add(tmp_path, "a", drawn)
    assert mask_of(tmp_path) == [[2 * int(bit) for bit in f"{row:06b}"] for row in rows]


def test_classes_of_meta(tmp_path: Path):
    add(tmp_path, "a")
    labels = open_dataset(tmp_path).labels
    assert labels.names == ("background", "car", "cat")
    assert labels.colors[1] == (255, 0, 0)


def test_splits_by_dataset_and_by_tag(tmp_path: Path):
    for dataset in ("train", "val", "more"):
        add(tmp_path / "a", dataset, dataset=dataset)
    assert list(open_dataset(tmp_path / "a").splits) == ["more", "train", "val"]
    for name, tag in {"a": "train", "b": "val", "c": "sunny"}.items():
        add(tmp_path / "b", name, tags=[{"name": tag}])
    splits = open_dataset(tmp_path / "b").splits
    assert {split: [sample.name for sample in samples] for split, samples in splits.items()} == {
        "train": ["ds0/a"],
        "val": ["ds0/b"],
        "default": ["ds0/c"],
    }


@pytest.mark.parametrize(
    ("objects", "more", "complaint"),
    [
        (
            [item("polygon", [[1, 1], [2, 2]])],
            {},
            "objects[0].points: got 2, expected at least 3 in each outline",
        ),
        ([item("polygon")], {}, "objects[0].points: got 0, expected at least 3"),
        (
            [item("polygon", [[1, 1], [2, 2], [3, 99]])],
            {},
            "objects[0].points: got the point (3, 99), far outside",
        ),
        ([item("bitmap")], {}, "objects[0].bitmap: is missing; expected data and origin"),
        ([item("bitmap", bitmap={"data": "eJwrAA==", "origin": [0, 0]})], {}, "objects[0].bitmap.data: "),
        ([item("blob")], {}, "objects[0].geometryType: got 'blob', expected 'polygon'"),
        (
            [item("polygon", [[1, 1], [2, 2], [3, 3]], classTitle="dog")],
            {},
            "objects[0].classTitle: got class 'dog', expec",
        ),
        ([], {"size": {"height": 6, "width": 4}}, "is 6 x 4 (height x width), its picture 4 x 6: swapped"),
        ([], {"size": None}, "size: got None, expected"),
    ],
)
def test_malformed_annotations(tmp_path: Path, objects, more, complaint):
    path = add(tmp_path, "a", *objects, dataset="train", **more)
    with pytest.raises(DataError) as caught:
        mask_of(tmp_path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_missing_pictures_and_meta(tmp_path: Path):
    add(tmp_path, "a")
    (tmp_path / "ds0/img/a.jpg").unlink()
    with pytest.raises(DataError, match=r"1 of its 1 pictures are missing; for 'a.jpg' looked in .*ds0"):
        open_dataset(tmp_path)
    (tmp_path / "meta.json").write_text('{"classes": 3}')
    with pytest.raises(DataError, match=r"meta.json: classes: got 3, expected a valid list"):
        open_dataset(tmp_path)
