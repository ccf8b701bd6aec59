"""What each writer writes, read by plain code that follows the format's own document."""

import base64
import io
import json
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from PIL import Image, ImageDraw

from fullconv.data.contents import Dataset
from fullconv.data.convert import convert
from fullconv.data.masks import write_mask
from fullconv.data.samples import Sample
from fullconv.data.writing.items import Style
from fullconv.labels import LabelSet

LABELS = LabelSet.from_names(["background", "cat", "dög"])
MAP = np.kron(
    np.array([[0, 1, 1, 1, 0], [1, 1, 0, 1, 2], [1, 2, 1, 1, 255], [0, 1, 1, 255, 255]], np.uint8),
    np.ones((3, 4), np.uint8),
)
HEIGHT, WIDTH = MAP.shape
IDS = {"cat": 1, "dög": 2, "ignore": 255, "__ignore__": 255}

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    write_mask(tmp_path / "mask.png", MAP, LABELS)
    sample = Sample("a", tmp_path / "a.png", tmp_path / "mask.png")
    dataset = Dataset("d", tmp_path, "", LABELS, {"train": (sample,)})
    return lambda form, **style: convert(dataset, tmp_path / "new", form, Style(**style)).folder


def test_voc(write: Write):
    folder = write("voc")
    assert (folder / "ImageSets/Segmentation/train.txt").read_text() == "a\n"
    assert (folder / "JPEGImages/a.png").is_file()
    with Image.open(folder / "SegmentationClass/a.png") as mask:
        assert mask.mode == "P"
        assert (np.asarray(mask) == MAP).all()
        assert (mask.getpalette() or [])[765:] == [224, 224, 192]


def test_twin(write: Write):
    folder = write("twin")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*.png")} == {
        "images/train/a.png",
        "masks/train/a.png",
    }
    assert (
        (folder / "dataset.yaml")
        .read_text("utf-8")
        .startswith("name: d\nlayout: twin\nclasses:\n  - {name: background")
    )


