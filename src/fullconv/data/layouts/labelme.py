"""LabelMe: a JSON file for each picture, `NAME.json` beside `NAME.jpg`, in one folder or in a folder for each split.

Read are polygons, rectangles (turned ones too), circles and masks; lines and points cover no area and are left out. The
pictures that LabelMe packs into `imageData` are passed over: the files count. Without a labels.txt, which gives their order,
the classes are the labels by alphabet, behind background.

Source: wkentaro/labelme, labelme/_label_file.py and labelme/_utils/_shape.py.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fullconv.data.contents import Dataset
from fullconv.data.documents import Coordinate, Part, head, inside, read_json
from fullconv.data.layouts.drawn import drawn_size, first_file, in_splits, sample_name, splits_of
from fullconv.data.named_classes import id_elsewhere, id_of, named_labels
from fullconv.data.pictures import SUFFIXES
from fullconv.data.samples import Sample
from fullconv.data.shapes import bitmaps
from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import Patch, cut, fill_ellipse, fill_rings, near
from fullconv.errors import DataError, InputError
from fullconv.labels import LabelSet

NAME = "labelme"

LINES = ("line", "linestrip", "point", "points")
"""Shapes that cover no area."""

NUM_POINTS = {"rectangle": 2, "circle": 2, "mask": 2, "oriented_rectangle": 4}


class Shape(Part):
    """An item of `shapes`."""

    label: str
    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(fail_fast=True)]
    shape_type: Literal[
        "polygon", "rectangle", "oriented_rectangle", "circle", "mask", "line", "linestrip", "point", "points"
    ] = "polygon"
    mask: str | None = None


class LabelFile(Part):
    """The content of a JSON file."""

    imagePath: str | None = None
    imageHeight: int | None = None
    imageWidth: int | None = None
    shapes: Annotated[list[Shape], Field(fail_fast=True)]


@dataclass(frozen=True)
class LabelmeMask:
    """The shapes of one picture.

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
        content = read_json(self.path, LabelFile)
        height, width = content.imageHeight, content.imageWidth
        size_hw = drawn_size((height, width) if height and width else None, self.picture, self)
        return paint(size_hw, self._areas(content, labels, size_hw), id_elsewhere(labels))

    def _areas(self, content: LabelFile, labels: LabelSet, size_hw: tuple[int, int]) -> Iterator[Area]:
        for index, shape in enumerate(content.shapes):
            if shape.shape_type not in LINES:
                where = f"{self.path}: shapes[{index}]"
                yield Area(_draw(shape, size_hw, where), id_of(shape.label, labels, f"{where}.label"))


def _draw(shape: Shape, size_hw: tuple[int, int], where: str) -> Patch:
    expected = NUM_POINTS.get(shape.shape_type)
    if len(shape.points) != expected if expected else len(shape.points) < 3:
        raise DataError(
            f"{where}.points: got {len(shape.points)}, expected {expected or 'at least 3'} for a {shape.shape_type}"
        )
    points = near(np.array(shape.points), size_hw, f"{where}.points")
    (x0, y0), (x1, y1) = points[0].tolist(), points[1].tolist()
    if shape.shape_type == "circle":
        radius = math.hypot(x1 - x0, y1 - y0)
        return fill_ellipse((x0, y0), (radius, radius), 0, size_hw)
    if shape.shape_type == "rectangle":
        return fill_rings([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]])], size_hw)
    if shape.shape_type != "mask":
        return fill_rings([points], size_hw)
    try:
        pixels = bitmaps.decode(shape.mask or "", max_pixels=size_hw[0] * size_hw[1])
    except InputError as error:
        raise DataError(f"{where}.mask: {error}") from None
    top, left = math.floor(min(y0, y1) + 0.5), math.floor(min(x0, x1) + 0.5)
    return cut(pixels, top, left, size_hw)


def detect(folder: Path) -> bool:
    return any(_is_other(path) is False for path in _files(folder)[:1])


def _files(folder: Path) -> list[Path]:
    return [path for pattern in ("*.json", "*/*.json", "*/*/*.json") for path in sorted(folder.glob(pattern))]


def _is_other(path: Path) -> bool | None:
    """Whether a JSON file is one of another program; None where it is no JSON at all."""
    text = head(path).lstrip()
    if not text.startswith(("{", "[")):
        return None
    return text.startswith("[") or not ('"shapes"' in text or '"imageData"' in text)


def read(folder: Path) -> Dataset:
    files = _files(folder)
    paths = [path for path in files if not _is_other(path)]
    if not paths:
        raise DataError(f"{folder}: holds no JSON files of LabelMe; expected NAME.json beside NAME.jpg")
    names, lines = Counter[str](), Counter[str]()
    found = []
    splits = splits_of({path.relative_to(folder).parts[0] for path in paths if path.parent != folder}, folder)
    for path in paths:
        content = read_json(path, LabelFile)
        for shape in content.shapes:
            (lines if shape.shape_type in LINES else names)[
                shape.shape_type if shape.shape_type in LINES else shape.label
            ] += 1
        picture = _picture(folder, path, content)
        split = splits.get(path.relative_to(folder).parts[0])
        found.append(
            (split, Sample(sample_name(picture, folder, split), picture, LabelmeMask(path, picture)))
        )
    labels = named_labels(folder, sorted(names), folder)
    note, splits = in_splits(found, folder)
    left_out = ", ".join(f"{count} {kind}" for kind, count in sorted(lines.items()))
    left_out = f"; without area and left out: {left_out}" if left_out else ""
    if len(files) > len(paths):
        left_out += f"; {len(files) - len(paths)} JSON files of other programs are left out"
    return Dataset(folder.resolve().name, folder, f"LabelMe{note}{left_out}", labels, splits)


def _picture(folder: Path, path: Path, content: LabelFile) -> Path:
    """The picture beside a JSON file, or else the one that it names."""
    beside = first_file(path.with_suffix(suffix) for end in sorted(SUFFIXES) for suffix in (end, end.upper()))
    if beside is not None:
        return beside
    named = content.imagePath or ""
    picture = inside(folder, named, f"{path}: imagePath", path.parent)
    if not picture.is_file():
        raise DataError(
            f"{path}: its picture {picture} is missing; expected it there or beside the JSON file; add it"
        )
    return picture
