"""What the writers of data sets share: the picture that is to be written, its classes by name, and their outlines."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fullconv.data.named_classes import VOID_NAMES, id_elsewhere
from fullconv.data.shapes.outlines import Ring, bridged, simplified, trace
from fullconv.data.sources import PictureFile
from fullconv.labels import IGNORE_INDEX, LabelSet


@dataclass(frozen=True)
class Style:
    """How masks are written by formats that have a choice.

    Attributes:
        polygons: as polygons instead of pixels.
        tolerance: how far, in pixels, a polygon may leave the mask's outline; 0: it reproduces the mask.
    """

    polygons: bool = False
    tolerance: float = 0.0


@dataclass(frozen=True, eq=False)
class Item:
    """A picture with its mask.

    Attributes:
        name: unique in the data set, and good for file names.
        file_name: the name and the picture's suffix.
        picture: the picture's file.
        label_map: (H, W) uint8, ids or 255.
        copied: where each picture was written first; shared by all items.
        link: pictures become hard links where that can be.
    """

    name: str
    file_name: str
    picture: PictureFile
    label_map: np.ndarray
    copied: dict[str, Path] = field(default_factory=dict)
    link: bool = False

    def place_picture(self, folder: Path) -> Path:
        """Writes the picture into a folder, byte for byte; a second time it is a link to the first."""
        folder.mkdir(parents=True, exist_ok=True)
        target, before = (
            folder / self.file_name,
            self.copied.setdefault(str(self.picture), folder / self.file_name),
        )
        if before != target and _linked(before, target):
            return target
        if not isinstance(self.picture, Path):
            with self.picture.open() as stream:
                target.write_bytes(stream.read())
        elif not (self.link and _linked(self.picture, target)):
            shutil.copyfile(self.picture, target)
        return target


def _linked(source: Path, target: Path) -> bool:
    try:
        os.link(source.resolve(), target)
    except OSError:  # another disk, or one without links
        return False
    return True


class Writer(Protocol):
    """Writes all pictures of a data set, split by split, into a folder that it may fill as it likes."""

    def __call__(
        self, folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style
    ) -> None: ...


def class_names(labels: LabelSet, void_name: str = VOID_NAMES[0]) -> dict[int, str]:
    """The names of what is written as shapes, by id: all classes but the background, and void behind them.

    >>> class_names(LabelSet.from_names(["background", "bag"]))
    {1: 'bag', 255: 'ignore'}
    """
    names = {index: name for index, name in enumerate(labels.names) if index != id_elsewhere(labels)}
    while void_name in labels.names:  # a class: void is what else sounds like void
        void_name = f"_{void_name}_"
    return {**names, IGNORE_INDEX: void_name}


def class_masks(label_map: np.ndarray, ids: Mapping[int, Any]) -> Iterator[tuple[int, np.ndarray]]:
    """The mask of each of some ids that is there: (id, (H, W) bool)."""
    there = np.bincount(label_map.ravel(), minlength=256)
    return ((index, label_map == index) for index in ids if there[index])


def box_of(mask: np.ndarray) -> tuple[int, int, int, int]:
    """The least box around a mask that is not empty: (top, left, bottom, right), the last two behind it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def polygons_of(mask: np.ndarray, style: Style) -> Iterator[Ring]:
    """A ring (n, 2) for each connected part of a mask, its holes joined to the outline by cuts without width."""
    for rings in trace(mask):
        yield bridged([simplified(ring, style.tolerance) for ring in rings])


@contextmanager
def json_list(path: Path, before: str = "[", after: str = "]") -> Iterator[Any]:
    """Writes a list of JSON item by item, so that it never is in memory as a whole; gives the function that adds one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(before)
        first = True

        def add(value: Any) -> None:
            nonlocal first
            file.write(
                ("\n" if first else ",\n") + json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            )
            first = False

        yield add
        file.write(f"\n{after}\n")
