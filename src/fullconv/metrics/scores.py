"""Everything that is measured of the label maps of a data set, in one pass."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from fullconv.labels import IGNORE_INDEX
from fullconv.metrics.borders import BoundaryF, BoundaryIou
from fullconv.metrics.calibration import CONFIDENCE_STEP, Calibration
from fullconv.metrics.ceiling import STRIDES, ceiling_of
from fullconv.metrics.confusion import Confusion
from fullconv.metrics.ids import Ids, check_picture, compared

BOUNDARY_DISTANCE = 3
"""Pixels: half a percent of the diagonal of a picture of 500 x 375."""


class Scores:
    """Confusion, boundary measures, stride ceilings and calibration of one task's label maps against their truth.

    A network with several heads has one of these for each.

    Args:
        num_classes: K, at least 1.
        stride: of the network, where it has one: its ceiling is counted beside those of `STRIDES`.
        boundary_distance: the `distance` of `BoundaryIou` and `BoundaryF`, in pixels.
        ignore_index: the true id of void pixels.

    Attributes:
        confusion: predictions against truth.
        boundary_iou: the rims of objects.
        boundary_f: the boundaries of objects.
        ceilings: per stride, coarsest first, what `stride_ceiling` of the truth scores against the truth.
        calibration: of the pixels whose confidence was given.

    Raises:
        InputError: num_classes or boundary_distance is below 1.

    >>> import torch
    >>> scores = Scores(num_classes=2, stride=8)
    >>> truth = torch.tensor([[0, 0, 0, 1, 1, 1]])
    >>> scores.update(truth, truth)
    >>> scores.confusion.mean_iou, scores.ceilings[8].mean_iou
    (1.0, 0.25)
    """

    def __init__(
        self,
        num_classes: int,
        stride: int | None = None,
        boundary_distance: int = BOUNDARY_DISTANCE,
        ignore_index: int = IGNORE_INDEX,
    ) -> None:
        self.num_classes = num_classes
        self.stride = stride
        self.ignore_index = ignore_index
        self.confusion = Confusion(num_classes, ignore_index)
        self.boundary_iou = BoundaryIou(num_classes, boundary_distance, ignore_index)
        self.boundary_f = BoundaryF(num_classes, boundary_distance, ignore_index)
        strides = {*STRIDES, stride} if stride is not None else {*STRIDES}
        self.ceilings = {s: Confusion(num_classes, ignore_index) for s in sorted(strides, reverse=True)}
        self.calibration = Calibration(ignore_index)

    def update(self, label_map: Ids, truth: Ids, confidence: np.ndarray | None = None) -> None:
        """Adds a picture or a batch of one size.

        Args:
            label_map: predicted ids, (..., H, W); 0..K-1 wherever truth is not void.
            truth: true ids, the same shape; 0..K-1 or void.
            confidence: of every `CONFIDENCE_STEP`-th row and column from the first on, (..., ceil(H / step), ceil(W / step))
                float in 0..1: the softmax score of the predicted class. Without it the calibration is not counted.

        Raises:
            InputError: the shapes differ or are no pictures, the ids are not integers, an id is no class, or a confidence is
                not in 0..1.
        """
        check_picture("Scores", truth)
        labels, marked = compared(label_map, truth, self.num_classes, self.ignore_index)
        if confidence is not None:
            every = (..., slice(None, None, CONFIDENCE_STEP), slice(None, None, CONFIDENCE_STEP))
            valid = marked[every] != self.num_classes
            self.calibration.count(labels[every], marked[every], valid, confidence)
        for measure in (self.confusion, self.boundary_iou, self.boundary_f):
            measure.count(labels, marked)
        for stride, confusion in self.ceilings.items():
            confusion.count(ceiling_of(marked, stride, ignore_index=self.num_classes), marked)

    @property
    def counts(self) -> list[Tensor]:
        """All that was counted, int64: sums over parts of a data set are the counts of the whole."""
        confusions = [self.confusion, *self.ceilings.values()]
        borders = [
            self.boundary_iou.intersections,
            self.boundary_iou.unions,
            self.boundary_f.pixels,
            self.boundary_f.near,
        ]
        return [*(confusion.matrix for confusion in confusions), *borders, self.calibration.counts]

    def summary(self, names: Sequence[str], num_images: int, split: str) -> dict[str, Any]:
        """All figures under the names that `fullconv evaluate --json` prints.

        Those of `Confusion.summary`, and: `boundary_iou` and `boundary_f`, means over the classes; the
        `boundary_distance` that they were taken with; `stride_ceiling`, the mean IU that each stride admits, by
        the stride as text; the network's own `stride`, None where it has none; and the `calibration`, see
        `Calibration.summary`.

        Raises:
            InputError: the number of names is not K.
        """
        figures = self.confusion.summary(names, num_images, split)
        tables = {key: figures.pop(key) for key in ("per_class", "confusion")}
        borders = {
            "boundary_iou": self.boundary_iou.mean_iou,
            "boundary_f": self.boundary_f.mean_f,
            "boundary_distance": self.boundary_f.distance,
            "stride_ceiling": {str(stride): each.mean_iou for stride, each in self.ceilings.items()},
            "stride": self.stride,
            "calibration": self.calibration.summary(),
        }
        return figures | borders | tables
