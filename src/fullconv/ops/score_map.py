"""The scores of a picture as the network gives them, coarse, and what they say about pixels, made on request."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from fullconv.ops.argmax import upsampled_labels
from fullconv.ops.bilinear import Placement, interpolation_matrix

STRIP = 1 << 22
"""Values of full-size scores that are made at a time: 16 MB."""

PIXEL = Placement(1.0, 0.0)


@dataclass(frozen=True)
class ScoreMap:
    """Coarse scores, and where they lie on the pixels of a picture or of a window of it.

    Attributes:
        scores: (K, h, w) float32, before the softmax.
        placement_hw: where the score cells lie on the pixels, for rows and columns.
        size_hw: the rows and columns of pixels that the map speaks of.
        first_hw: the first of them, on the grid that `placement_hw` means.
    """

    scores: Tensor
    placement_hw: tuple[Placement, Placement]
    size_hw: tuple[int, int]
    first_hw: tuple[int, int] = (0, 0)

    @classmethod
    def of_pixels(cls, logits: Tensor) -> "ScoreMap":
        """Full-size scores, (K, H, W) float32."""
        return cls(logits, (PIXEL, PIXEL), (logits.shape[1], logits.shape[2]))

    def split(self, sizes: Sequence[int]) -> "list[ScoreMap]":
        """A map per head, each with its number of classes."""
        return [replace(self, scores=part) for part in self.scores.split(list(sizes))]

    def cropped(self, top: int, left: int, size_hw: tuple[int, int]) -> "ScoreMap":
        """The same of a window of the pixels.

        >>> ScoreMap.of_pixels(torch.arange(12.0).view(1, 3, 4)).cropped(1, 2, (1, 2)).logits()
        tensor([[[6., 7.]]])
        """
        return replace(self, size_hw=size_hw, first_hw=(self.first_hw[0] + top, self.first_hw[1] + left))

    def thinned(self, step: int) -> "ScoreMap":
        """The same of every `step`-th row and column of the pixels, from the first on.

        >>> ScoreMap.of_pixels(torch.arange(12.0).view(1, 3, 4)).thinned(2).logits()
        tensor([[[ 0.,  2.],
                 [ 8., 10.]]])
        """
        if self.placement_hw == (PIXEL, PIXEL):
            return ScoreMap.of_pixels(self.logits()[:, ::step, ::step])
        rows, columns = (
            Placement(placement.factor / step, (placement.shift - first) / step)
            for placement, first in zip(self.placement_hw, self.first_hw, strict=True)
        )
        height, width = self.size_hw
        return ScoreMap(self.scores, (rows, columns), (-(-height // step), -(-width // step)))

    def labels(self) -> Tensor:
        """(H, W) class ids, uint8, or uint16 above 255 classes; of equal scores the lowest id."""
        return upsampled_labels(self.scores, self.placement_hw, self.size_hw, self.first_hw)

    def logits(self, top: int = 0, bottom: int | None = None) -> Tensor:
        """(K, H, W) full-size scores before the softmax; only rows `top` to `bottom` where these are given.

        >>> ScoreMap.of_pixels(torch.zeros(3, 8, 4)).logits(top=6).shape
        torch.Size([3, 2, 4])
        """
        bottom = self.size_hw[0] if bottom is None else bottom
        first, left = self.first_hw[0] + top, self.first_hw[1]
        if self.placement_hw == (PIXEL, PIXEL):
            return self.scores[:, first : first + bottom - top, left : left + self.size_hw[1]]
        rows, columns = (
            interpolation_matrix(size, num_scores, placement, first=start, like=self.scores)
            for size, num_scores, placement, start in (
                (bottom - top, self.scores.shape[1], self.placement_hw[0], first),
                (self.size_hw[1], self.scores.shape[2], self.placement_hw[1], left),
            )
        )
        # Only the few coarse rows that these pixels fall on are widened.
        used = rows.any(dim=0).nonzero()
        near = slice(int(used[0]), int(used[-1]) + 1)
        return rows[:, near] @ (self.scores[:, near] @ columns.T)

    def confidence(self) -> Tensor:
        """(H, W) float32 in 1/K..1: the softmax score of the predicted class."""
        return self.in_strips(lambda logits: 1 / (logits - logits.amax(0)).exp().sum(0))

    def entropy(self) -> Tensor:
        """(H, W) float32 in 0..1: 0 where one class has it all, 1 where all K classes are equally probable."""
        return self.in_strips(normalized_entropy)

    def in_strips(self, function: Callable[[Tensor], Tensor]) -> Tensor:
        """(K, rows, W) logits to (rows, W), for strips of rows, one after the other, so that memory stays small."""
        height, width = self.size_hw
        strip = max(1, STRIP // (len(self.scores) * width))
        tops = range(0, height, strip)
        return torch.cat([function(self.logits(top, min(top + strip, height))) for top in tops])


def normalized_entropy(logits: Tensor) -> Tensor:
    """(K, ...) logits to (...): the entropy of their softmax as a share of log K.

    >>> normalized_entropy(torch.tensor([[0.0, 1.0], [4.0, 1.0]]))
    tensor([0.1300, 1.0000])
    """
    log_scores = logits.log_softmax(dim=0)
    entropy = -(log_scores.exp() * log_scores).sum(dim=0)
    return (entropy / math.log(max(2, len(logits)))).clamp(0, 1)
