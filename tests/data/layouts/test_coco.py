"""COCO's JSON: instances and stuff, in the folders that people have."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.errors import DataError, InputError

pytest.importorskip("pycocotools")

SIZE = {"width": 8, "height": 6}
CATEGORIES = [  # sparse ids, not in their order
    {"id": 17, "name": "cat", "supercategory": "animal"},
    {"id": 3, "name": "car", "supercategory": "vehicle"},
]
BOX = [2, 1, 6, 1, 6, 4, 2, 4]
ANNOTATIONS = [
    {
        "id": 1,
        "image_id": 9,
        "category_id": 17,
        "iscrowd": 0,
        "segmentation": [BOX],
        "area": 12,
        "bbox": [2, 1, 4, 3],
    },
    {"id": 2, "image_id": 9, "category_id": 3, "iscrowd": 0, "segmentation": [[3, 2, 5, 2, 5, 3, 3, 3]]},
    {
        "id": 3,
        "image_id": 9,
        "category_id": 17,
        "iscrowd": 1,
        "segmentation": {"size": [6, 8], "counts": [0, 12, 36]},
    },
]
DRAWN = [
    [255, 255, 0, 0, 0, 0, 0, 0],
    [255, 255, 2, 2, 2, 2, 0, 0],
    [255, 255, 2, 1, 1, 2, 0, 0],
    [255, 255, 2, 2, 2, 2, 0, 0],
    [255, 255, 0, 0, 0, 0, 0, 0],
    [255, 255, 0, 0, 0, 0, 0, 0],
]


def content(
    *names: str, annotations: list[Any] = ANNOTATIONS, categories: list[Any] = CATEGORIES
) -> dict[str, Any]:
    images = [{"id": 9 + number, "file_name": name, **SIZE} for number, name in enumerate(names)]
    return {
        "info": {},
        "licenses": [],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }


def write(path: Path, value: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value), "utf-8")
    return path


def add_pictures(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 6)).save(path)


def make(root: Path, **changed: Any) -> Path:
    add_pictures(root / "train2017" / "a.jpg")
    write(root / "annotations" / "instances_train2017.json", content("a.jpg", **changed))
    return root


def mask_of(root: Path, split: str = "train") -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split(split)[0], dataset.labels)[1].tolist()


def test_crowds_are_void_below_things_and_the_smaller_is_on_top(tmp_path: Path):
    dataset = open_dataset(make(tmp_path))
    assert dataset.labels.names == ("background", "car", "cat")  # by id
    assert dataset.layout_name == "coco"
    assert dataset.layout == "COCO instances in annotations/instances_train2017.json"
    assert mask_of(tmp_path) == DRAWN


def test_a_thing_on_a_crowd(tmp_path: Path):
    crowd = {
        **ANNOTATIONS[2],
        "segmentation": {"size": [6, 8], "counts": [18, 1, 29]},
    }  # smaller than the cat
    assert mask_of(make(tmp_path, annotations=[crowd, *ANNOTATIONS[:2]]))[1] == [0, 0, 2, 2, 2, 2, 0, 0]


def test_the_official_folders(tmp_path: Path):
    make(tmp_path)
    add_pictures(tmp_path / "val2017" / "b.jpg", tmp_path / "val2017" / "c.jpg")
    write(tmp_path / "annotations" / "instances_val2017.json", content("b.jpg", "c.jpg"))
    for other in (
        "labels_val2017",
        "captions_val2017",
        "person_keypoints_val2017",
        "image_info_test2017",
        "stuff_val2017",
    ):
        write(tmp_path / "annotations" / f"{other}.json", content("x.jpg"))
    dataset = open_dataset(tmp_path)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a"],
        "val": ["b", "c"],
    }
    without = dataset.split("val")[1]
    assert not read_sample(without, dataset.labels)[1].any()  # no annotation: all background


@pytest.mark.parametrize(
    "folders", ["images/train2017", "images/train", "train", "train/images", "images", "."]
)
def test_where_pictures_lie(tmp_path: Path, folders):
    add_pictures(tmp_path / folders / "a.jpg")
    write(tmp_path / "annotations" / "instances_train2017.json", content("a.jpg"))
    dataset = open_dataset(tmp_path)
    assert dataset.split("train")[0].picture == tmp_path / folders / "a.jpg"
    assert dataset.split("train")[0].name == "a"


def test_roboflows_folders_and_its_placeholder(tmp_path: Path):
    categories = [
        {"id": 0, "name": "animals", "supercategory": "none"},
        {"id": 17, "name": "cat", "supercategory": "animals"},
    ]
    categories.append({"id": 3, "name": "car", "supercategory": "animals"})
    for split, name in {"train": "a.jpg", "valid": "b.jpg", "test": "c.jpg"}.items():
        add_pictures(tmp_path / split / name)
        write(tmp_path / split / "_annotations.coco.json", content(name, categories=categories))
    dataset = open_dataset(tmp_path)
    assert list(dataset.splits) == ["test", "train", "val"]
    assert dataset.labels.names == ("background", "car", "cat")
    assert mask_of(tmp_path, "val") == DRAWN


def test_a_single_file_beside_pictures(tmp_path: Path):
    names = [f"n{number}.jpg" for number in range(20)]
    add_pictures(*(tmp_path / "images" / name for name in names))
    write(tmp_path / "labels.json", content(*names))
    dataset = open_dataset(tmp_path)
    assert [sample.name for sample in dataset.split("val")] == ["n2", "n8"]  # as in flat folders
    assert dataset.layout.endswith("val is a tenth, chosen by the names' SHA-256")


def test_names_with_folders_and_names_from_elsewhere(tmp_path: Path):
    add_pictures(tmp_path / "images" / "sub" / "a.jpg", tmp_path / "images" / "b.jpg")
    write(tmp_path / "x.json", content("sub/a.jpg", "../../../etc/b.jpg"))
    pictures = {
        sample.name: sample.picture
        for samples in open_dataset(tmp_path).splits.values()
        for sample in samples
    }
    assert pictures == {"sub/a": tmp_path / "images" / "sub" / "a.jpg", "b": tmp_path / "images" / "b.jpg"}


def test_stuff_has_no_background(tmp_path: Path):
    add_pictures(tmp_path / "train2017" / "a.jpg")
    write(tmp_path / "annotations" / "stuff_train2017.json", content("a.jpg", annotations=ANNOTATIONS[:2]))
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "coco-stuff"
    assert dataset.labels.names == ("car", "cat")
    assert mask_of(tmp_path)[1:3] == [[255, 255, 1, 1, 1, 1, 255, 255], [255, 255, 1, 0, 0, 1, 255, 255]]


def test_dataset_yaml_orders_the_classes(tmp_path: Path):
    (make(tmp_path) / "dataset.yaml").write_text("classes: [cat, car]\n")
    assert mask_of(tmp_path)[1] == [255, 255, 0, 0, 0, 0, 255, 255]


def test_annotations_without_outline(tmp_path: Path):
    make(tmp_path, annotations=[*ANNOTATIONS, {"id": 4, "image_id": 9, "category_id": 3, "segmentation": []}])
    assert open_dataset(tmp_path).layout.endswith("; 1 annotations without outline are left out")
    assert mask_of(tmp_path) == DRAWN
    make(tmp_path, annotations=[{"id": 4, "image_id": 9, "category_id": 3, "bbox": [1, 1, 2, 2]}])
    with pytest.raises(
        DataError, match=r"none of its 1 annotations has an outline, only boxes; expected polygons or run"
    ):
        open_dataset(tmp_path)


def without(index: int, **changed: Any) -> list[Any]:
    return [
        {**annotation, **changed} if i == index else annotation for i, annotation in enumerate(ANNOTATIONS)
    ]


@pytest.mark.parametrize(
    ("annotations", "complaint"),
    [
        (
            without(1, segmentation=[[1, 2, 3, 4, 5]]),
            "annotations[1].segmentation[0]: got 5 numbers, expected x and y of",
        ),
        (
            without(1, segmentation=[[1, 2, 3, 4, 5, 90]]),
            "annotations[1].segmentation[0]: got the point (5, 90), far out",
        ),
        (
            without(2, segmentation={"size": [6, 8], "counts": [1]}),
            "annotations[2].segmentation: got runs of 1 pixels in",
        ),
        (
            without(2, segmentation={"size": [8, 6], "counts": [48]}),
            "annotations[2].segmentation.size: got [8, 6], exp",
        ),
        (
            without(1, category_id=4),
            "annotations[1].category_id: got 4, expected the id of one of categories",
        ),
        (without(1, category_id=None), "annotations[1].category_id: got None, expected a valid integer"),
        (without(1, iscrowd=5), "annotations[1].iscrowd: got 5, expected 0 or 1"),
        (without(1, image_id=5), "annotations[1].image_id: got 5, expected the id of one of images"),
        (without(1, image_id="x"), "annotations[1].image_id: got 'x', expected a valid integer"),
        ([7], "annotations[0]: got 7, expected a valid dictionary"),
    ],
)
def test_malformed_annotations(tmp_path: Path, annotations, complaint):
    root = make(tmp_path, annotations=annotations)
    with pytest.raises(DataError) as caught:
        mask_of(root)
    assert str(caught.value).startswith(f"{root / 'annotations' / 'instances_train2017.json'}: {complaint}")


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"images": []}, "holds no images; expected a list under the key 'images'"),
        ({"categories": []}, "holds no categories; expected a list under the key 'categories'"),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}]},
            "categories[1]: got id 1 once more, expected each",
        ),
        (
            {"categories": [{"id": 1, "name": "a"}, {"id": 2, "name": "a"}]},
            "class name 'a' is given twice; expected each",
        ),
        ({"categories": [{"id": 1}]}, "categories[0].name: is missing; expected a value"),
        (
            {"images": [{"id": 9, "file_name": "a.jpg"}] * 2},
            "images[1]: got id 9 once more, expected each once",
        ),
        (
            {"images": [{"id": 9, "file_name": "no.jpg"}]},
            "1 of its 1 pictures are missing; for 'no.jpg' looked in",
        ),
        ({"images": [{"id": 9, "file_name": 3}]}, "images[0].file_name: got 3, expected a valid string"),
    ],
)
def test_malformed_files(tmp_path: Path, changed, complaint):
    path = write(make(tmp_path) / "annotations" / "instances_train2017.json", {**content("a.jpg"), **changed})
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


@pytest.mark.parametrize(
    ("size", "complaint"),
    [
        (
            {"width": 6, "height": 8},
            r"is 8 x 6 \(height x width\), its picture 6 x 8: swapped, as when the shapes were drawn",
        ),
        (
            {"width": 10**9, "height": 10**9},
            r"is 1000000000 x 1000000000 \(height x width\), its picture 6 x 8.*; expected eq",
        ),
    ],
)
def test_another_size_than_the_picture_s(tmp_path: Path, size, complaint):
    value = content("a.jpg")
    value["images"][0] |= size
    write(make(tmp_path) / "annotations" / "instances_train2017.json", value)
    with pytest.raises(DataError, match=complaint):
        mask_of(tmp_path)


def test_files_that_do_not_say_the_size(tmp_path: Path):
    value = content("a.jpg")
    value["images"] = [{"id": 9, "file_name": "a.jpg"}]
    write(make(tmp_path) / "annotations" / "instances_train2017.json", value)
    assert mask_of(tmp_path) == DRAWN


def test_two_files_with_other_categories(tmp_path: Path):
    make(tmp_path)
    add_pictures(tmp_path / "val2017" / "b.jpg")
    write(
        tmp_path / "annotations" / "instances_val2017.json",
        content("b.jpg", categories=[{"id": 3, "name": "dog"}]),
    )
    with pytest.raises(
        DataError, match=r"category 3 is 'dog', in another file 'car'; expected the same categories in all"
    ):
        open_dataset(tmp_path)


def test_a_file_that_changes_after_it_was_opened(tmp_path: Path):
    dataset = open_dataset(make(tmp_path))
    write(tmp_path / "annotations" / "instances_train2017.json", [0] * 1000)
    with pytest.raises(InputError, match=r"has changed since it was opened|expected a valid dictionary"):
        read_sample(dataset.split("train")[0], dataset.labels)


def test_no_such_file(tmp_path: Path):
    with pytest.raises(
        DataError, match=r"holds no instances JSON; expected one such as annotations/instances_train2017.json"
    ):
        open_dataset(f"coco:{tmp_path}")


def test_all_pixels_of_a_picture_as_pycocotools_draws_them(tmp_path: Path):
    """The whole way through the file, on many fractional polygons that overlap."""
    api: Any = pytest.importorskip("pycocotools.mask")

    rng = np.random.default_rng(0)
    shapes = [
        np.round(rng.uniform(-1, 9, (2, int(rng.integers(3, 7)))).T, 2).ravel().tolist() for _ in range(9)
    ]
    annotations = [
        {"image_id": 9, "category_id": 3 if i % 2 else 17, "segmentation": [s]} for i, s in enumerate(shapes)
    ]
    covered = []
    for shape in shapes:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pycocotools' own, with numpy 2
            covered.append(api.decode(api.merge(api.frPyObjects([shape], 6, 8))).astype(bool))
    expected = np.zeros((6, 8), int)
    for index in sorted(range(9), key=lambda i: (-covered[i].sum(), i)):
        expected[covered[index]] = 1 if index % 2 else 2
    assert mask_of(make(tmp_path, annotations=annotations)) == expected.tolist()
