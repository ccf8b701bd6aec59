"""How often each class was taken for each other one, and the FCN papers' four figures of it."""

from collections.abc import Sequence
from math import fsum
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.metrics.ids import Ids, check_num_classes, compared, count_pairs, mean_of_known, shares


class Confusion:
    """How often each class was taken for each other one.

    With n[i, j] the pixels of class i predicted as j, t[i] the pixels of class i, K the number of classes:

        pixel accuracy          sum_i n[i, i] / sum_i t[i]
        mean accuracy           mean_i n[i, i] / t[i]
        mean IU                 mean_i n[i, i] / (t[i] + sum_j n[j, i] - n[i, i])
        frequency-weighted IU   sum_i t[i] IU[i] / sum_i t[i]

    A class that is neither in truth nor in prediction has no IU and is left out of the mean. A class that is
    predicted but not in truth has IU 0 and lowers the mean.

    Args:
        num_classes: K, at least 1.
        ignore_index: the true id of void pixels. With more than 255 classes, give another: 255 is a class.

    Raises:
        InputError: num_classes is below 1.

    Source: Long, Shelhamer & Darrell 2015, section 5; shelhamer/fcn.berkeleyvision.org, score.py.

    >>> confusion = Confusion(num_classes=3)
    >>> confusion.update(labels=torch.tensor([0, 0, 1, 1, 2]), truth=torch.tensor([0, 0, 0, 1, 255]))
    >>> confusion.iou, confusion.pixel_accuracy
    ([0.6666666666666666, 0.5, None], 0.75)
    """

    matrix: Tensor
    """(K, K) int64 on the CPU: pixels, rows = truth, columns = prediction."""

    def __init__(self, num_classes: int, ignore_index: int = IGNORE_INDEX) -> None:
        check_num_classes("Confusion", num_classes)
        self.num_classes = num_classes
        self.ignore_index = ignore_index
        self.matrix = torch.zeros(num_classes, num_classes, dtype=torch.int64)

    @classmethod
    def from_matrix(cls, matrix: Tensor | list[list[int]], ignore_index: int = IGNORE_INDEX) -> "Confusion":
        """A confusion that was counted before: (K, K) integers, at least 0, rows = truth; copied.

        Raises:
            InputError: the matrix is not square, or holds fractions or negative counts.

        >>> Confusion.from_matrix([[3, 1], [0, 4]]).mean_accuracy
        0.875
        """
        counts = torch.as_tensor(matrix)
        square = counts.ndim == 2 and counts.shape[0] == counts.shape[1]
        if not square or counts.is_floating_point() or (counts < 0).any():
            raise InputError(
                f"got a confusion matrix of shape {tuple(counts.shape)}, {counts.dtype}; "
                "expected pixel counts of shape (K, K), at least 0"
            )
        confusion = cls(len(counts), ignore_index)
        confusion.matrix += counts.cpu()
        return confusion

    def update(self, labels: Ids, truth: Ids) -> None:
        """Adds the pixels of a picture or batch.

        Args:
            labels: predicted ids, any shape; 0..K-1 wherever truth is not void.
            truth: true ids, the same shape; 0..K-1 or void.

        Raises:
            InputError: the shapes differ, the ids are not integers, or an id is no class.
        """
        self.count(*compared(labels, truth, self.num_classes, self.ignore_index))

    def count(self, labels: np.ndarray, truth: np.ndarray) -> None:
        """Adds pixels that `compared` has checked."""
        # Void has the last row and column.
        self.matrix += count_pairs(truth, labels, self.num_classes)[:-1, :-1]

    def __add__(self, other: "Confusion") -> "Confusion":
        """The counts of both, as if one had seen all pixels; both must have the same number of classes."""
        if self.num_classes != other.num_classes:
            raise InputError(
                f"cannot add confusions of {self.num_classes} and {other.num_classes} classes; "
                "expected the same number in both"
            )
        return Confusion.from_matrix(self.matrix + other.matrix, self.ignore_index)

    @property
    def truth_pixels(self) -> list[int]:
        """t: the pixels of each class in truth."""
        return self.matrix.sum(dim=1).tolist()

    @property
    def accuracy(self) -> list[float | None]:
        """Of each class's pixels, the share predicted as that class; None for a class absent from truth."""
        return shares(self.matrix.diagonal().tolist(), self.truth_pixels)

    @property
    def iou(self) -> list[float | None]:
        """Each class's intersection over union; None for a class absent from truth and prediction."""
        hits = self.matrix.diagonal()
        return shares(hits.tolist(), (self.matrix.sum(dim=1) + self.matrix.sum(dim=0) - hits).tolist())

    @property
    def pixel_accuracy(self) -> float | None:
        return shares([int(self.matrix.trace())], [int(self.matrix.sum())])[0]

    @property
    def mean_accuracy(self) -> float | None:
        return mean_of_known(self.accuracy)

    @property
    def mean_iou(self) -> float | None:
        return mean_of_known(self.iou)

    @property
    def frequency_weighted_iou(self) -> float | None:
        pixels = self.truth_pixels
        if not any(pixels):
            return None
        shares = zip(pixels, self.iou, strict=True)
        return fsum(count * iou for count, iou in shares if iou is not None) / sum(pixels)

    def summary(self, names: Sequence[str], num_images: int, split: str) -> dict[str, Any]:
        """All figures under the names that `fullconv evaluate --json` prints.

        Args:
            names: the K class names, in id order.
            num_images: how many pictures were counted.
            split: which split of the data set they are.

        Raises:
            InputError: the number of names is not K.
        """
        if len(names) != self.num_classes:
            raise InputError(
                f"got {len(names)} class names for {self.num_classes} classes; expected one name each"
            )
        figures = zip(names, self.iou, self.accuracy, self.truth_pixels, strict=True)
        return {
            "mean_iou": self.mean_iou,
            "pixel_accuracy": self.pixel_accuracy,
            "mean_accuracy": self.mean_accuracy,
            "frequency_weighted_iou": self.frequency_weighted_iou,
            "num_images": num_images,
            "split": split,
            "per_class": {
                name: {"iou": iou, "accuracy": accuracy, "pixels": pixels}
                for name, iou, accuracy, pixels in figures
            },
            "confusion": self.matrix.tolist(),
        }
