"""COCO panoptic: segments in PNG, their classes in JSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.errors import DataError

SEGMENTS = [{"id": 3226956, "category_id": 1}, {"id": 70, "category_id": 184, "iscrowd": 0}]
CATEGORIES = [
    {"id": 184, "name": "tree", "color": [1, 2, 3], "isthing": 0},
    {"id": 1, "name": "person", "isthing": 1},
]


def make(
    root: Path, segments: list[Any] = SEGMENTS, ids: Any = ((3226956, 70, 0),), mode: str = "RGB"
) -> Path:
    codes = np.array(ids, np.uint32)
    rgb = np.stack([codes % 256, codes // 256 % 256, codes // 65536], axis=2).astype(np.uint8)
    for folder in ("annotations/panoptic_val2017", "val2017"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (3, 1)).save(root / "val2017" / "a.jpg")
    Image.new("RGB", (3, 1)).save(root / "val2017" / "b.jpg")
    Image.fromarray(rgb).convert(mode).save(root / "annotations/panoptic_val2017/a.png")
    images = [{"id": i, "file_name": f"{n}.jpg", "width": 3, "height": 1} for i, n in enumerate("ab")]
    annotations = [{"image_id": 0, "file_name": "a.png", "segments_info": segments}]
    content = {"images": images, "annotations": annotations, "categories": CATEGORIES}
    (root / "annotations/panoptic_val2017.json").write_text(json.dumps(content))
    return root


def mask_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split("val")[0], dataset.labels)[1].tolist()


def test_segments_become_classes(tmp_path: Path):
    dataset = open_dataset(make(tmp_path))
    assert dataset.layout_name == "coco-panoptic"
    assert dataset.labels.names == ("person", "tree")
    assert dataset.labels.colors[1] == (1, 2, 3)
    assert [sample.name for sample in dataset.split("val")] == ["a"]  # b has no annotation
    assert mask_of(tmp_path) == [[0, 1, 255]]


def test_crowds_are_void(tmp_path: Path):
    make(tmp_path, [{"id": 3226956, "category_id": 1, "iscrowd": 1}, SEGMENTS[1]])
    assert mask_of(tmp_path) == [[255, 1, 255]]


def test_instances_go_first_where_both_are_there(tmp_path: Path):
    make(tmp_path)
    content = {"images": [{"id": 0, "file_name": "a.jpg"}], "annotations": [], "categories": CATEGORIES}
    (tmp_path / "annotations/instances_val2017.json").write_text(json.dumps(content))
    assert open_dataset(tmp_path).layout_name == "coco"
    assert open_dataset(f"coco-panoptic:{tmp_path}").labels.names == ("person", "tree")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        (
            {"ids": ((5, 70, 0),)},
            r"a.png: segment 5 is none of .*annotations\[0\]; expected each among its segments_info",
        ),
        (
            {"segments": [{"id": 70, "category_id": 2}]},
            r"annotations\[0\].segments_info\[0\].category_id: got 2, expected the",
        ),
        (
            {"segments": [{"id": -1, "category_id": 1}]},
            r"segments_info\[0\].id: got -1, expected greater than or equal to 0",
        ),
        ({"mode": "L"}, "a.png: has one channel; expected RGB, as panoptic segments are stored"),
    ],
)
def test_segments_that_are_wrong(tmp_path: Path, changed, complaint):
    make(tmp_path, **changed)
    with pytest.raises(DataError, match=complaint):
        mask_of(tmp_path)


def test_missing_files(tmp_path: Path):
    make(tmp_path)
    (tmp_path / "annotations/panoptic_val2017/a.png").unlink()
    with pytest.raises(
        DataError, match=r"panoptic_val2017.json: 1 of its 2 pictures are missing; for 'a.png' looked in"
    ):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="holds no panoptic JSON"):
        open_dataset(f"coco-panoptic:{tmp_path / 'val2017'}")
