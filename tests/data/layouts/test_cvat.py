"""CVAT's XML, as its documents show it."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.errors import ConfigError, DataError

pytest.importorskip("defusedxml")

LABELS = (
    "<label><name>car</name><color>#ff0000</color><type>any</type><attributes></attributes></label>"
    "<label><name>cat</name><color>#00FF00</color></label>"
    "<label><name>body</name><type>skeleton</type></label><label><name>arm</name><parent>body</parent></label>"
)
POLYGON = '<polygon label="cat" source="manual" occluded="0" points="1.00,1.00;3.00,1.00;3.00,3.00;1.00,3.00" z_order="0"/>'


def make(root: Path, *images: str, labels: str = LABELS, head: str = "task") -> Path:
    (root / "images").mkdir(parents=True, exist_ok=True)
    text = f"<meta><{head}><name>t</name><labels>{labels}</labels></{head}></meta>{''.join(images)}"
    path = root / "annotations.xml"
    path.write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{text}</annotations>'
    )
    return path


def image(root: Path, name: str, *shapes: str, subset: str = "", size: str = 'width="6" height="4"') -> str:
    path = root / "images" / subset / name
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (6, 4)).save(path)
    told = f'subset="{subset}" ' if subset else ""
    return f'<image id="0" name="{name}" {told}{size}>{"".join(shapes)}</image>'


def mask_of(root: Path) -> list[list[int]]:
    dataset = open_dataset(root)
    return read_sample(dataset.split("train")[0], dataset.labels)[1].tolist()


def bits(*rows: int) -> list[list[int]]:
    return [[2 * int(bit) for bit in f"{row:06b}"] for row in rows]


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (POLYGON, bits(0, 0b011000, 0b011000, 0)),
        ('<box label="cat" xtl="1" ytl="0.2" xbr="3" ybr="2"/>', bits(0b011000, 0b011000, 0, 0)),
        (
            '<box label="cat" xtl="1" ytl="1" xbr="4" ybr="2" rotation="90.0"/>',
            bits(0b001000, 0b001000, 0b001000, 0),
        ),
        ('<ellipse label="cat" cx="2.5" cy="2" rx="2" ry="0.6"/>', bits(0, 0b011100, 0b011100, 0)),
        (
            '<ellipse label="cat" cx="2.5" cy="2.5" rx="1.6" ry="0.4" rotation="90"/>',
            bits(0, 0b001000, 0b001000, 0b001000),
        ),
        (
            '<mask label="cat" rle="1, 2, 1" left="2" top="1" width="2" height="2"/>',
            bits(0, 0b000100, 0b001000, 0),
        ),
        ('<mask label="cat" rle="0, 4" left="5" top="-1" width="2" height="2"/>', bits(0b000001, 0, 0, 0)),
    ],
)
def test_kinds_of_shapes(tmp_path: Path, drawn, expected):
    make(tmp_path, image(tmp_path, "a.jpg", drawn))
    assert mask_of(tmp_path) == expected


def test_labels_colours_and_what_is_left_out(tmp_path: Path):
    lines = '<polyline label="cat" points="0,0;1,1"/><points label="car" points="1,1"/><tag label="car"/>'
    make(tmp_path, image(tmp_path, "a.jpg", POLYGON, lines), image(tmp_path, "b.jpg"))
    dataset = open_dataset(tmp_path)
    assert dataset.layout_name == "cvat"
    assert dataset.labels.names == ("background", "car", "cat", "body")
    assert dataset.labels.colors[:3] == ((0, 0, 0), (255, 0, 0), (0, 255, 0))
    assert dataset.layout.endswith(
        "; without area and left out: 1 points, 1 polyline; 1 of 2 pictures have no shape"
    )


def test_a_higher_z_order_is_above_and_else_the_smaller(tmp_path: Path):
    small = '<box label="car" xtl="1" ytl="1" xbr="2" ybr="2" z_order="{}"/>'
    large = '<box label="cat" xtl="0" ytl="0" xbr="3" ybr="3" z_order="{}"/>'
    for z_small, z_large, seen in ((0, 0, 1), (2, 2, 1), (0, 1, 2), (1, -1, 1)):
        make(tmp_path, image(tmp_path, "a.jpg", small.format(z_small), large.format(z_large)))
        assert mask_of(tmp_path)[1] == [2, seen, 2, 0, 0, 0]


def test_subsets_are_splits(tmp_path: Path):
    images = [
        image(tmp_path, f"{name}.jpg", POLYGON, subset=subset)
        for name, subset in (("a", "Train"), ("b", "extra"))
    ]
    make(tmp_path, *images, image(tmp_path, "c.jpg", POLYGON, subset="validation"), head="project")
    dataset = open_dataset(tmp_path)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a"],
        "extra": ["b"],
        "val": ["c"],
    }


def test_several_exports_in_folders_and_pictures_beside(tmp_path: Path):
    for name in "ab":
        make(tmp_path / name, image(tmp_path / name, f"{name}.jpg", POLYGON))
        (tmp_path / name / "images" / f"{name}.jpg").rename(tmp_path / name / f"{name}.jpg")
    assert sum(map(len, open_dataset(tmp_path).splits.values())) == 2


@pytest.mark.parametrize(
    ("drawn", "complaint"),
    [
        ('<polygon label="cat" points="1,1;2,2"/>', "shape 1, a polygon, points: got '1,1;2,2', expected x,y;x,y;... of at"),
        ('<polygon label="cat" points="1,1;2,2;x,3"/>', "shape 1, a polygon, points: got '1,1;2,2;x,3'"),
        ('<polygon label="cat" points="1,1;2,2;3"/>', "shape 1, a polygon, points: got"),
        ('<polygon label="cat" points="1,1;2,2;3,nan"/>', "shape 1, a polygon, points: got"),
        ('<polygon label="cat" points="1,1;2,2;3,99"/>', "shape 1, a polygon: got the point (3, 99), far outside"),
        ('<box label="cat" xtl="0" ytl="0" xbr="99" ybr="1"/>', "shape 1, a box: got the point (99, 0), far outside"),
        ('<ellipse label="cat" cx="2" cy="2" rx="50" ry="1"/>', "shape 1, a ellipse: got the point (-48, 1), far outside"),
        ('<mask label="cat" rle="1, 2" left="0" top="0" width="2" height="2"/>', "a mask, rle: got runs of 3 pixels in all"),
        ('<mask label="cat" rle="1, x" left="0" top="0" width="2" height="2"/>', "a mask, rle: got '1, x', expected numbers"),
        ('<mask label="cat" rle="1" left="0" top="0" width="900" height="2000"/>', "a mask: is 2000 x 900, its picture 4 x 6"),
    ],
)  # fmt: skip
def test_malformed_shapes(tmp_path: Path, drawn, complaint):
    path = make(tmp_path, image(tmp_path, "a.jpg", drawn))
    with pytest.raises(DataError) as caught:
        mask_of(tmp_path)
    assert str(caught.value).startswith(f"{path}: image a.jpg: ")
    assert complaint in str(caught.value)


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        (
            '<image id="0" name="no.jpg" width="6" height="4"></image>',
            "1 of its 1 pictures are missing; for 'no.jpg' looked",
        ),
        (
            '<image id="0" name="a.jpg" width="x" height="4"></image>',
            "image 1.width: got 'x', expected a valid integer",
        ),
        (
            '<image id="0" name="a.jpg" width="6" height="4"><box label="cat"/></image>',
            "image 1, shape 1, a box.xtl: is missing",
        ),
        ('<image id="0" name="a.jpg" width="6" height="4">', "is not XML as CVAT writes it (mismatched tag"),
        (
            '<track id="0" label="car"><box frame="0" xtl="0"/></track>',
            "holds tracks of a video; expected images; export it as CVAT for images 1.1",
        ),
        ("", "holds no labelled picture; expected some"),
    ],
)
def test_malformed_files(tmp_path: Path, images, complaint):
    image(tmp_path, "a.jpg")
    path = make(tmp_path, images)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{path}: {complaint}")


def test_a_size_that_is_not_the_picture_s(tmp_path: Path):
    make(tmp_path, image(tmp_path, "a.jpg", size='width="60000" height="60000"'))
    with pytest.raises(
        DataError, match=r"image a.jpg: is 60000 x 60000 \(height x width\), its picture 4 x 6"
    ):
        mask_of(tmp_path)


@pytest.mark.parametrize(
    "entity",
    [
        '<!DOCTYPE a [<!ENTITY x "' + "y" * 999 + '">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    ],
)
def test_documents_with_entities_are_refused(tmp_path: Path, entity):
    path = make(tmp_path, image(tmp_path, "a.jpg", POLYGON))
    path.write_text(path.read_text().replace("<annotations>", f"{entity}<annotations>"))
    with pytest.raises(
        DataError, match=r"annotations.xml: is not XML as CVAT writes it \((DTD|Entities)Forbidden"
    ):
        open_dataset(tmp_path)


def test_without_the_package(tmp_path: Path, monkeypatch):
    make(tmp_path, image(tmp_path, "a.jpg", POLYGON))
    monkeypatch.setitem(sys.modules, "defusedxml", None)
    with pytest.raises(
        ConfigError, match=r"is XML, and defusedxml, which reads it, .*; pip install 'fullconv\[formats\]'"
    ):
        open_dataset(tmp_path)


def test_no_file(tmp_path: Path):
    with pytest.raises(DataError, match=r"holds no XML file of CVAT; expected annotations.xml"):
        open_dataset(f"cvat:{tmp_path}")
