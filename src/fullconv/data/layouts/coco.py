"""COCO instances: outlines of things in JSON.

One file for each split in `annotations/` (`instances_train2017.json` beside `train2017/`), or with the pictures (Roboflow's
`train/_annotations.coco.json`), or a single file beside `images/`, of which a tenth becomes `val`. The classes are the
categories in the order of their ids, behind background; regions of crowds (`iscrowd`) are void unless a thing of its own
lies on them.

Source: COCO, data format, https://cocodataset.org/#format-data.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from fullconv.data.contents import Dataset
from fullconv.data.documents import Part, checked, read_item
from fullconv.data.layouts.coco_files import PLACE, Id, find_files, joined_categories, read_index
from fullconv.data.layouts.drawn import drawn_size, in_splits, sample_name
from fullconv.data.named_classes import id_elsewhere, id_of, named_labels
from fullconv.data.samples import Sample
from fullconv.data.shapes.coco import Segmentation, draw
from fullconv.data.shapes.painting import Area, paint
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet

NAME = "coco"


class Annotation(Part):
    """An item of `annotations`."""

    image_id: Id
    category_id: Id
    iscrowd: Literal[0, 1] = 0
    segmentation: Segmentation


@dataclass(frozen=True)
class CocoMask:
    """The annotations of one picture.

    Attributes:
        path: the JSON file.
        picture: the picture's file.
        image_id: its id there.
        size_hw: its size, if the file says it.
        places: where its annotations stand, as bytes of `PLACE`.
        names: the categories' names by id.
    """

    path: Path
    picture: Path
    image_id: int
    size_hw: tuple[int, int] | None
    places: bytes
    names: Mapping[int, str] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.path}: image {self.image_id}"

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: an annotation is not as expected, or the file has changed.
            PictureError: the picture cannot be read.
            ConfigError: there are polygons, and pycocotools is not installed.
        """
        size_hw = drawn_size(self.size_hw, self.picture, self)
        found = [self._annotation(*place.tolist()) for place in np.frombuffer(self.places, PLACE)]
        return paint(size_hw, self._areas(found, labels, size_hw), id_elsewhere(labels))

    def _annotation(self, index: int, start: int, size: int) -> tuple[str, Annotation]:
        where = f"{self.path}: annotations[{index}]"
        annotation = checked(read_item(self.path, start, size), Annotation, where)
        if annotation.image_id != self.image_id:
            raise DataError(f"{self.path}: has changed since it was opened; start again")
        if annotation.category_id not in self.names:
            raise DataError(
                f"{where}.category_id: got {annotation.category_id}, expected the id of one of categories"
            )
        return where, annotation

    def _areas(
        self, found: list[tuple[str, Annotation]], labels: LabelSet, size_hw: tuple[int, int]
    ) -> Iterator[Area]:
        for where, annotation in sorted(found, key=lambda pair: -pair[1].iscrowd):  # crowds lie below
            try:
                patch = draw(annotation.segmentation, size_hw)
            except DataError as error:
                raise DataError(f"{where}.segmentation{_spaced(error)}") from None
            if annotation.iscrowd:
                yield Area(patch, IGNORE_INDEX, 0)
            else:
                yield Area(
                    patch, id_of(self.names[annotation.category_id], labels, f"{where}.category_id"), 1
                )


def _spaced(error: DataError) -> str:
    text = str(error)
    return text if text.startswith((".", "[")) else f": {text}"


def detect(folder: Path) -> bool:
    return bool(find_files(folder, "instances"))


def read(folder: Path) -> Dataset:
    return read_shapes(folder, "instances", with_background=True)


def read_shapes(folder: Path, kind: str, *, with_background: bool) -> Dataset:
    """Reads the annotation files of one kind, as in `find_files`.

    Args:
        folder: the data set's.
        kind: "instances" or "stuff".
        with_background: what no annotation covers is a class; else it is void.

    Raises:
        DataError: there are no such files, or they hold what is not expected in them.
    """
    paths = find_files(folder, kind)
    if not paths:
        raise DataError(
            f"{folder}: holds no {kind} JSON; expected one such as annotations/{kind}_train2017.json"
        )
    indices = [read_index(folder, path, alone=len(paths) == 1) for path in paths]
    categories = joined_categories(indices)
    names = {id_: category.name for index in indices for id_, category in index.categories.items()}
    num_empty = sum(index.num_empty for index in indices)
    if num_empty and not any(index.places for index in indices):
        raise DataError(
            f"{paths[0]}: none of its {num_empty} annotations has an outline, only boxes; expected polygons or run lengths "
            "under 'segmentation'; export it for segmentation"
        )
    found = [
        (
            index.split,
            Sample(
                sample_name(file, folder, index.split),
                file,
                CocoMask(
                    index.path, file, picture.id, picture.size_hw(), index.places.get(picture.id, b""), names
                ),
            ),
        )
        for index in indices
        for picture, file in zip(index.pictures, index.files, strict=True)
    ]
    labels = named_labels(
        folder, [category.name for category in categories.values()], paths[0], with_background=with_background
    )
    note, splits = in_splits(found, folder)
    empty = f"; {num_empty} annotations without outline are left out" if num_empty else ""
    files = ", ".join(path.relative_to(folder).as_posix() for path in paths)
    return Dataset(folder.resolve().name, folder, f"COCO {kind} in {files}{note}{empty}", labels, splits)
