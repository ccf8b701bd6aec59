"""Masks whose files hold other ids than the classes', or are no pictures."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.masks import read_mask
from fullconv.data.matfile import read_mat_array
from fullconv.data.sources import Packed
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet


@dataclass(frozen=True)
class MappedMask:
    """A mask file of other classes, each of which becomes one of the data set's, or void.

    Attributes:
        file: the mask file.
        stored: the classes that it holds.
        ids: at the position of each of them the id that it becomes; 255 is void.
    """

    file: Path | Packed
    stored: LabelSet
    ids: bytes

    def __str__(self) -> str:
        return str(self.file)

    @property
    def path(self) -> Path:
        return self.file if isinstance(self.file, Path) else self.file.path

    def read(self, labels: LabelSet) -> np.ndarray:
        """(H, W) uint8, as `MaskSource.read`."""
        table = np.full(256, IGNORE_INDEX, np.uint8)
        table[: len(self.ids)] = np.frombuffer(self.ids, np.uint8)
        return known_ids(table[read_mask(self.file, self.stored)], labels, self)


@dataclass(frozen=True)
class MatMask:
    """A mask that is an array in a MAT-file.

    Attributes:
        path: the MAT-file.
        where: the variable, as in `read_mat_array`.
        first: the number that stands for class 0, the next ones for the next classes.
        void: the numbers that stand for void.
    """

    path: Path
    where: str
    first: int
    void: tuple[int, ...]

    def __str__(self) -> str:
        return str(self.path)

    def read(self, labels: LabelSet) -> np.ndarray:
        """(H, W) uint8, as `MaskSource.read`."""
        numbers = read_mat_array(self.path, self.where)
        if numbers.ndim != 2 or not numbers.size:
            raise DataError(f"{self}: {self.where} has the shape {numbers.shape}; expected (height, width)")
        is_void = np.isin(numbers, self.void)
        classes = np.where(is_void, self.first, numbers)
        highest = self.first + labels.num_classes - 1
        wrong = ~((classes >= self.first) & (classes <= highest) & (classes == np.floor(classes)))
        if wrong.any():
            raise DataError(
                f"{self}: {self.where} holds {classes[wrong][0]} on {wrong.sum()} pixels; expected {self.first}..{highest} "
                f"for the {labels.num_classes} classes, or void ({', '.join(map(str, self.void))})"
            )
        ids = (classes.astype(np.int64) - self.first).astype(np.uint8)
        ids[is_void] = IGNORE_INDEX
        return ids


def known_ids(label_map: np.ndarray, labels: LabelSet, source: object) -> np.ndarray:
    """The (H, W) uint8 label map with what the classes say is void as 255.

    Raises:
        DataError: it holds ids beyond the classes.
    """
    if labels.ignore_ids:
        label_map = np.where(np.isin(label_map, labels.ignore_ids), np.uint8(IGNORE_INDEX), label_map)
    beyond = (label_map >= labels.num_classes) & (label_map != IGNORE_INDEX)
    if beyond.any():
        raise DataError(
            f"{source}: id {label_map[beyond][0]} on {beyond.sum()} pixels is none of the {labels.num_classes} classes; "
            "expected dataset.yaml to name all that the layout has, or none"
        )
    return label_map