@pytest.mark.parametrize("polygons", [False, True])
def test_coco_by_its_own_program(write: Write, polygons):
    coco = pytest.importorskip("pycocotools.coco")
    folder = write("coco", polygons=polygons)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools' own, with numpy 2
        data = coco.COCO(folder / "annotations/instances_train.json")
        [image] = data.loadImgs(data.getImgIds())
        assert image == {"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}
        assert (folder / "train/a.png").is_file()
        assert [category["name"] for category in data.loadCats(data.getCatIds())] == ["cat", "dög", "ignore"]
        drawn = np.zeros_like(MAP)
        for annotation in data.loadAnns(data.getAnnIds()):
            pixels = data.annToMask(annotation).astype(bool)
            name = data.cats[annotation["category_id"]]["name"]
            assert not drawn[pixels].any()  # no two overlap
            drawn[pixels] = IDS[name]
            assert annotation["iscrowd"] == (name == "ignore")
            assert annotation["area"] == pixels.sum()
            rows, columns = np.nonzero(pixels)
            left, top = columns.min(), rows.min()
            assert annotation["bbox"] == [left, top, columns.max() + 1 - left, rows.max() + 1 - top]
            assert isinstance(annotation["segmentation"], list) == (polygons and name != "ignore")
    assert (drawn == MAP).all()


def test_yolo(write: Write):
    folder = write("yolo", polygons=True)
    assert yaml.safe_load((folder / "data.yaml").read_text("utf-8")) == {
        "train": "images/train",
        "names": {0: "cat", 1: "dög"},
    }
    lines = [line.split() for line in (folder / "labels/train/a.txt").read_text().splitlines()]
    assert [line[0] for line in lines] == ["0", "1", "1"]
    points = np.array(lines[1][1:], float).reshape(-1, 2) * (WIDTH, HEIGHT)
    assert np.allclose(points, np.round(points), atol=1e-6)
    assert set(map(tuple, np.round(points).astype(int).tolist())) == {(16, 3), (20, 3), (20, 6), (16, 6)}


@pytest.mark.parametrize("polygons", [False, True])
def test_labelme(write: Write, polygons):
    folder = write("labelme", polygons=polygons)
    assert (folder / "labels.txt").read_text("utf-8").splitlines() == [
        "__ignore__",
        "_background_",
        "cat",
        "dög",
    ]
    content = json.loads((folder / "train/a.json").read_text("utf-8"))
    assert (content["imagePath"], content["imageHeight"], content["imageWidth"]) == ("a.png", HEIGHT, WIDTH)
    drawn = np.zeros_like(MAP)
    for shape in content["shapes"]:
        if (
            polygons
        ):  # as the outline of pixels: half a pixel in on each side for Pillow, which counts centres
            canvas = Image.new("1", (WIDTH * 8, HEIGHT * 8))
            ImageDraw.Draw(canvas).polygon([(8 * x, 8 * y) for x, y in shape["points"]], fill=1)
            drawn[np.asarray(canvas)[4::8, 4::8]] = IDS[shape["label"]]
        else:
            (left, top), (right, bottom) = shape["points"]
            with Image.open(io.BytesIO(base64.b64decode(shape["mask"]))) as mask:
                pixels = np.asarray(mask).astype(bool)
            assert pixels.shape == (bottom - top + 1, right - left + 1)
            drawn[top : bottom + 1, left : right + 1][pixels] = IDS[shape["label"]]
    assert (drawn == MAP).all()


def test_cvat(write: Write):
    folder = write("cvat")
    root = ElementTree.parse(folder / "annotations.xml").getroot()
    labels = {label.findtext("name"): label.findtext("color") for label in root.iter("label")}
    assert labels == {"cat": "#800000", "dög": "#008000", "ignore": "#e0e0c0"}
    [image] = root.iter("image")
    assert image.attrib == {
        "id": "0",
        "name": "a.png",
        "subset": "train",
        "width": str(WIDTH),
        "height": str(HEIGHT),
    }
    assert (folder / "images/train/a.png").is_file()
    drawn = np.zeros_like(MAP)
    for mask in image.iter("mask"):
        left, top, width, height = (int(mask.attrib[key]) for key in ("left", "top", "width", "height"))
        flat = [bit for i, run in enumerate(mask.attrib["rle"].split(", ")) for bit in [i % 2] * int(run)]
        pixels = np.array(flat, bool).reshape(height, width)
        drawn[top : top + height, left : left + width][pixels] = IDS[mask.attrib["label"]]
    assert (drawn == MAP).all()


def test_labelstudio(write: Write):
    folder = write("labelstudio")
    [task] = json.loads((folder / "train.json").read_text("utf-8"))
    assert task["data"] == {"image": "/data/local-files/?d=images/train/a.png"}
    for result in task["annotations"][0]["result"]:
        assert (result["original_width"], result["original_height"]) == (WIDTH, HEIGHT)
        assert (result["type"], result["from_name"], result["to_name"]) == ("brushlabels", "label", "image")
    assert [r["value"]["brushlabels"] for r in task["annotations"][0]["result"]] == [
        ["cat"],
        ["dög"],
        ["ignore"],
    ]
    config = ElementTree.fromstring((folder / "labeling_config.xml").read_text("utf-8"))
    assert [label.attrib["value"] for label in config.iter("Label")] == ["cat", "dög", "ignore"]


def test_supervisely(write: Write):
    folder = write("supervisely")
    meta = json.loads((folder / "meta.json").read_text("utf-8"))
    assert meta["classes"][0] == {"title": "cat", "shape": "bitmap", "color": "#800000"}
    content = json.loads((folder / "train/ann/a.png.json").read_text("utf-8"))
    assert content["size"] == {"height": HEIGHT, "width": WIDTH}
    drawn = np.zeros_like(MAP)
    for item in content["objects"]:
        with Image.open(io.BytesIO(zlib.decompress(base64.b64decode(item["bitmap"]["data"])))) as image:
            pixels = np.asarray(image.convert("RGBA"))[..., 3].astype(bool)
        left, top = item["bitmap"]["origin"]
        drawn[top : top + pixels.shape[0], left : left + pixels.shape[1]][pixels] = IDS[item["classTitle"]]
    assert (drawn == MAP).all()
