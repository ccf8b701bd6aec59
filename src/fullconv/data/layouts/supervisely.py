"""Supervisely: meta.json, and datasets as folders with `img/NAME.jpg` and `ann/NAME.jpg.json`.

Read are polygons with holes, bitmaps and rectangles; lines, points and graphs cover no area and are left out. Where all
coordinates of a shape are whole numbers they count pixels, whose centres the outline goes through, and a rectangle includes
its last row and column; other numbers are places in the picture. The classes are those of meta.json, behind background. Where a
dataset is called train or val each is a split; elsewhere an image's tag train or val says it.

Source: Supervisely annotation format, https://developer.supervisely.com/getting-started/supervisely-annotation-format, and
coordinate system, https://developer.supervisely.com/app-development/advanced/coordinate-system.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fullconv.data.contents import Dataset
from fullconv.data.documents import Coordinate, Part, head, read_json
from fullconv.data.layouts.drawn import (
    drawn_size,
    in_splits,
    pictures_in,
    require_all,
    sample_name,
    split_of_folder,
    splits_of,
)
from fullconv.data.named_classes import hex_color, id_elsewhere, id_of, named_labels
from fullconv.data.samples import Sample
from fullconv.data.shapes import bitmaps
from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import Patch, cut, fill_rings, near
from fullconv.errors import DataError, InputError
from fullconv.labels import LabelSet

NAME = "supervisely"

LINES = ("line", "point", "graph", "cuboid")

Ring = Annotated[list[tuple[Coordinate, Coordinate]], Field(fail_fast=True)]
Place = Annotated[int, Field(ge=-(2**31), le=2**31)]


class ObjectClass(Part):
    title: str
    color: str | None = None


class Meta(Part):
    """The content of meta.json."""

    classes: list[ObjectClass]


class Points(Part):
    exterior: Ring
    interior: tuple[Ring, ...] = ()


class Bitmap(Part):
    data: str
    origin: tuple[Place, Place]


class Object(Part):
    """An item of `objects`."""

    classTitle: str
    geometryType: Literal["polygon", "bitmap", "rectangle", "line", "point", "graph", "cuboid"]
    points: Points | None = None
    bitmap: Bitmap | None = None


class Size(Part):
    height: int
    width: int


class Tag(Part):
    name: str


class Annotation(Part):
    """The content of a picture's JSON file."""

    size: Size
    objects: Annotated[list[Object], Field(fail_fast=True)]
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class SuperviselyMask:
    """The objects of one picture.

    Attributes:
        path: the JSON file.
        picture: the picture's file.
    """

    path: Path
    picture: Path

    def __str__(self) -> str:
        return str(self.path)

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: the file is not as expected.
            PictureError: the picture cannot be read.
        """
        content = read_json(self.path, Annotation)
        size_hw = drawn_size((content.size.height, content.size.width), self.picture, self)
        return paint(size_hw, self._areas(content, labels, size_hw), id_elsewhere(labels))

    def _areas(self, content: Annotation, labels: LabelSet, size_hw: tuple[int, int]) -> Iterator[Area]:
        for index, item in enumerate(content.objects):
            if item.geometryType not in LINES:
                where = f"{self.path}: objects[{index}]"
                yield Area(_draw(item, size_hw, where), id_of(item.classTitle, labels, f"{where}.classTitle"))


def _draw(item: Object, size_hw: tuple[int, int], where: str) -> Patch:
    if item.geometryType == "bitmap":
        if item.bitmap is None:
            raise DataError(f"{where}.bitmap: is missing; expected data and origin")
        try:
            pixels = bitmaps.decode(item.bitmap.data, max_pixels=size_hw[0] * size_hw[1])
        except InputError as error:
            raise DataError(f"{where}.bitmap.data: {error}") from None
        left, top = item.bitmap.origin
        return cut(pixels, top, left, size_hw)
    least = 2 if item.geometryType == "rectangle" else 3
    rings = [item.points.exterior, *item.points.interior] if item.points else []
    if not rings or min(map(len, rings)) < least:
        raise DataError(
            f"{where}.points: got {min(map(len, rings), default=0)}, expected at least {least} in each outline"
        )
    outlines = [near(np.array(ring), size_hw, f"{where}.points") for ring in rings]
    whole = all((ring == np.floor(ring)).all() for ring in outlines)
    if item.geometryType == "rectangle":
        (left, top), (right, bottom) = outlines[0].min(0), outlines[0].max(0) + whole
        return fill_rings([np.array([[left, top], [right, top], [right, bottom], [left, bottom]])], size_hw)
    return fill_rings([ring + 0.5 * whole for ring in outlines], size_hw)


def detect(folder: Path) -> bool:
    return '"classes"' in head(folder / "meta.json") and bool(_datasets(folder))


def _datasets(folder: Path) -> list[Path]:
    """The folders that hold an `ann/` and an `img/`."""
    found = [
        path.parent for pattern in ("*/ann", "*/*/ann", "*/*/*/ann") for path in sorted(folder.glob(pattern))
    ]
    return [path for path in found if (path / "img").is_dir()]


def read(folder: Path) -> Dataset:
    meta = read_json(folder / "meta.json", Meta)
    found, missing = [], []
    datasets = _datasets(folder)
    splits = splits_of((dataset.name for dataset in datasets), folder)
    for dataset in datasets:
        pictures = {path.name: path for path in pictures_in(dataset / "img", depth=0)}
        by_stem = {path.stem: path for path in pictures.values()}
        for path in sorted((dataset / "ann").glob("*.json")):
            picture = pictures.get(path.stem) or by_stem.get(path.stem)
            if picture is None:
                missing.append(path.stem)
                continue
            mask = SuperviselyMask(path, picture)
            split = splits[dataset.name] or _split_by_tag(path)
            found.append((split, Sample(sample_name(picture, folder, split), picture, mask)))
    require_all(missing, len(found) + len(missing), datasets, folder)
    labels = named_labels(
        folder,
        [item.title for item in meta.classes],
        folder / "meta.json",
        {item.title: color for item in meta.classes if (color := hex_color(item.color))},
    )
    note, splits = in_splits(found, folder)
    return Dataset(folder.resolve().name, folder, f"Supervisely{note}", labels, splits)


def _split_by_tag(path: Path) -> str | None:
    """The split that an image's tag says."""
    return next(filter(None, (split_of_folder(tag.name) for tag in read_json(path, Annotation).tags)), None)
