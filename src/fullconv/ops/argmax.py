"""The most probable class of every pixel, straight from coarse scores: the full-size scores are never made.

Bilinear interpolation is a convex combination of four corner scores. Where the four corners of a cell have the same best
class, that class is best at every pixel of the cell: the cell is filled. In the other cells a class can win somewhere only
if its highest corner reaches the lowest corner of every other class; mostly two to four can, and only they are interpolated.
The labels are those of interpolation followed by argmax. Of classes with equal scores the one with the lowest id wins; two
scores that differ by less than float32 rounding may count as equal.
"""

import math

import torch
from torch import Tensor

from fullconv.ops.bilinear import Placement, interpolation_matrix

NUM_CANDIDATES = 4
"""Cells in which more classes can win are interpolated in all classes."""

CHUNK = 1 << 18
"""Interpolated values that are held at a time: 1 MB, what a core's cache holds."""


def label_dtype(num_classes: int) -> torch.dtype:
    """uint8, or uint16 above 255 classes."""
    return torch.uint8 if num_classes <= 255 else torch.uint16


def argmax_of(scores: Tensor) -> Tensor:
    """(K, ...) float scores to (...) int32 ids of the highest; of equal scores the lowest id.

    On the CPU `argmax` over the first axis is slow; a maximum and a second one over marked ids are several times faster.

    >>> argmax_of(torch.tensor([[1.0, 3.0], [2.0, 3.0]]))
    tensor([1, 0], dtype=torch.int32)
    """
    if scores.device.type != "cpu":
        return scores.argmax(dim=0).int()
    num_classes, flat = len(scores), scores.reshape(len(scores), -1)
    if num_classes == 2:
        return (flat[1] > flat[0]).int().view(scores.shape[1:])
    marks = torch.arange(num_classes, 0, -1, dtype=scores.dtype)[
        :, None
    ]  # the lowest id has the highest mark
    labels = torch.empty(flat.shape[1], dtype=torch.int32)
    step = max(1, CHUNK // num_classes)
    for start in range(0, flat.shape[1], step):
        part = flat[:, start : start + step]
        marked = torch.eq(part, part.amax(dim=0), out=torch.empty_like(part)).mul_(marks)
        labels[start : start + step] = num_classes - marked.amax(dim=0)
    return labels.view(scores.shape[1:])


def upsampled_labels(
    scores: Tensor,
    placement_hw: tuple[Placement, Placement],
    size_hw: tuple[int, int],
    first_hw: tuple[int, int] = (0, 0),
) -> Tensor:
    """The ids of `upsample(scores, placement_hw, ...)[...].argmax(0)` for a window of pixels.

    Args:
        scores: (K, h, w) float.
        placement_hw: where the score cells lie on the pixels, for rows and columns.
        size_hw: rows and columns of pixels wanted.
        first_hw: the first pixel row and column wanted.

    Returns:
        (H, W) uint8, or uint16 above 255 classes, on the device of `scores`.

    >>> half = Placement.half_pixel(2)
    >>> upsampled_labels(torch.tensor([[[0.0, 1.0]], [[0.6, 0.0]]]), (half, half), (1, 4))
    tensor([[1, 1, 0, 0]], dtype=torch.uint8)
    """
    dtype = label_dtype(len(scores))
    if any(placement.factor != int(placement.factor) for placement in placement_hw):
        return upsampled_densely(scores, placement_hw, size_hw, first_hw).to(dtype)
    if all(placement == Placement(1.0, 0.0) for placement in placement_hw):
        rows, columns = (slice(a, a + n) for a, n in zip(first_hw, size_hw, strict=True))
        return argmax_of(scores[:, rows, columns]).to(dtype)
    axes = [Cells(*axis) for axis in zip(placement_hw, scores.shape[1:], size_hw, first_hw, strict=True)]
    best = argmax_of(scores)  # (h, w)
    corners = [best[y][:, x] for y in axes[0].corners(best) for x in axes[1].corners(best)]
    disputed = (corners[0] != corners[1]) | (corners[0] != corners[2]) | (corners[0] != corners[3])
    shape = (len(disputed), axes[0].factor, disputed.shape[1], axes[1].factor)
    # uint16 cannot be indexed everywhere; labels are put together as int32 where there are so many classes.
    canvas = corners[0].to(dtype if dtype == torch.uint8 else torch.int32)[:, None, :, None].expand(shape)
    canvas = canvas.contiguous()
    by_cell = canvas.permute(0, 2, 1, 3)  # a view: (rows of cells, cells in a row, fy, fx)
    for cells in disputed.nonzero().split(max(1, 16 * CHUNK // len(scores))):
        rows, columns = cells.unbind(1)
        by_cell[rows, columns] = labels_in_cells(scores, axes, rows, columns).to(canvas.dtype)
    top, left = axes[0].cut, axes[1].cut
    pixels = canvas.view(shape[0] * shape[1], shape[2] * shape[3])
    return pixels[top : top + size_hw[0], left : left + size_hw[1]].to(dtype)


class Cells:
    """The cells between neighbouring scores along one axis, and the pixels in each; outermost scores go on beyond the border.

    Cell q lies between scores q and q + 1 and holds `factor` pixels, the first at factor * q + ceil(shift).

    Args:
        placement: where the scores lie on the pixels; a whole factor.
        num_scores: along this axis.
        size, first: the pixels wanted.

    Attributes:
        cut: the pixels of the first cell that lie before the first one wanted.
    """

    def __init__(self, placement: Placement, num_scores: int, size: int, first: int) -> None:
        self.factor, offset = int(placement.factor), math.ceil(placement.shift)
        start, stop = ((pixel - offset) // self.factor for pixel in (first, first + size - 1))
        self.cells = torch.arange(start, stop + 1)
        self.num_scores = num_scores
        self.cut = first - (self.factor * start + offset)
        pixels = torch.arange(self.factor, dtype=torch.float64)
        self.fractions = (pixels + offset - placement.shift) / self.factor

    def corners(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """(num_cells,) int64 each: the scores before and behind each cell."""
        cells = self.cells.to(like.device)
        return cells.clamp(0, self.num_scores - 1), (cells + 1).clamp(0, self.num_scores - 1)

    def weights(self, like: Tensor) -> Tensor:
        """(factor, 2): of the two scores, at each pixel of a cell."""
        return torch.stack([1 - self.fractions, self.fractions], dim=1).to(like)


def labels_in_cells(scores: Tensor, axes: list[Cells], rows: Tensor, columns: Tensor) -> Tensor:
    """The ids at every pixel of N cells, by interpolation.

    Args:
        scores: (K, h, w).
        axes: rows and columns.
        rows, columns: where the cells are among those of `axes`, (N,) int64 each.

    Returns:
        (N, fy, fx) int32.
    """
    flat, width = scores.reshape(len(scores), -1), scores.shape[2]
    corners = torch.stack(
        [
            flat.index_select(1, y[rows] * width + x[columns])
            for y in axes[0].corners(scores)
            for x in axes[1].corners(scores)
        ],
        dim=1,
    )  # (K, 4, N)
    weights = torch.kron(axes[0].weights(scores), axes[1].weights(scores))  # (fy * fx, 4)
    if len(scores) <= 2 * NUM_CANDIDATES:
        labels = interpolated_argmax(corners, weights)
    else:
        labels = argmax_among_candidates(corners, weights)
    return labels.T.reshape(-1, axes[0].factor, axes[1].factor)


def argmax_among_candidates(corners: Tensor, weights: Tensor) -> Tensor:
    """`interpolated_argmax`, where possible over the few classes that can win in a cell."""
    highest, reached = corners.amax(1), corners.amin(1).amax(0)  # (K, N), (N,)
    few = (highest >= reached).sum(0) <= NUM_CANDIDATES
    labels = torch.empty(len(weights), corners.shape[2], dtype=torch.int32, device=corners.device)
    easy, hard = few.nonzero()[:, 0], (~few).nonzero()[:, 0]
    candidates = (
        highest[:, easy].topk(NUM_CANDIDATES, dim=0).indices.sort(dim=0).values
    )  # (C, N), ids ascending
    chosen = corners[:, :, easy].gather(0, candidates[:, None].expand(-1, 4, -1))
    winners = interpolated_argmax(chosen, weights)
    labels[:, easy] = candidates.int().gather(0, winners.long())
    labels[:, hard] = interpolated_argmax(corners[:, :, hard], weights)
    return labels


def interpolated_argmax(corners: Tensor, weights: Tensor) -> Tensor:
    """(K, 4, N) corner scores and (P, 4) weights to (P, N) int32 ids, in pieces that fit the cache."""
    num_classes, _, num_cells = corners.shape
    labels = torch.empty(len(weights), num_cells, dtype=torch.int32, device=corners.device)
    step = max(1, CHUNK // (len(weights) * num_classes))
    for start in range(0, num_cells, step):
        here = slice(start, start + step)
        labels[:, here] = argmax_of(weights @ corners[:, :, here])  # (K, P, n)
    return labels


def upsampled_densely(
    scores: Tensor,
    placement_hw: tuple[Placement, Placement],
    size_hw: tuple[int, int],
    first_hw: tuple[int, int],
) -> Tensor:
    """Interpolation followed by argmax, in strips of rows; (H, W) int32."""
    columns = interpolation_matrix(
        size_hw[1], scores.shape[2], placement_hw[1], first=first_hw[1], like=scores
    )
    wide = scores @ columns.T  # (K, h, W)
    strip = max(1, CHUNK // (len(scores) * size_hw[1]))
    labels = []
    for top in range(0, size_hw[0], strip):
        rows = interpolation_matrix(
            min(strip, size_hw[0] - top),
            scores.shape[1],
            placement_hw[0],
            first=first_hw[0] + top,
            like=scores,
        )
        labels.append(argmax_of(rows @ wide))
    return torch.cat(labels)
