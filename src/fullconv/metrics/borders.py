"""How well outlines are drawn: Boundary IoU, the boundary F measure, and the band where classes meet."""

from math import isqrt

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.metrics.ids import (
    Ids,
    as_tensor,
    check_num_classes,
    check_picture,
    compared,
    count_pairs,
    framed,
    mean_of_known,
    replaced,
    shares,
)


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
        check_num_classes("BoundaryIou", num_classes)
        _check_distance("BoundaryIou", distance)
        self.num_classes = num_classes
        self.distance = distance
        self.ignore_index = ignore_index
        self.intersections = torch.zeros(num_classes, dtype=torch.int64)
        self.unions = torch.zeros(num_classes, dtype=torch.int64)

    def update(self, labels: Ids, truth: Ids) -> None:
        """Adds the rims of a picture or batch: labels and truth (..., H, W), else as `Confusion.update`."""
        check_picture("BoundaryIou", truth)
        self.count(*compared(labels, truth, self.num_classes, self.ignore_index))

    def count(self, labels: np.ndarray, truth: np.ndarray) -> None:
        """Adds pictures that `compared` has checked."""
        if not truth.size:
            return
        pairs = count_pairs(self._rims(truth), self._rims(labels), self.num_classes)
        common = pairs.diagonal()[:-1]
        self.intersections += common
        self.unions += pairs.sum(dim=1)[:-1] + pairs.sum(dim=0)[:-1] - common

    def _rims(self, ids: np.ndarray) -> np.ndarray:
        """Flat: the ids on rims, and K off them."""
        # Everything outside the picture has void's id.
        flat, row = flattened(framed(ids, self.distance, self.num_classes))
        border = self.distance * (row + 1)
        return replaced(flat[border:-border], ~mixed_squares(flat, row, self.distance), self.num_classes)

    @property
    def iou(self) -> list[float | None]:
        """Each class's Boundary IoU; None for a class absent from truth and prediction."""
        return shares(self.intersections.tolist(), self.unions.tolist())

    @property
    def mean_iou(self) -> float | None:
        return mean_of_known(self.iou)


