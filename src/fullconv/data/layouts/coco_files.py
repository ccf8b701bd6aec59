"""COCO's JSON files: which there are, where their pictures lie, and where in them each picture's annotations stand.

An annotation file may be longer than the memory: it is read item by item, and of an annotation no more is kept than where
its text stands (16 bytes). Its shapes are read when the mask is drawn.

Source: COCO, data format, https://cocodataset.org/#format-data.
"""

import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import Field

from fullconv.data.documents import Item, Part, checked, head, read_items
from fullconv.data.layouts.drawn import Pictures, require_all, split_in, split_of_folder
from fullconv.errors import DataError

KINDS = ("instances", "stuff", "panoptic")
"""Before the first underline of a file's name; behind it is the split."""

OTHER_KINDS = ("stuff", "panoptic", "captions", "person_keypoints", "image_info")
"""Files whose names begin with these hold no instances."""

PLACE = np.dtype([("index", "<u4"), ("start", "<u8"), ("size", "<u4")])
"""Which annotation of a file it is, and where its text stands, in bytes."""

Id = Annotated[int, Field(ge=-(2**62), le=2**62)]
Side = Annotated[int, Field(ge=1, le=2**31)]


class Picture(Part):
    """An item of `images`."""

    id: Id
    file_name: str
    width: Side | None = None
    height: Side | None = None

    def size_hw(self) -> tuple[int, int] | None:
        return (self.height, self.width) if self.height and self.width else None


class Category(Part):
    """An item of `categories`; `color` is there in panoptic files."""

    id: Id
    name: str
    supercategory: str | None = None
    color: tuple[int, int, int] | None = None


class Mention(Part):
    """What of an annotation is needed to find it again."""

    image_id: Id
    category_id: Id | None = None


@dataclass(frozen=True)
class Index:
    """The content of one file.

    Attributes:
        path: the file.
        split: what its name or folder says, or None.
        pictures: the items of `images`, in their order.
        files: the picture file of each.
        categories: by id, in order of id.
        places: the annotations of each picture by its id: `PLACE` items as bytes.
        num_empty: the annotations without any shape, which are not among the places.
        used: the ids of categories that annotations have.
    """

    path: Path
    split: str | None
    pictures: tuple[Picture, ...]
    files: tuple[Path, ...]
    categories: Mapping[int, Category]
    places: Mapping[int, bytes]
    num_empty: int
    used: frozenset[int]


def find_files(folder: Path, kind: str) -> list[Path]:
    """The annotation files in `annotations/`, else in the folder itself, else in those of splits in it.

    Where some are called `instances_...` the others are left out.

    Args:
        folder: the data set's.
        kind: "instances", or the beginning of the file's name for other kinds.
    """
    in_splits = (path for path in sorted(folder.glob("*/*.json")) if split_of_folder(path.parent.name))
    for paths in (sorted(folder.glob("annotations/*.json")), sorted(folder.glob("*.json")), in_splits):
        found = [path for path in paths if _is_of(path, kind)]
        if found:
            return [path for path in found if path.stem.startswith(kind)] or found
    return []


def _is_of(path: Path, kind: str) -> bool:
    stem = path.stem.casefold()
    if not (stem.startswith(kind) if kind != "instances" else not stem.startswith(OTHER_KINDS)):
        return False
    text = head(path).lstrip()
    return text.startswith("{") and re.search(r'"(images|annotations|categories)"\s*:\s*\[', text) is not None


def picture_folders(root: Path, path: Path, split: str | None) -> Iterator[Path]:
    """Where the pictures of a file may lie, the likeliest first."""
    told = path.stem.partition("_")[2]  # train2017 of instances_train2017
    names = [name for name in (told, split, "valid" if split == "val" else None) if name]
    yield from (root / name for name in names if name.isalnum())
    yield from (root / "images" / name for name in names if name.isalnum())
    yield from (root / name / "images" for name in names if name.isalnum())
    yield from (path.parent, path.parent / "images", root / "images", root / "data", root)


