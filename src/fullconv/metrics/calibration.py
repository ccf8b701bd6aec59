"""Whether a network is right as often as it is sure: confidence against accuracy, in bins."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.metrics.ids import Ids, as_array, shares

NUM_BINS = 15

CONFIDENCE_STEP = 5
"""Every fifth row and every fifth column of pixels is looked at: 1 pixel in 25.

Five has no factor in common with the strides of networks, so every place within a score cell is met equally often.
"""

ONE = 1 << 24
"""A confidence of 1 as it is counted: sums of whole numbers do not depend on the order, and a float32 has no more digits."""


class Calibration:
    """Confidence, the softmax score of the predicted class, against accuracy, in 15 bins of equal width.

    Bin m of M holds the pixels whose confidence lies in ((m - 1) / M, m / M]. With |B| the pixels of a bin, acc(B) the share
    of them that is right, conf(B) the mean of their confidence, and n all pixels:

        expected calibration error (ECE)    sum_B |B| / n |acc(B) - conf(B)|

    It is 0 for a network that is right in 7 of 10 pixels of which it is 70 % sure, and so on.

    Attributes:
        counts: (3, 15) int64 on the CPU: per bin the pixels, the pixels that are right, and the sum of the confidences in units
            of 2**-24. Sums over parts of a data set are the counts of the whole.

    Source: Guo, Pleiss, Sun & Weinberger 2017, "On Calibration of Modern Neural Networks", sections 2 and 3; 15 bins as there.

    >>> calibration = Calibration()
    >>> calibration.update(np.array([[1, 1, 1, 0]]), np.array([[1, 1, 0, 255]]), np.array([[0.75, 0.75, 0.75, 0.5]]))
    >>> round(calibration.ece, 6), calibration.confidence, round(calibration.accuracy, 6)
    (0.083333, 0.75, 0.666667)
    """

    def __init__(self, ignore_index: int = IGNORE_INDEX) -> None:
        self.ignore_index = ignore_index
        self.counts = torch.zeros(3, NUM_BINS, dtype=torch.int64)

    def update(self, labels: Ids, truth: Ids, confidence: Tensor | np.ndarray) -> None:
        """Adds pixels.

        Args:
            labels: predicted ids, any shape.
            truth: true ids, the same shape.
            confidence: float in 0..1, the same shape: the softmax score of the predicted class. Where it is nan, as from a
                network that has diverged, the pixel is left out.

        Raises:
            InputError: the shapes differ, the ids are not integers, or a confidence is not in 0..1.
        """
        true = as_array(truth, self.ignore_index)
        scores = confidence.cpu().numpy() if isinstance(confidence, Tensor) else confidence
        self.count(as_array(labels, 0), true, true != self.ignore_index, scores)

    def count(self, labels: np.ndarray, truth: np.ndarray, valid: np.ndarray, confidence: np.ndarray) -> None:
        """`update` of the pixels that are `valid`, whatever else may be void in truth."""
        if not labels.shape == truth.shape == confidence.shape:
            raise InputError(
                f"Calibration got labels of shape {labels.shape}, truth of shape {truth.shape} and confidence of shape "
                f"{confidence.shape}; expected equal shapes"
            )
        known = valid & ~np.isnan(confidence)
        sure, right = confidence[known], (labels == truth)[known]
        # Scores that softmax has rounded may pass 1 by a digit.
        if ((sure < 0) | (sure > 1 + 1e-5)).any():
            raise InputError(
                f"Calibration got confidences from {sure.min():.3g} to {sure.max():.3g}; expected softmax scores, 0..1"
            )
        units = np.minimum(np.rint(sure * np.float64(ONE)), ONE).astype(np.int64)
        bins = np.maximum(units * NUM_BINS - 1, 0) // ONE  # the upper end of a bin belongs to it
        # Sums of whole numbers below 2**53 are exact in float64: those of half a thousand million pixels at a time.
        rows = [np.bincount(bins, weights, NUM_BINS) for weights in (None, right, units)]
        self.counts += torch.from_numpy(np.stack(rows).astype(np.int64))

    @property
    def num_pixels(self) -> int:
        return int(self.counts[0].sum())

    @property
    def ece(self) -> float | None:
        """The expected calibration error, 0..1; None without pixels."""
        _, right, sums = self.counts.tolist()
        gaps = [abs(hits * ONE - total) for hits, total in zip(right, sums, strict=True)]
        return shares([sum(gaps)], [self.num_pixels * ONE])[0]

    @property
    def confidence(self) -> float | None:
        """The mean over all pixels, 0..1; None without pixels."""
        return shares([int(self.counts[2].sum())], [self.num_pixels * ONE])[0]

    @property
    def accuracy(self) -> float | None:
        """The share of the same pixels that is right; None without pixels."""
        return shares([int(self.counts[1].sum())], [self.num_pixels])[0]

    def summary(self) -> dict[str, Any]:
        """`ece`, `confidence`, `accuracy`, and the same two with `pixels` for each of the `bins`, least sure first."""
        pixels, right, sums = self.counts.tolist()
        means = shares(sums, [number * ONE for number in pixels])
        bins = zip(pixels, means, shares(right, pixels), strict=True)
        return {
            "ece": self.ece,
            "confidence": self.confidence,
            "accuracy": self.accuracy,
            "bins": [
                {"pixels": number, "confidence": mean, "accuracy": share} for number, mean, share in bins
            ],
        }