class BoundaryF:
    """The boundary F measure: how much of each class's outline is drawn, within a tolerance, where it belongs.

    A class's boundary is its pixels that touch, on one of eight sides, a pixel in the picture that is not of the
    class: of another class, or void. With two boundaries of a class, one in truth and one in prediction,

        precision   the share of the predicted boundary within `distance` pixels (Euclidean) of the true one
        recall      the share of the true boundary within `distance` pixels of the predicted one
        F           2 * precision * recall / (precision + recall)

    The pixels are counted over the whole data set and divided once, like all figures here. The paper takes F of
    each picture and then the mean; there, the dozen boundary pixels of a far car weigh as much as the outline of
    a near one, and the mean needs a rule for pictures without the class. As in `BoundaryIou`, void pixels are cut
    out of the prediction first, so that a perfect one scores 1, and a border that truth hides under void (as PASCAL
    VOC does) may be drawn anywhere in it. Unlike there, the picture's edge is no boundary: it is never missed.

    Args:
        num_classes: K, at least 1.
        distance: the tolerance in pixels, at least 1; the paper takes 0.75 % of the picture's diagonal.
        ignore_index: the true id of void pixels.

    Raises:
        InputError: num_classes or distance is below 1.

    Source: Csurka, Larlus & Perronnin 2013, "What is a good evaluation measure for semantic segmentation?".

    >>> score = BoundaryF(num_classes=2, distance=1)
    >>> truth = torch.zeros(8, 9, dtype=torch.uint8)
    >>> truth[2:6, 2:6] = 1
    >>> score.update(labels=truth.roll(2, dims=1), truth=truth)  # all two pixels too far to the right
    >>> score.f[1]  # of 12 boundary pixels in each, 8 are within one pixel of the other's
    0.6666666666666666
    """

    def __init__(self, num_classes: int, distance: int, ignore_index: int = IGNORE_INDEX) -> None:
        check_num_classes("BoundaryF", num_classes)
        _check_distance("BoundaryF", distance)
        self.num_classes = num_classes
        self.distance = distance
        self.ignore_index = ignore_index
        # (2, K): pixels of the predicted boundaries, and of the true ones; and those that are near the other's.
        self.pixels = torch.zeros(2, num_classes, dtype=torch.int64)
        self.near = torch.zeros(2, num_classes, dtype=torch.int64)

    def update(self, labels: Ids, truth: Ids) -> None:
        """Adds the boundaries of a picture or batch: labels and truth (..., H, W), else as `Confusion.update`."""
        check_picture("BoundaryF", truth)
        self.count(*compared(labels, truth, self.num_classes, self.ignore_index))

    def count(self, labels: np.ndarray, truth: np.ndarray) -> None:
        """Adds pictures that `compared` has checked."""
        if not truth.size:
            return
        # A pixel is on the boundary of one class at most, so one map holds the boundaries of all; K: of none.
        predicted, true = (
            framed(self._boundary(ids), self.distance, self.num_classes) for ids in (labels, truth)
        )
        near_true, near_predicted = _near_equals(predicted, true, self.distance)
        for row, (ids, near) in enumerate(((predicted, near_true), (true, near_predicted))):
            pairs = count_pairs(ids, near.view(np.uint8), self.num_classes)  # column 1: near
            self.pixels[row] += pairs.sum(dim=1)[:-1]
            self.near[row] += pairs[:-1, 1]

    def _boundary(self, ids: np.ndarray) -> np.ndarray:
        """(..., H, W): the ids on boundaries, and K off them."""
        extended = framed(ids, 1, self.num_classes)
        # The picture's edge is no boundary: beyond it, its pixels go on.
        extended[..., 0, :], extended[..., -1, :] = extended[..., 1, :], extended[..., -2, :]
        extended[..., 0], extended[..., -1] = extended[..., 1], extended[..., -2]
        flat, row = flattened(extended)
        middle = flat[row + 1 : -row - 1]
        middle[:] = replaced(middle, ~mixed_squares(flat, row, 1), self.num_classes)
        return extended[..., 1:-1, 1:-1]

    @property
    def precision(self) -> list[float | None]:
        """Of each class's predicted boundary, the share near the true one; None where nothing is predicted."""
        return shares(self.near[0].tolist(), self.pixels[0].tolist())

    @property
    def recall(self) -> list[float | None]:
        """Of each class's true boundary, the share near the predicted one; None for a class without one."""
        return shares(self.near[1].tolist(), self.pixels[1].tolist())

    @property
    def f(self) -> list[float | None]:
        """Each class's F; 0 if only truth or only the prediction has a boundary of it, None if neither has."""
        return [
            None if p is None and r is None else 2 * p * r / (p + r) if p and r else 0.0
            for p, r in zip(self.precision, self.recall, strict=True)
        ]

    @property
    def mean_f(self) -> float | None:
        return mean_of_known(self.f)


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
    >>> from fullconv.metrics import Confusion
    >>> confusion = Confusion(num_classes=2)
    >>> confusion.update(labels=torch.zeros_like(truth)[band], truth=truth[band])
    >>> confusion.pixel_accuracy
    0.5
    """
    if width < 1:
        raise InputError(f"boundary_band got width {width}; expected at least 1 pixel")
    check_picture("boundary_band", truth)
    ids = as_tensor(truth, ignore_index).to(torch.int32)
    void = ids == ignore_index
    none = torch.iinfo(torch.int32).min  # void must not be the extreme of a window
    highest = window_max(ids.masked_fill(void, none), width)
    lowest = -window_max((-ids).masked_fill(void, none), width)
    return (highest != lowest) & ~void


def flattened(maps: np.ndarray) -> tuple[np.ndarray, int]:
    """Contiguous maps as one row of pixels, in which numpy is several times faster, and the step to the pixel below."""
    return maps.reshape(-1), maps.shape[-1]


def mixed_squares(flat: np.ndarray, row: int, radius: int) -> np.ndarray:
    """Which squares of 2 * radius + 1 pixels hold more than one id.

    Args:
        flat: (n,) maps of `row` pixels a row, framed so widely that no square in question leaves its map.

    Returns:
        (n - 2 * radius * (row + 1),) bool, of squares by their upper left pixel: entry 0 is the square around the
        pixel at radius * (row + 1).
    """
    # A square is mixed exactly if one of 2 x 2 pixels in it is.
    across = flat[1:] != flat[:-1]
    mixed = flat[row:-1] != flat[: -row - 1]
    mixed |= across[:-row]
    mixed |= across[row:]
    for step in (row, 1):
        length = 1
        while length < 2 * radius:
            longer = min(length, 2 * radius - length)
            mixed = mixed[: -longer * step] | mixed[longer * step :]
            length += longer
    return mixed


def window_max(ids: Tensor, radius: int) -> Tensor:
    """(..., H, W) the largest id in the square of 2 * radius + 1 pixels around each pixel, within the picture.

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


def _near_equals(first: np.ndarray, second: np.ndarray, distance: int) -> tuple[np.ndarray, np.ndarray]:
    """Which pixels of each map have a pixel of the same id in the other, at most `distance` away; framed so widely."""
    (flat, row), other = flattened(first), second.reshape(-1)
    near_first, near_second = np.zeros(flat.size, bool), np.zeros(flat.size, bool)
    border = distance * (row + 1)
    here = slice(border, flat.size - border)
    equal = np.empty(flat.size - 2 * border, bool)
    for down in range(-distance, distance + 1):
        reach = isqrt(distance**2 - down**2)
        for shift in range(down * row - reach, down * row + reach + 1):
            there = slice(here.start + shift, here.stop + shift)
            np.equal(flat[here], other[there], out=equal)
            near_first[here] |= equal
            near_second[there] |= equal
    return near_first, near_second


def _check_distance(what: str, distance: int) -> None:
    if distance < 1:
        raise InputError(f"{what} got distance {distance}; expected at least 1 pixel")