def read_index(root: Path, path: Path, alone: bool) -> Index:
    """Reads what a file says of its pictures and classes, and where its annotations stand.

    Args:
        root: the data set's folder.
        path: the file.
        alone: it is the only one; of several, one whose name says no split is a split of its own name.

    Raises:
        DataError: it is no JSON, holds what is not expected in it, or names pictures that are not there.
    """
    split = _split_of(path, alone)
    pictures: dict[int, Picture] = {}
    categories: dict[int, Category] = {}
    of_pictures, places, used, num_empty = array("q"), array("Q"), set[int](), 0
    for item in read_items(path):
        where = f"{path}: {item.key}[{item.index}]"
        if item.key == "images":
            picture = checked(item.value, Picture, where)
            if picture.id in pictures:
                raise DataError(f"{where}: got id {picture.id} once more, expected each once")
            pictures[picture.id] = picture
        elif item.key == "categories":
            category = checked(item.value, Category, where)
            if category.id in categories:
                raise DataError(f"{where}: got id {category.id} once more, expected each once")
            categories[category.id] = category
        elif item.key == "annotations":
            mention = checked(item.value, Mention, where)
            if mention.category_id is not None:
                used.add(mention.category_id)
            if _is_empty(item):
                num_empty += 1
                continue
            of_pictures.append(mention.image_id)
            places.extend((item.index, item.start, item.size))
    if not pictures:
        raise DataError(f"{path}: holds no images; expected a list under the key 'images'")
    folders = Pictures(picture_folders(root, path, split))
    found = {picture.id: folders.find(picture.file_name) for picture in pictures.values()}
    require_all(
        [pictures[id_].file_name for id_, file in found.items() if not file],
        len(pictures),
        folders.folders,
        path,
    )
    return Index(
        path=path,
        split=split,
        pictures=tuple(pictures.values()),
        files=tuple(file for file in found.values() if file),
        categories=dict(sorted(categories.items())),
        places=_by_picture(path, of_pictures, places, pictures),
        num_empty=num_empty,
        used=frozenset(used),
    )


def _split_of(path: Path, alone: bool) -> str | None:
    kind, _, told = path.stem.partition("_")
    if kind in KINDS and told:
        return split_of_folder(told) or told
    return split_in(path.stem) or split_of_folder(path.parent.name) or (None if alone else path.stem)


def _is_empty(item: Item) -> bool:
    return not item.value.get("segmentation") and "segments_info" not in item.value


def _by_picture(
    path: Path, of_pictures: array, places: array, pictures: Mapping[int, Picture]
) -> dict[int, bytes]:
    owners = np.array(of_pictures, np.int64)
    table = np.array(places, np.uint64).reshape(-1, 3)
    unknown = np.flatnonzero(~np.isin(owners, np.fromiter(pictures, np.int64, len(pictures))))
    if unknown.size:
        raise DataError(
            f"{path}: annotations[{table[unknown[0], 0]}].image_id: got {owners[unknown[0]]}, expected the id of one of images"
        )
    order = np.argsort(owners, kind="stable")
    packed = np.empty(len(order), PLACE)
    for column, name in enumerate(("index", "start", "size")):
        packed[name] = table[order, column]
    ids, starts = np.unique(owners[order], return_index=True)
    return {
        id_: part.tobytes()
        for id_, part in zip(ids.tolist(), np.split(packed, starts[1:]) if len(ids) else [], strict=True)
    }


def joined_categories(indices: list[Index]) -> dict[int, Category]:
    """The categories of all files, by id in order of id, without a group that merely stands above the others.

    Raises:
        DataError: there are none, or two files call one id by different names.
    """
    joined: dict[int, Category] = {}
    for index in indices:
        for id_, category in index.categories.items():
            if joined.setdefault(id_, category).name != category.name:
                raise DataError(
                    f"{index.path}: category {id_} is {category.name!r}, in another file {joined[id_].name!r}; expected the "
                    "same categories in all files"
                )
    if not joined:
        raise DataError(f"{indices[0].path}: holds no categories; expected a list under the key 'categories'")
    used = frozenset().union(*(index.used for index in indices))
    groups = {category.supercategory for category in joined.values()}
    # Roboflow puts one in front that no annotation has
    return {
        id_: category
        for id_, category in sorted(joined.items())
        if id_ in used or category.name not in groups or category.supercategory not in (None, "", "none")
    }
