"""Label Studio: exports as JSON or JSON-MIN, with the pictures beside.

Read are polygons, rectangles and ellipses, turned or not, in percents of the picture, and the strokes of the brush. Of
several annotations of a picture the ground truth counts, or else the first that was not cancelled; pictures without any are
left out, and so are key points and lines. A task names its picture as the server knew it: `/data/upload/1/0a1b2c3d-NAME.jpg`
is found as that or as NAME.jpg, and of a web address the end counts. The classes are the labels by alphabet, behind
background. A file called train.json or val.json is that split.

Source: Label Studio, task format, https://labelstud.io/guide/task_format, and export, https://labelstud.io/guide/export.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np
from pydantic import Field

from fullconv.data.contents import Dataset
from fullconv.data.documents import Coordinate, Item, Part, checked, head, read_item, read_items
from fullconv.data.layouts.drawn import (
    Pictures,
    drawn_size,
    in_splits,
    require_all,
    sample_name,
    splits_of,
)
from fullconv.data.named_classes import id_elsewhere, id_of, named_labels
from fullconv.data.pictures import SUFFIXES
from fullconv.data.samples import Sample
from fullconv.data.shapes import brush
from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import Patch, fill_ellipse, fill_rings, near, turned
from fullconv.errors import DataError
from fullconv.labels import LabelSet

NAME = "labelstudio"

Side = Annotated[int, Field(ge=1, le=2**31)]
Byte = Annotated[int, Field(ge=0, le=255)]


class Region(Part):
    """A shape and its labels, from either form; which fields are there says what it is."""

    labels: Annotated[tuple[str, ...], Field(min_length=1)]
    original_width: Side | None = None
    original_height: Side | None = None
    image_rotation: Coordinate = 0
    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(fail_fast=True)] | None = None
    rle: Annotated[list[Byte], Field(fail_fast=True)] | None = None
    x: Coordinate = 0
    y: Coordinate = 0
    width: Coordinate | None = None
    height: Coordinate | None = None
    radiusX: Coordinate | None = None
    radiusY: Coordinate | None = None
    rotation: Coordinate = 0

    def size_hw(self) -> tuple[int, int] | None:
        return (
            (self.original_height, self.original_width)
            if self.original_height and self.original_width
            else None
        )


class Annotation(Part):
    """What one person made of a task."""

    result: tuple[dict[str, Any], ...] = ()
    was_cancelled: bool = False
    ground_truth: bool = False


class Task(Part):
    """An item of the JSON form."""

    data: dict[str, Any]
    annotations: list[Annotation] | None = None
    completions: list[Annotation] | None = None


@dataclass(frozen=True)
class LabelStudioMask:
    """The regions of one picture.

    Attributes:
        path: the JSON file.
        picture: the picture's file.
        index: the task's place in the file's list.
        start, size: where its text stands, in bytes.
    """

    path: Path
    picture: Path
    index: int
    start: int
    size: int

    def __str__(self) -> str:
        return f"{self.path}: task [{self.index}]"

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: a region is not as expected, or the file has changed.
            PictureError: the picture cannot be read.
        """
        found = regions(read_item(self.path, self.start, self.size), str(self)) or []
        size_hw = drawn_size(
            next((region.size_hw() for _, region in found if region.size_hw()), None), self.picture, self
        )
        return paint(size_hw, self._areas(found, labels, size_hw), id_elsewhere(labels))

    def _areas(
        self, found: list[tuple[str, Region]], labels: LabelSet, size_hw: tuple[int, int]
    ) -> Iterator[Area]:
        for where, region in found:
            yield Area(_draw(region, size_hw, where), id_of(region.labels[0], labels, f"{where}, label"))


def _draw(region: Region, size_hw: tuple[int, int], where: str) -> Patch:
    if region.image_rotation % 360:
        raise DataError(
            f"{where}: its picture was turned by {region.image_rotation:g} degrees; expected 0; label it upright"
        )
    if region.rle is not None:
        try:
            return Patch(0, 0, brush.decode(bytes(region.rle), size_hw))
        except DataError as error:
            raise DataError(f"{where}, rle: {error}") from None
    percent = np.array([size_hw[1], size_hw[0]]) / 100
    if region.points is not None:
        if len(region.points) < 3:
            raise DataError(f"{where}, points: got {len(region.points)}, expected at least 3")
        return fill_rings([near(np.array(region.points) * percent, size_hw, where)], size_hw)
    at = np.array([region.x, region.y]) * percent
    if region.radiusX is not None and region.radiusY is not None:
        radii = np.array([region.radiusX, region.radiusY]) * percent
        near(np.stack([at - radii, at + radii]), size_hw, where)
        return fill_ellipse(
            (float(at[0]), float(at[1])), (float(radii[0]), float(radii[1])), region.rotation, size_hw
        )
    if region.width is None or region.height is None:
        raise DataError(f"{where}: has neither points, rle, radii nor width and height; expected one of them")
    width, height = np.array([region.width, region.height]) * percent
    corners = at + np.array([[0, 0], [width, 0], [width, height], [0, height]])
    near(corners, size_hw, where)
    return fill_rings([turned(corners, at, region.rotation) if region.rotation else corners], size_hw)


