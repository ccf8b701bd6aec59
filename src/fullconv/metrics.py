"""The FCN papers' figures, counted over a whole data set, and the same near the borders of objects.

All figures come from integer counts that are summed over the data set and divided once at the end, so they do
not depend on the order of the pictures, on batches or on the number of processes. Figures lie in 0..1; where
nothing was counted a figure is None.

Class ids come as tensors or as numpy arrays of any integer dtype. The true id `ignore_index` is void: such
pixels count nowhere, whatever was predicted there.
"""

from collections.abc import Sequence
from math import fsum
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX

Ids = Tensor | np.ndarray


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
        _check_num_classes("Confusion", num_classes)
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
        labels, truth, void = _checked(labels, truth, self.num_classes, self.ignore_index)
        cells = self.num_classes**2
        # One number names the pair; void pixels go to a cell of their own, which is dropped.
        pairs = (truth.to(torch.int32) * self.num_classes + labels).masked_fill_(void, cells)
        counts = torch.bincount(pairs.flatten(), minlength=cells + 1)[:cells]
        self.matrix += counts.view_as(self.matrix).cpu()

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
        return _shares(self.matrix.diagonal().tolist(), self.truth_pixels)

    @property
    def iou(self) -> list[float | None]:
        """Each class's intersection over union; None for a class absent from truth and prediction."""
        hits = self.matrix.diagonal()
        return _shares(hits.tolist(), (self.matrix.sum(dim=1) + self.matrix.sum(dim=0) - hits).tolist())

    @property
    def pixel_accuracy(self) -> float | None:
        return _shares([int(self.matrix.trace())], [int(self.matrix.sum())])[0]

    @property
    def mean_accuracy(self) -> float | None:
        return _mean(self.accuracy)

    @property
    def mean_iou(self) -> float | None:
        return _mean(self.iou)

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


class BoundaryIou:
    """Intersection over union of the rims of objects: how well outlines are drawn, whatever the size.

    A class's rim is its pixels within `distance` (chessboard) of a pixel that is not of the class: of another
    class, void, or outside the picture. Intersections and unions of the rims in truth and in prediction are
    summed over the data set. Void pixels are cut out of the prediction before its rims are taken, so that a
    perfect one scores 1.

    Args:
        num_classes: K, at least 1.
        distance: the width of a rim in pixels, at least 1; the paper takes 2 % of the picture's diagonal.
        ignore_index: the true id of void pixels.

    Raises:
        InputError: num_classes or distance is below 1.

    Source: Cheng, Girshick, Dollár, Berg & Kirillov 2021, "Boundary IoU"; void and the sum over the data set
    are this module's.

    >>> score = BoundaryIou(num_classes=2, distance=1)
    >>> truth = torch.zeros(8, 8, dtype=torch.uint8)
    >>> truth[2:6, 2:6] = 1
    >>> score.update(labels=truth.roll(1, dims=1), truth=truth)  # all one pixel too far to the right
    >>> score.iou[1]  # of a rim of 12 pixels in each, 6 in common
    0.3333333333333333
    """

    def __init__(self, num_classes: int, distance: int, ignore_index: int = IGNORE_INDEX) -> None:
        _check_num_classes("BoundaryIou", num_classes)
        if distance < 1:
            raise InputError(f"BoundaryIou got distance {distance}; expected at least 1 pixel")
        self.num_classes = num_classes
        self.distance = distance
        self.ignore_index = ignore_index
        self.intersections = torch.zeros(num_classes, dtype=torch.int64)
        self.unions = torch.zeros(num_classes, dtype=torch.int64)

    def update(self, labels: Ids, truth: Ids) -> None:
        """Adds the rims of a picture or batch: labels and truth (..., H, W), else as `Confusion.update`."""
        _check_picture("BoundaryIou", truth)
        labels, truth, void = _checked(labels, truth, self.num_classes, self.ignore_index)
        # What is no class has an id of its own here: void, and everything outside the picture.
        labels = labels.to(torch.int32).masked_fill(void, self.num_classes)
        truth = truth.to(torch.int32).masked_fill(void, self.num_classes)
        label_rim = self._rim(labels) & ~void
        truth_rim = self._rim(truth) & ~void
        common = self._count(truth[truth_rim & label_rim & (truth == labels)])
        self.intersections += common
        self.unions += self._count(truth[truth_rim]) + self._count(labels[label_rim]) - common

    def _rim(self, ids: Tensor) -> Tensor:
        d = self.distance
        framed = torch.nn.functional.pad(ids, (d, d, d, d), value=self.num_classes)
        return (_window_max(framed, d) != -_window_max(-framed, d))[..., d:-d, d:-d]

    def _count(self, ids: Tensor) -> Tensor:
        return torch.bincount(ids, minlength=self.num_classes).cpu()

    @property
    def iou(self) -> list[float | None]:
        """Each class's Boundary IoU; None for a class absent from truth and prediction."""
        return _shares(self.intersections.tolist(), self.unions.tolist())

    @property
    def mean_iou(self) -> float | None:
        return _mean(self.iou)


