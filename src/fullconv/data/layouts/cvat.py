"""CVAT for images 1.1: one XML file, annotations.xml, beside `images/`.

Read are polygons, boxes (turned ones too), ellipses and masks; lines and points cover no area and are left out. A higher
z_order is above a lower one, as CVAT shows it; among shapes of one z_order the smaller is on top. The classes are the labels
in the order of the file's head, behind background. An image's `subset` is its split.

Source: CVAT, XML annotation format 1.1, https://docs.cvat.ai/docs/manual/advanced/xml_format/.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from fullconv.data.contents import Dataset
from fullconv.data.documents import Coordinate, Part, checked, head, shortened
from fullconv.data.layouts.drawn import (
    Pictures,
    drawn_size,
    in_splits,
    require_all,
    sample_name,
    split_of_folder,
)
from fullconv.data.named_classes import hex_color, id_elsewhere, id_of, named_labels
from fullconv.data.samples import Sample
from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import Patch, cut, fill_ellipse, fill_rings, near, turned
from fullconv.data.shapes.runs import from_counts
from fullconv.errors import ConfigError, DataError
from fullconv.labels import Color, LabelSet

NAME = "cvat"

LINES = ("polyline", "points", "cuboid", "skeleton")
"""Shapes that cover no area, or none in a picture."""

Side = Annotated[int, Field(ge=1, le=2**31)]
Place = Annotated[int, Field(ge=-(2**31), le=2**31)]


class Shape(Part):
    """What all shapes have."""

    label: str
    z_order: int = 0

    @property
    def kind(self) -> str:
        return type(self).__name__.casefold()


class Polygon(Shape):
    points: str


class Box(Shape):
    xtl: Coordinate
    ytl: Coordinate
    xbr: Coordinate
    ybr: Coordinate
    rotation: Coordinate = 0


class Ellipse(Shape):
    cx: Coordinate
    cy: Coordinate
    rx: Annotated[Coordinate, Field(ge=0)]
    ry: Annotated[Coordinate, Field(ge=0)]
    rotation: Coordinate = 0


class Mask(Shape):
    rle: str
    left: Place
    top: Place
    width: Side
    height: Side


SHAPES: dict[str, type[Shape]] = {"polygon": Polygon, "box": Box, "ellipse": Ellipse, "mask": Mask}


class Image(Part):
    """The attributes of an `image`."""

    name: str
    width: Side
    height: Side
    subset: str = ""


@dataclass(frozen=True)
class CvatMask:
    """The shapes of one picture.

    Attributes:
        path: the XML file.
        picture: the picture's file.
        image: its name in the XML file.
        size_hw: its size by the XML file.
        shapes: in the file's order.
    """

    path: Path
    picture: Path
    image: str
    size_hw: tuple[int, int]
    shapes: tuple[Shape, ...]

    def __str__(self) -> str:
        return f"{self.path}: image {self.image}"

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: a shape is not as expected.
            PictureError: the picture cannot be read.
        """
        size_hw = drawn_size(self.size_hw, self.picture, self)
        return paint(size_hw, self._areas(labels, size_hw), id_elsewhere(labels))

    def _areas(self, labels: LabelSet, size_hw: tuple[int, int]) -> Iterator[Area]:
        for index, shape in sorted(enumerate(self.shapes), key=lambda pair: pair[1].z_order):
            where = f"{self}: shape {index + 1}, a {shape.kind}"
            yield Area(
                _draw(shape, size_hw, where), id_of(shape.label, labels, f"{where}, label"), shape.z_order
            )


def _draw(shape: Shape, size_hw: tuple[int, int], where: str) -> Patch:
    if isinstance(shape, Polygon):
        try:
            points = np.array([pair.split(",") for pair in shape.points.split(";")], np.float64)
        except ValueError:
            points = np.empty((0, 0))
        if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.isfinite(points).all():
            raise DataError(
                f"{where}, points: got {shortened(shape.points)}, expected x,y;x,y;... of at least 3 points"
            )
        return fill_rings([near(points, size_hw, where)], size_hw)
    if isinstance(shape, Box):
        center = np.array([shape.xtl + shape.xbr, shape.ytl + shape.ybr]) / 2
        corners = np.array(
            [[shape.xtl, shape.ytl], [shape.xbr, shape.ytl], [shape.xbr, shape.ybr], [shape.xtl, shape.ybr]]
        )
        near(corners, size_hw, where)
        return fill_rings([turned(corners, center, shape.rotation) if shape.rotation else corners], size_hw)
    if isinstance(shape, Ellipse):
        ends = [[shape.cx - shape.rx, shape.cy - shape.ry], [shape.cx + shape.rx, shape.cy + shape.ry]]
        near(np.array(ends), size_hw, where)
        return fill_ellipse((shape.cx, shape.cy), (shape.rx, shape.ry), shape.rotation, size_hw)
    assert isinstance(shape, Mask)
    if shape.width * shape.height > 4 * size_hw[0] * size_hw[1]:
        raise DataError(
            f"{where}: is {shape.height} x {shape.width}, its picture {size_hw[0]} x {size_hw[1]} (height x width)"
        )
    try:
        counts = [int(count) for count in shape.rle.split(",")]
        pixels = from_counts(counts, shape.width * shape.height).reshape(shape.height, shape.width)
    except DataError as error:
        raise DataError(f"{where}, rle: {error}") from None
    except (ValueError, OverflowError):
        raise DataError(
            f"{where}, rle: got {shortened(shape.rle)}, expected numbers between commas"
        ) from None
    return cut(pixels, shape.top, shape.left, size_hw)