def regions(task: Any, where: str) -> list[tuple[str, Region]] | None:
    """The regions of a task with areas and labels, each with its place; None where nobody labelled it.

    Raises:
        DataError: the task or one of its regions is not as expected.
    """
    if isinstance(task, dict) and "data" in task:
        content = checked(task, Task, where)
        made = [one for one in content.annotations or content.completions or [] if not one.was_cancelled]
        if not made:
            return None
        chosen = next((one for one in made if one.ground_truth), made[0])
        values = [
            (f"{where}, result [{i}]", result, result.get("value")) for i, result in enumerate(chosen.result)
        ]
    else:
        lists = [(key, value) for key, value in _mapping(task, where).items() if isinstance(value, list)]
        values = [
            (f"{where}, {key} [{i}]", value, value) for key, found in lists for i, value in enumerate(found)
        ]
        if not values and "annotation_id" not in task:
            return None
    return [
        (place, _region(value, result, place))
        for place, result, value in values
        if isinstance(value, dict) and isinstance(result, dict) and _has_area(value) and _labels(value)
    ]


def _has_area(value: Mapping[str, Any]) -> bool:
    # a key point has x, y and a width of its own, but no height
    return bool({"rle", "radiusX", "height"} & set(value)) or ("points" in value and "vertices" not in value)


def _labels(value: Mapping[str, Any]) -> Any:
    return next((labels for key, labels in value.items() if key.endswith("labels") and labels), None)


def _region(value: Mapping[str, Any], result: Mapping[str, Any], where: str) -> Region:
    outer = ("original_width", "original_height", "image_rotation")
    given = {key: result[key] for key in outer if result.get(key) is not None}
    own = {key: value[key] for key in Region.model_fields if value.get(key) is not None}
    return checked({**own, **given, "labels": _labels(value)}, Region, where)


def _mapping(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DataError(f"{where}: got {type(value).__name__}, expected an object; export it again as JSON")
    return value


def file_names(task: Any, where: str) -> list[str]:
    """The names that a task's picture may have here, the likeliest first.

    >>> file_names({"data": {"image": "/data/upload/7/0a1b2c3d-my%20cat.jpg"}}, "task")
    ['0a1b2c3d-my cat.jpg', 'my cat.jpg']
    >>> file_names({"image": "/data/local-files/?d=images/train/a.jpg"}, "task")
    ['images/train/a.jpg', 'train/a.jpg', 'a.jpg']

    Raises:
        DataError: it names none.
    """
    data = _mapping(task, where)
    data = _mapping(data["data"], where) if "data" in data else data
    for value in (value for value in data.values() if isinstance(value, str)):
        try:
            address = urlsplit(value)
            steps = unquote(parse_qs(address.query).get("d", [address.path])[0]).replace("\\", "/").split("/")
        except ValueError:
            continue
        if Path(steps[-1]).suffix.lower() in SUFFIXES:
            if "upload" in steps or address.netloc:
                steps = steps[-1:]
            names = ["/".join(steps[start:]) for start in range(len(steps))]
            return [*filter(None, names), *re.findall(r"^[0-9a-f]{8}-(.+)", steps[-1])]
    raise DataError(f"{where}: names no picture; expected the address of one under 'data'")


def detect(folder: Path) -> bool:
    return bool(_files(folder))


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.glob("*.json")) if _is_export(head(path).lstrip())]


def _is_export(text: str) -> bool:
    signs = ("annotations", "completions", "original_width", "annotation_id")
    return text.startswith("[") and any(f'"{sign}"' in text for sign in signs)


def read(folder: Path) -> Dataset:
    paths = _files(folder)
    if not paths:
        raise DataError(
            f"{folder}: holds no export of Label Studio; expected a JSON file that is a list of tasks"
        )
    found, names, num_left_out = [], set[str](), 0
    folders = Pictures(
        [folder / "images", folder, *(path for path in sorted(folder.glob("*")) if path.is_dir())]
    )
    splits = splits_of((path.stem for path in paths), folder)
    for path in paths:
        split = splits[path.stem]
        missing, total = [], 0
        for item in read_items(path):
            where = f"{path}: task [{item.index}]"
            made = regions(item.value, where)
            if made is None:
                num_left_out += 1
                continue
            total += 1
            names.update(region.labels[0] for _, region in made)
            candidates = file_names(item.value, where)
            picture = next(filter(None, map(folders.find, candidates)), None)
            if picture is None:
                missing.append(candidates[0])
            else:
                found.append((split, _sample(folder, path, picture, item, split)))
        require_all(missing, total, folders.folders, path)
    note, splits = in_splits(found, paths[0])
    left_out = f"; {num_left_out} tasks without annotation are left out" if num_left_out else ""
    labels = named_labels(folder, sorted(names), paths[0])
    return Dataset(folder.resolve().name, folder, f"Label Studio{note}{left_out}", labels, splits)


def _sample(folder: Path, path: Path, picture: Path, item: Item, split: str | None) -> Sample:
    mask = LabelStudioMask(path, picture, item.index, item.start, item.size)
    return Sample(sample_name(picture, folder, split), picture, mask)