def boundary_band(truth: Ids, width: int = 3, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """Where two classes meet: the pixels to score for accuracy at borders (the "trimap" measure).

    A valid pixel is in the band if a valid pixel of another class lies within `width` pixels of it, counted
    as a king moves on a chessboard. So the band is `width` pixels wide on each side of a border. Void makes
    no border; across void, two classes meet where it is narrower than `width`.

    Args:
        truth: (..., H, W) integers, true ids.
        width: at least 1.
        ignore_index: the true id of void pixels.

    Returns:
        (..., H, W) bool.

    Raises:
        InputError: truth has no height and width or is not of integers, or width is below 1.

    Source: Kohli, Ladický & Torr 2009, "Robust higher order potentials"; Krähenbühl & Koltun 2011, "Efficient
    inference in fully connected CRFs". Distance and void are as said here.

    >>> truth = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 255]])
    >>> band = boundary_band(truth, width=2)
    >>> band.int()
    tensor([[0, 0, 1, 1, 1, 1, 0, 0]], dtype=torch.int32)
    >>> confusion = Confusion(num_classes=2)
    >>> confusion.update(labels=torch.zeros_like(truth)[band], truth=truth[band])
    >>> confusion.pixel_accuracy
    0.5
    """
    if width < 1:
        raise InputError(f"boundary_band got width {width}; expected at least 1 pixel")
    _check_picture("boundary_band", truth)
    ids = _tensor(truth, ignore_index).to(torch.int32)
    void = ids == ignore_index
    none = torch.iinfo(torch.int32).min  # void must not be the extreme of a window
    highest = _window_max(ids.masked_fill(void, none), width)
    lowest = -_window_max((-ids).masked_fill(void, none), width)
    return (highest != lowest) & ~void


def stride_ceiling(truth: Ids, stride: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """The truth as a score grid of this stride can show it at best: shrunk, then enlarged in blocks.

    Scored against truth over a data set, it gives the ceiling that the FCN paper puts beside each stride
    (mean IU on PASCAL VOC: 86.1 % at 32, 92.8 % at 16, 96.4 % at 8). Each cell of stride × stride pixels
    takes the class of its valid pixel nearest to its centre; a cell that is all void stays void. Bilinear
    upsampling can pass the ceiling, because it draws borders inside a cell.

    Args:
        truth: (..., H, W) integers, true ids.
        stride: at least 1.
        ignore_index: the true id of void pixels.

    Returns:
        (..., H, W) ids in the dtype of truth (int64 where torch cannot compute in it), void only where it is.

    Raises:
        InputError: truth has no height and width or is not of integers, or stride is below 1.

    Source: Long, Shelhamer & Darrell 2015, appendix A, "Upper Bounds on IU".

    >>> stride_ceiling(torch.tensor([[0, 0, 0, 1, 2, 2]]), stride=3)
    tensor([[0, 0, 0, 2, 2, 2]])
    """
    if stride < 1:
        raise InputError(f"stride_ceiling got stride {stride}; expected at least 1")
    _check_picture("stride_ceiling", truth)
    ids = _tensor(truth, ignore_index)
    height, width = ids.shape[-2:]
    framed = torch.nn.functional.pad(ids, (0, -width % stride, 0, -height % stride), value=ignore_index)
    cells = framed.unflatten(-1, (-1, stride)).unflatten(-3, (-1, stride)).transpose(-3, -2).flatten(-2)
    position = 2 * torch.arange(stride, device=ids.device) - (stride - 1)
    distance = (position[:, None] ** 2 + position[None, :] ** 2).flatten()
    nearest = torch.where(cells == ignore_index, distance.max() + 1, distance).argmin(dim=-1, keepdim=True)
    coarse = cells.gather(-1, nearest).squeeze(-1)
    fine = coarse.repeat_interleave(stride, dim=-2).repeat_interleave(stride, dim=-1)
    return fine[..., :height, :width]


def _check_num_classes(what: str, num_classes: int) -> None:
    if num_classes < 1:
        raise InputError(f"{what} got num_classes {num_classes}; expected at least 1")


def _tensor(ids: Ids, *needed: int) -> Tensor:
    """The ids as a tensor that torch can compute with and whose dtype holds the `needed` ids as well."""
    if isinstance(ids, np.ndarray):
        # Arrays from a picture reader can be read-only or of foreign byte order; torch takes neither.
        ids = torch.from_numpy(np.array(ids, dtype=ids.dtype.newbyteorder("=")))
    if ids.is_floating_point() or ids.is_complex():
        raise InputError(f"got class ids of {ids.dtype}; expected integers: take argmax of scores first")
    if ids.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        return ids.long()
    # Torch compares modulo the dtype: an int8 of -1 would equal 255.
    limits = torch.iinfo(ids.dtype)
    return ids if limits.min <= min(needed) and max(needed) <= limits.max else ids.long()


def _check_picture(what: str, truth: Ids) -> None:
    if len(truth.shape) < 2:
        raise InputError(f"{what} got truth of shape {tuple(truth.shape)}; expected (..., H, W)")


def _checked(labels: Ids, truth: Ids, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """Labels and truth as tensors on one device, and which pixels are void; or an InputError."""
    if tuple(labels.shape) != tuple(truth.shape):
        raise InputError(
            f"got labels of shape {tuple(labels.shape)} and truth of shape {tuple(truth.shape)}; "
            "expected equal shapes"
        )
    truth = _tensor(truth, ignore_index, num_classes)
    labels = _tensor(labels, num_classes).to(truth.device)
    void = truth == ignore_index
    check = f", or {ignore_index} for void; check the masks with `fullconv data check`"
    for ids, what, remedy in ((truth, "truth", check), (labels, "the prediction", "")):
        outside = ((ids < 0) | (ids >= num_classes)) & ~void
        if outside.any():
            bad = ids[outside][0].item()
            raise InputError(f"{what} holds the id {bad}; expected class ids 0..{num_classes - 1}{remedy}")
    return labels, truth, void


def _window_max(ids: Tensor, radius: int) -> Tensor:
    """(..., H, W) the largest id in the square of 2 * radius + 1 pixels around each pixel.

    Shifted maxima rather than max pooling, which took fifteen times as long on a CPU.
    """
    for dim in (-1, -2):
        size = ids.shape[dim]
        largest = ids.clone()
        for shift in range(1, min(radius, size - 1) + 1):
            for to, source in ((0, shift), (shift, 0)):
                target = largest.narrow(dim, to, size - shift)
                torch.maximum(target, ids.narrow(dim, source, size - shift), out=target)
        ids = largest
    return ids


def _shares(parts: list[int], wholes: list[int]) -> list[float | None]:
    """Python integers, so that each quotient is correctly rounded; None where the whole is 0."""
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


def _mean(figures: list[float | None]) -> float | None:
    """The mean of the figures that exist; exactly rounded, hence independent of their order."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None