def detect(folder: Path) -> bool:
    return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    for pattern in ("*.xml", "*/annotations.xml"):
        found = [path for path in sorted(folder.glob(pattern)) if "<annotations" in head(path)]
        if found:
            return found
    return []


def read(folder: Path) -> Dataset:
    paths = _files(folder)
    if not paths:
        raise DataError(
            f"{folder}: holds no XML file of CVAT; expected annotations.xml, exported as CVAT for images 1.1"
        )
    found, lines, colors, num_empty = [], Counter[str](), dict[str, Color | None](), 0
    for path in paths:
        missing, total = [], 0
        folders = Pictures([path.parent / "images", path.parent, folder / "images", folder])
        for image, shapes in _images(path, colors, lines):
            total += 1
            num_empty += not shapes
            names = (f"{image.subset}/{image.name}", image.name) if image.subset else (image.name,)
            picture = next(filter(None, map(folders.find, names)), None)
            if picture is None:
                missing.append(image.name)
                continue
            mask = CvatMask(path, picture, image.name, (image.height, image.width), shapes)
            split = split_of_folder(image.subset) or image.subset or None
            found.append((split, Sample(sample_name(picture, folder, split), picture, mask)))
        require_all(missing, total, folders.folders, path)
    labels = named_labels(folder, colors, paths[0], {name: color for name, color in colors.items() if color})
    note, splits = in_splits(found, paths[0])
    if lines:
        note += "; without area and left out: " + ", ".join(
            f"{count} {kind}" for kind, count in sorted(lines.items())
        )
    if num_empty:
        note += f"; {num_empty} of {len(found)} pictures have no shape"
    return Dataset(folder.resolve().name, folder, f"CVAT for images{note}", labels, splits)


def _images(
    path: Path, colors: dict[str, Color | None], lines: Counter[str]
) -> Iterator[tuple[Image, tuple[Shape, ...]]]:
    """Reads a file picture by picture; adds the labels to `colors`, and what is left out to `lines`."""
    shapes: list[Shape] = []
    number = 0
    for element in _elements(path):
        where = f"{path}: image {number + 1}"
        if element.tag == "label" and (name := element.findtext("name")) and not element.findtext("parent"):
            colors.setdefault(name, hex_color(element.findtext("color")))
        elif element.tag == "track":
            raise DataError(
                f"{path}: holds tracks of a video; expected images; export it as CVAT for images 1.1"
            )
        elif element.tag in SHAPES:
            kind = str(element.tag)
            shape = checked(dict(element.attrib), SHAPES[kind], f"{where}, shape {len(shapes) + 1}, a {kind}")
            colors.setdefault(shape.label, None)
            shapes.append(shape)
        elif element.tag in LINES:
            lines[str(element.tag)] += 1
        elif element.tag == "image":
            yield checked(dict(element.attrib), Image, where), tuple(shapes)
            shapes, number = [], number + 1


def _elements(path: Path) -> Iterator[Any]:
    """The elements of an XML file as they end; those of a picture are forgotten with it."""
    try:
        from defusedxml import DefusedXmlException
        from defusedxml.ElementTree import ParseError, iterparse
    except ImportError as error:
        raise ConfigError(
            f"{path}: is XML, and defusedxml, which reads it, cannot be imported ({error}); pip install 'fullconv[formats]'"
        ) from None
    try:
        for event, element in iterparse(path, ("start", "end"), forbid_dtd=True):
            if element.tag == "track":
                raise DataError(
                    f"{path}: holds tracks of a video; expected images; export it as CVAT for images 1.1"
                )
            if event == "end":
                yield element
                if element.tag in ("image", "meta"):
                    element.clear()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check its permissions") from None
    except DataError:
        raise
    except (ParseError, DefusedXmlException, ValueError, LookupError, RecursionError) as error:
        raise DataError(
            f"{path}: is not XML as CVAT writes it ({' '.join(str(error).split())}); export it again"
        ) from None
