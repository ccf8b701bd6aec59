"""COCO panoptic: things and stuff as PNG files of segments, and JSON that says each segment's class.

`annotations/panoptic_train2017.json` beside the folder `panoptic_train2017/` of PNG files. A pixel's segment is R + 256 G +
65536 B; segment 0 and crowds (`iscrowd`) are void. The classes are the categories in the order of their ids.

Source: COCO, data format, 4. Panoptic Segmentation, https://cocodataset.org/#format-data.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from fullconv.data.contents import Dataset
from fullconv.data.documents import Part, checked, read_item
from fullconv.data.layouts.coco_files import PLACE, Id, Index, find_files, joined_categories, read_index
from fullconv.data.layouts.drawn import Pictures, in_splits, require_all, sample_name
from fullconv.data.masks import read_stored
from fullconv.data.named_classes import id_of, named_labels
from fullconv.data.samples import Sample
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet

NAME = "coco-panoptic"


class Segment(Part):
    """An item of `segments_info`."""

    id: Annotated[int, Field(ge=0, lt=2**24)]
    category_id: Id
    iscrowd: Literal[0, 1] = 0


class Annotation(Part):
    """An item of `annotations`."""

    image_id: Id
    file_name: str
    segments_info: Annotated[list[Segment], Field(fail_fast=True)]


@dataclass(frozen=True)
class PanopticMask:
    """The segments of one picture.

    Attributes:
        path: the PNG file.
        json: the file that says what they are.
        place: where its annotation stands there: one `PLACE`, as bytes.
        names: the categories' names by id.
    """

    path: Path
    json: Path
    place: bytes
    names: Mapping[int, str] = field(compare=False, repr=False)

    def __str__(self) -> str:
        return str(self.path)

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: a segment is unknown, or the JSON file has changed.
            PictureError: the PNG cannot be read.
        """
        pixels, _ = read_stored(self.path)
        if pixels.ndim != 3:
            raise DataError(
                f"{self.path}: has one channel; expected RGB, as panoptic segments are stored; export it again"
            )
        red, green, blue = np.moveaxis(pixels.astype(np.int32), 2, 0)
        codes = red + 256 * green + 65536 * blue  # (H, W)
        index, start, size = np.frombuffer(self.place, PLACE)[0].tolist()
        where = f"{self.json}: annotations[{index}]"
        annotation = checked(read_item(self.json, start, size), Annotation, where)
        table = {0: IGNORE_INDEX}
        for number, segment in enumerate(annotation.segments_info):
            place = f"{where}.segments_info[{number}].category_id"
            if segment.category_id not in self.names:
                raise DataError(f"{place}: got {segment.category_id}, expected the id of one of categories")
            label = id_of(self.names[segment.category_id], labels, place)
            table[segment.id] = IGNORE_INDEX if segment.iscrowd else label
        found, inverse = np.unique(codes, return_inverse=True)
        unknown = [code for code in found.tolist() if code not in table]
        if unknown:
            raise DataError(
                f"{self.path}: segment {unknown[0]} is none of {where}; expected each among its segments_info; "
                "correct the JSON or the PNG"
            )
        return np.array([table[code] for code in found.tolist()], np.uint8)[inverse].reshape(codes.shape)


def detect(folder: Path) -> bool:
    return bool(find_files(folder, "panoptic"))


def read(folder: Path) -> Dataset:
    paths = find_files(folder, "panoptic")
    if not paths:
        raise DataError(
            f"{folder}: holds no panoptic JSON; expected one such as annotations/panoptic_train2017.json"
        )
    indices = [read_index(folder, path, alone=len(paths) == 1) for path in paths]
    categories = joined_categories(indices)
    labels = named_labels(
        folder,
        [category.name for category in categories.values()],
        paths[0],
        {c.name: c.color for c in categories.values() if c.color and all(0 <= v < 256 for v in c.color)},
        with_background=False,
    )
    names = {id_: category.name for id_, category in categories.items()}
    found = [pair for index in indices for pair in _samples(folder, index, names)]
    note, splits = in_splits(found, folder)
    files = ", ".join(path.relative_to(folder).as_posix() for path in paths)
    return Dataset(folder.resolve().name, folder, f"COCO panoptic in {files}{note}", labels, splits)


def _samples(folder: Path, index: Index, names: Mapping[int, str]) -> list[tuple[str | None, Sample]]:
    """The pictures of a file that have an annotation."""
    here = index.path.parent
    segments = Pictures([here / index.path.stem, folder / index.path.stem, here / "panoptic", here, folder])
    found, missing = [], []
    for picture, file in zip(index.pictures, index.files, strict=True):
        if picture.id not in index.places:
            continue
        place = index.places[picture.id][: PLACE.itemsize]
        number, start, size = np.frombuffer(place, PLACE)[0].tolist()
        where = f"{index.path}: annotations[{number}]"
        annotation = checked(read_item(index.path, start, size), Annotation, where)
        mask = segments.find(annotation.file_name)
        if mask is None:
            missing.append(annotation.file_name)
        else:
            found.append(
                (
                    index.split,
                    Sample(
                        sample_name(file, folder, index.split),
                        file,
                        PanopticMask(mask, index.path, place, names),
                    ),
                )
            )
    require_all(missing, len(index.pictures), segments.folders, index.path)
    return found
