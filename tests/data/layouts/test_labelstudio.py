"""Label Studio's exports, JSON and JSON-MIN, as its documents show them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts.labelstudio import file_names
from fullconv.data.samples import read_sample
from fullconv.data.shapes import brush
from fullconv.errors import DataError

SIZE = {"original_width": 10, "original_height": 5, "image_rotation": 0}


def region(kind: str, label: str = "cat", **value: Any) -> dict[str, Any]:
    return {
        "id": "x",
        "type": kind,
        "from_name": "label",
        "to_name": "image",
        "value": {**value, kind: [label]},
        **SIZE,
    }


def task(*results: Any, image: str = "/data/upload/7/0a1b2c3d-a.jpg", **more: Any) -> dict[str, Any]:
    made = {
        "id": 1,
        "completed_by": 1,
        "result": list(results),
        "was_cancelled": False,
        "ground_truth": False,
    }
    return {"id": 1, "annotations": [{**made, **more}], "predictions": [], "data": {"image": image}}


def make(
    root: Path,
    tasks: list[Any],
    name: str = "project-1-at-2024-05-01.json",
    pictures: tuple[str, ...] = ("a.jpg",),
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (root / picture).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (10, 5)).save(root / picture)
    (root / name).write_text(json.dumps(tasks))
    return root / name


def mask_of(root: Path) -> np.ndarray:
    dataset = open_dataset(root)
    return read_sample(dataset.split("train")[0], dataset.labels)[1]


STROKE = np.random.default_rng(0).random((5, 10)) < 0.5


@pytest.mark.parametrize(
    ("drawn", "covered"),
    [
        (
            region("polygonlabels", points=[[20, 20], [60, 20], [60, 80], [20, 80]], closed=True),
            np.s_[1:4, 2:6],
        ),
        (region("rectanglelabels", x=20, y=20, width=40, height=60, rotation=0), np.s_[1:4, 2:6]),
        (
            region("rectanglelabels", x=60, y=20, width=30, height=80, rotation=90),
            np.s_[1:4, 2:6],
        ),  # about its corner
        (region("ellipselabels", x=40, y=50, radiusX=15, radiusY=60, rotation=0), np.s_[0:5, 3:5]),
        (region("ellipselabels", x=40, y=50, radiusX=30, radiusY=10, rotation=90), np.s_[0:5, 3:5]),
        (region("labels", x=20, y=20, width=40, height=60), np.s_[1:4, 2:6]),
        (region("brushlabels", format="rle", rle=brush.encode(STROKE)), STROKE),
    ],
)
@pytest.mark.parametrize("short", [False, True], ids=["JSON", "JSON-MIN"])
def test_kinds_of_regions(tmp_path: Path, drawn, covered, short):
    expected = np.zeros((5, 10), np.uint8)
    expected[covered] = 1
    entry = task(drawn)
    if short:
        entry = {
            "id": 1,
            "image": "/data/upload/7/0a1b2c3d-a.jpg",
            "label": [{**drawn["value"], **SIZE}],
            "annotator": 1,
        }
    make(tmp_path, [entry])
    found = mask_of(tmp_path)
    if "ellipselabels" in drawn["value"]:  # a rough look: the exact rule has tests of its own
        assert (found == expected).mean() > 0.8
        assert found[2, 3] == found[2, 4] == 1
    else:
        assert (found == expected).all()


def test_labels_by_alphabet_and_what_is_left_out(tmp_path: Path):
    regions = [
        region("polygonlabels", "dog", points=[[20, 20], [60, 20], [60, 80]]),
        region("keypointlabels", "nose", x=1, y=1, width=0.5),
        {"type": "choices", "value": {"choices": ["sunny"]}, "from_name": "w", "to_name": "image"},
        region("polygonlabels", "cat", points=[[0, 0], [20, 0], [20, 20]]),
        {**region("polygon"), "value": {"points": [[0, 0], [20, 0], [20, 20]]}},
    ]
    make(tmp_path, [task(*regions), {**task(), "annotations": []}, task(regions[0], was_cancelled=True)])
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("background", "cat", "dog")
    assert "; 2 tasks without annotation are left out" in dataset.layout


def test_which_of_several_annotations(tmp_path: Path):
    square = {"points": [[0, 0], [20, 0], [20, 40], [0, 40]]}
    first, second = (task(region("polygonlabels", label, **square))["annotations"][0] for label in ("a", "b"))
    for annotations, name in (([first, second], "a"), ([first, {**second, "ground_truth": True}], "b")):
        make(tmp_path, [{**task(), "annotations": annotations}])
        assert open_dataset(tmp_path).labels.names[1] == name
    make(tmp_path, [{**task(), "annotations": [{**first, "was_cancelled": True}, second]}])
    assert open_dataset(tmp_path).labels.names[1] == "b"


@pytest.mark.parametrize(
    ("address", "file"),
    [
        ("/data/upload/7/0a1b2c3d-a.jpg", "0a1b2c3d-a.jpg"),
        ("/data/upload/7/0a1b2c3d-a.jpg", "images/a.jpg"),
        ("/data/upload/7/0a1b2c3d-my%20cat.jpg", "my cat.jpg"),
        ("https://example.org/x/y/a.jpg?token=1", "a.jpg"),
        ("s3://bucket/x/a.jpg", "images/a.jpg"),
        ("/data/local-files/?d=set/images/a.jpg", "images/a.jpg"),
        ("/data/local-files/?d=..%2F..%2Fa.jpg", "a.jpg"),
        ("C:\\pictures\\a.jpg", "a.jpg"),
    ],
)
def test_where_pictures_are_found(tmp_path: Path, address, file):
    make(tmp_path, [task(image=address)], pictures=(file,))
    assert open_dataset(tmp_path).split("train")[0].picture == tmp_path / file


def test_the_full_path_goes_before_the_name(tmp_path: Path):
    make(tmp_path, [task(image="/data/local-files/?d=b/a.jpg")], pictures=("a/a.jpg", "b/a.jpg"))
    assert open_dataset(tmp_path).split("train")[0].picture == tmp_path / "b" / "a.jpg"


def test_files_of_splits(tmp_path: Path):
    for name in ("train.json", "val.json", "more.json"):
        make(tmp_path, [task(image=f"x/{name[0]}.jpg")], name, pictures=(f"{name[0]}.jpg",))
    assert list(open_dataset(tmp_path).splits) == ["more", "train", "val"]


def test_names_of_no_picture():
    with pytest.raises(DataError, match=r"^t: names no picture; expected the address of one under 'data'"):
        file_names({"data": {"text": "hello", "odd": "http://[x.jpg"}}, "t")


@pytest.mark.parametrize(
    ("drawn", "complaint"),
    [
        (region("polygonlabels", points=[[1, 2], [3, 4]]), ", result [0], points: got 2, expected at least 3"),
        (region("polygonlabels", points=[[1, 2], [3, 4], [5, 999]]), ", result [0]: got the point (0.5, 49.95), far outside"),
        (region("polygonlabels", points=[[1, 2], [3, "a"]]), ", result [0].points[1][1]: got 'a', expected a valid number"),
        (region("brushlabels", rle=[0, 0, 0]), ", result [0], rle: is cut short after 3 bytes"),
        (region("brushlabels", rle=[0, 300]), ", result [0].rle[1]: got 300, expected less than or equal to 255"),
        (region("rectanglelabels", x=1, y=1, width=500, height=5), ", result [0]: got the point (50.1, 0.05), far outside"),
        (region("rectanglelabels", x=1, y=1, height=5), ", result [0]: has neither points, rle, radii nor width and height"),
        (region("ellipselabels", x=1, y=1, radiusX=500, radiusY=5), ", result [0]: got the point (-49.9, -0.2), far outside"),
        ({**region("polygonlabels", points=[[1, 2], [3, 4], [5, 6]]), "image_rotation": 90}, "was turned by 90 degrees"),
        ({**region("polygonlabels", points=[[1, 2], [3, 4], [5, 6]]), "original_width": 11}, ": is 5 x 11 (height x width), its"),
    ],
)  # fmt: skip
def test_malformed_regions(tmp_path: Path, drawn, complaint):
    path = make(tmp_path, [task(drawn)])
    with pytest.raises(DataError) as caught:
        mask_of(tmp_path)
    assert str(caught.value).startswith(f"{path}: task [0]")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("tasks", "complaint"),
    [
        ([7, task()], "task [0]: got int, expected an object; export it again as JSON"),
        ([{"annotations": [], "data": 7}], "task [0].data: got 7, expected a valid dictionary"),
        ([task(image="/data/upload/1/no.jpg")], "1 of its 1 pictures are missing; for 'no.jpg' looked in"),
        ([task(), task()], "holds"),
    ],
)
def test_malformed_files(tmp_path: Path, tasks, complaint):
    path = make(tmp_path, tasks)
    with pytest.raises(DataError) as caught:
        open_dataset(f"labelstudio:{tmp_path}")
    assert str(caught.value).startswith(f"{path}: {complaint}") or "is there twice" in str(caught.value)


def test_no_export(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"holds no export of Label Studio; expected a JSON file that is a list of tasks"
    ):
        open_dataset(f"labelstudio:{tmp_path}")
