"""Gaussian filtering of values that lie scattered in a space of a few dimensions, such as position and colour.

Space is cut into the simplices of the permutohedral lattice. Each value is spread onto the d + 1 corners of the simplex
around its point, the corners are blurred along the d + 1 directions of the lattice, and each point reads the result from
the corners of its simplex. All of it is linear and fixed by the points alone: the filter is the product of sparse
matrices, made once, S B_d ... B_0 S^T.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fullconv.errors import InputError

# The lattice's kernel is flatter on top than a Gaussian of equal variance. Made narrower by this factor it comes nearest,
# in five dimensions: the errors that the dense CRF shows against all pairs are about halved.
NARROWING = 1.06


@dataclass(frozen=True)
class SparseRows:
    """A sparse matrix by rows. `embedding_bag` multiplies it as fast as torch's CSR does, on every device."""

    columns: Tensor
    """(entries,) int32"""
    weights: Tensor
    """(entries,) float32"""
    starts: Tensor
    """(rows,) int32, where each row's entries begin"""

    def __matmul__(self, values: Tensor) -> Tensor:
        return F.embedding_bag(self.columns, values, self.starts, mode="sum", per_sample_weights=self.weights)


class PermutohedralLattice:
    """A filter whose weight between two points is nearly exp(-distance² / 2), up to a factor common to all.

    Corners that no point touches are kept where they are next to one that is touched: without them little heat passes
    between the thin sheets that the colours of a picture form, and a few pixels get very wrong results.

    Args:
        points: (N, d) float32, N at least 1; coordinates in standard deviations of the Gaussian.

    Raises:
        InputError: the points lie too far apart for the lattice to be numbered with 63 bits.

    Source: Adams, Baek & Davis 2010, "Fast High-Dimensional Filtering Using the Permutohedral Lattice"; the kept
    neighbours are this module's.

    >>> lattice = PermutohedralLattice(torch.tensor([[0.0], [0.5], [9.0]]))
    >>> near, mid, far = lattice.filter(torch.tensor([[1.0], [0.0], [0.0]]))[:, 0].tolist()
    >>> near > mid > far == 0
    True
    """

    num_corners: int
    """How many corners the lattice has; its memory beyond the points'."""

    def __init__(self, points: Tensor) -> None:
        num_points, d = points.shape
        origins, order, weights = _simplices(_elevated(points))
        low, high = origins.amin(1)[:d], origins.amax(1)[:d]
        # Two steps of room on each side: for the neighbours, and for the search of theirs.
        sizes = ((high - low + 5) * (d + 1)).tolist()
        if math.prod(sizes) >= 2**63:
            raise InputError(
                f"the points span about {max(sizes) / (d + 1):.0f} cells of the lattice in {d} dimensions, more than can "
                "be numbered; use larger standard deviations"
            )
        # The number of a corner: its first d coordinates as the digits of one number; the last follows from them.
        place = torch.tensor(
            [math.prod(sizes[:axis]) for axis in range(d)] + [0], device=points.device, dtype=torch.int64
        )
        steps = place.sum() - (d + 1) * place
        number = ((origins[:d] - low[:, None] + 2) * (d + 1) * place[:d, None]).sum(0)
        numbers = [number]
        for rank in range(d, 0, -1):
            number = number + steps[order[rank]]
            numbers.append(number)
        self._build(torch.stack(numbers, dim=1).flatten(), weights.T.flatten(), steps)
        assert len(self.read.starts) == num_points

    def _build(self, numbers: Tensor, weights: Tensor, steps: Tensor) -> None:
        """From the corner number and the weight of each entry of S, row by row."""
        num_axes, device = len(steps), numbers.device
        in_order, entries = numbers.sort(stable=True)
        touched, counts = in_order.unique_consecutive(return_counts=True)
        neighbours = (touched + torch.stack([steps, -steps])[:, :, None]).flatten()
        corners = torch.cat([touched, neighbours]).unique()
        self.num_corners = len(corners)
        corner_of_touched = torch.searchsorted(corners, touched)
        columns = torch.empty_like(entries, dtype=torch.int32)
        columns[entries] = corner_of_touched.int().repeat_interleave(counts)
        self.read = SparseRows(
            columns, weights, torch.arange(0, len(columns), num_axes, dtype=torch.int32, device=device)
        )
        # One row more than corners, always zero, stands for all corners that are not there.
        filled = torch.zeros(self.num_corners + 1, dtype=torch.int64, device=device)
        filled[corner_of_touched] = counts
        self.spread = SparseRows(
            (entries // num_axes).int(), weights[entries], (filled.cumsum(0) - filled).int()
        )
        self.blurs = [_blur(corners, step) for step in steps]

    def filter(self, values: Tensor) -> Tensor:
        """(N, K) float32 to (N, K): for each point the weighted sum of the values of all points."""
        on_corners = self.spread @ values.contiguous()  # (corners + 1, K)
        for blur in self.blurs:
            on_corners = blur @ on_corners
        return self.read @ on_corners


def _elevated(points: Tensor) -> Tensor:
    """(N, d) points, as points of the plane sum = 0 in d + 1 dimensions, (d + 1, N).

    In that plane the corners have integer coordinates that are equal modulo d + 1. At the scale sqrt(2/3) (d + 1) the
    variances of spreading, blurring and reading add up to 1.
    """
    d = points.shape[1]
    axis = torch.arange(d, device=points.device)
    basis = torch.ones(d + 1, d, device=points.device).triu()
    basis[axis + 1, axis] = -(axis + 1.0)
    basis *= NARROWING * math.sqrt(2 / 3) * (d + 1) / ((axis + 1.0) * (axis + 2.0)).sqrt()
    return basis @ (points - points.amin(0)).T


def _simplices(elevated: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The simplex around each point.

    Its corner 0 has the coordinates (d + 1) * origin. From corner q - 1 to corner q, 1 is added to each coordinate and
    d + 1 taken from coordinate order[d + 1 - q].

    Returns:
        origins: (d + 1, N) int64.
        order: (d + 1, N) int64, the coordinates, by how far the point is beyond corner 0, farthest first.
        weights: (d + 1, N) of the corners 0..d; a point's sum to 1.
    """
    num_axes = len(elevated)
    d = num_axes - 1
    scaled = elevated / num_axes
    origins = scaled.round()
    beyond = scaled - origins
    rank = torch.zeros_like(beyond, dtype=torch.int8)
    for first in range(d):
        for second in range(first + 1, num_axes):
            behind = beyond[first] < beyond[second]
            rank[first] += behind
            rank[second] += ~behind
    # Rounding may have left the plane; the coordinates that were rounded farthest are moved by one to come back.
    rank += origins.sum(0).to(torch.int8)
    back = (rank < 0).to(torch.int8) - (rank > d).to(torch.int8)
    rank += num_axes * back
    origins += back
    coordinates = torch.arange(num_axes, device=elevated.device)[:, None].expand_as(rank)
    order = torch.empty_like(coordinates, memory_format=torch.contiguous_format)
    order = order.scatter_(0, rank.long(), coordinates)
    beyond = (scaled - origins).gather(0, order)
    weights = torch.cat([1 + beyond[d:] - beyond[:1], (beyond[:d] - beyond[1:]).flip(0)])
    return origins.long(), order, weights


def _blur(corners: Tensor, step: Tensor) -> SparseRows:
    """Weights 1/2, 1, 1/2 over each corner and its two neighbours along one direction of the lattice."""
    missing = len(corners)
    number = torch.arange(missing + 1, device=corners.device)
    found = torch.searchsorted(corners, corners + step).clamp_(max=missing - 1)
    there = corners[found] == corners + step
    after, before = torch.full_like(number, missing), torch.full_like(number, missing)
    after[:-1][there] = found[there]
    before[found[there]] = number[:-1][there]
    columns = torch.stack([before, number, after], dim=1).int().flatten()
    weights = torch.tensor([0.5, 1.0, 0.5], device=corners.device).repeat(missing + 1)
    return SparseRows(columns, weights, (3 * number).int())
