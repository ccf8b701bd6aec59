"""Outlines of label maps: rings along the edges of pixels, which give the same pixels when they are filled.

A ring runs from corner to corner; vertices are whole numbers, (0, 0) the picture's top left corner. Pixels that touch at a
corner alone belong to two outlines. Outer rings turn clockwise on the screen, holes the other way.
"""

import numpy as np

Ring = np.ndarray
"""(n, 2) vertices (x, y) in pixels, the last joined to the first."""


def trace(mask: np.ndarray) -> list[list[Ring]]:
    """The outlines of the connected parts of a mask, in the order of their topmost rows.

    Args:
        mask: (H, W) bool.

    Returns:
        For each part its rings, (n, 2) int64: the outer one first, then its holes.

    >>> [ring.tolist() for ring in trace(np.array([[True, True], [False, False]]))[0]]
    [[[0, 0], [2, 0], [2, 1], [0, 1]]]
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    if not rows.size:
        return []
    top, left = rows[0], columns[0]
    inside = mask[top : rows[-1] + 1, left : columns[-1] + 1]
    points, rings = _rings(inside)
    ring_of = np.empty(len(points), np.int64)
    for index, ring in enumerate(rings):
        ring_of[ring] = index
    starts = points[[ring[0] for ring in rings]]  # each ring's topmost, then leftmost corner
    padded = np.pad(inside, (0, 1))
    outer = padded[starts[:, 1], starts[:, 0]]
    around = _rings_around(inside, points, ring_of, starts)
    outlines: dict[int, list[Ring]] = {}
    parents: list[int] = []
    for index, ring in enumerate(rings):
        # a hole begins below the ring that bounds the same part, which therefore came before
        parents.append(index if outer[index] else parents[around[index]])
        turned = ring if outer[index] else ring[::-1]
        outlines.setdefault(parents[index], []).append(points[turned] + (left, top))
    return list(outlines.values())


def _rings(inside: np.ndarray) -> tuple[np.ndarray, list[list[int]]]:
    """The corners of all edges, and the rings that they form.

    Between two corners runs an edge: along a row of corners the first and the second are joined, the third and the
    fourth, and so on; along a column likewise. A ring takes both in turns.

    Args:
        inside: (h, w) bool.

    Returns:
        points: (n, 2) corners (x, y), row by row; where two rings touch, a corner is there twice.
        rings: indices of corners; each begins with its topmost, then leftmost corner and goes right.
    """
    padded = np.pad(inside, 1)
    above_left, above, left, own = padded[:-1, :-1], padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    crossing = (above_left == own) & (above == left) & (own != above)  # two pixels that touch at this corner
    corner = (above_left ^ above ^ left ^ own) | crossing
    flat = np.flatnonzero(corner)
    twice = crossing.ravel()[flat]
    flat, second = np.repeat(flat, 1 + twice), np.zeros(len(flat) + int(twice.sum()), bool)
    second[1:] = flat[1:] == flat[:-1]
    y, x = np.divmod(flat, padded.shape[1] - 1)
    # of a corner that is there twice, the first has the edge to the left, the second the one to the right; the edges up and
    # down go to them so that each ring stays with its own pixel
    goes_down = second ^ (crossing & above).ravel()[flat]
    columns = np.lexsort((goes_down, y, x))
    across, along = np.arange(len(flat)) ^ 1, np.empty(len(flat), np.int64)
    along[columns[::2]], along[columns[1::2]] = columns[1::2], columns[::2]
    return np.stack([x, y], axis=1), _cycles(across.tolist(), along.tolist())


def _cycles(across: list[int], along: list[int]) -> list[list[int]]:
    """Goes from each corner across and along in turns, until it is back."""
    seen, rings = [False] * len(across), []
    for start in range(len(across)):
        if seen[start]:
            continue
        ring, at = [], start
        while not seen[at]:
            other = across[at]
            ring += (at, other)
            seen[at] = seen[other] = True
            at = along[other]
        rings.append(ring)
    return rings


def _rings_around(
    inside: np.ndarray, points: np.ndarray, ring_of: np.ndarray, starts: np.ndarray
) -> np.ndarray:
    """For each ring, the one whose edge is the nearest to the left of the pixel above its first corner.

    Args:
        inside: (h, w) bool.
        points: (n, 2) corners.
        ring_of: (n,) the ring of each corner.
        starts: (m, 2) each ring's first corner.
    """
    columns = np.lexsort((points[:, 1], points[:, 0], ring_of))
    x, y, ring = points[columns, 0], points[columns, 1], ring_of[columns]
    heights = y[1::2] - y[::2]
    rows = np.arange(heights.sum()) + np.repeat(y[::2] - np.cumsum(heights) + heights, heights)
    edge_x, edge_ring = np.repeat(x[::2], heights), np.repeat(ring[::2], heights)
    owner = np.full((inside.shape[0], inside.shape[1] + 1), -1, np.int64)
    owner[rows, edge_x] = edge_ring
    nearest = np.where(owner >= 0, np.arange(owner.shape[1]), 0)
    np.maximum.accumulate(nearest, axis=1, out=nearest)
    above = np.maximum(starts[:, 1] - 1, 0)
    return owner[above, nearest[above, starts[:, 0]]]


def bridged(rings: list[Ring]) -> Ring:
    """One ring for an outer ring and its holes: a cut without width leads to each hole and back.

    Filled by the rule of odd numbers it covers the same pixels, as every cut is passed twice.

    >>> bridged([np.array([[0, 0], [3, 0], [3, 3], [0, 3]]), np.array([[1, 1], [1, 2], [2, 2], [2, 1]])]).tolist()
    [[0, 0], [1, 1], [1, 2], [2, 2], [2, 1], [1, 1], [0, 0], [3, 0], [3, 3], [0, 3]]
    """
    joined = rings[0]
    for hole in rings[1:]:
        nearest = int(np.abs(joined - hole[0]).sum(axis=1).argmin())
        joined = np.concatenate([joined[: nearest + 1], hole, hole[:1], joined[nearest:]])
    return joined


def simplified(ring: Ring, tolerance: float) -> Ring:
    """A ring with fewer vertices, from which none that was left out is farther away than `tolerance` pixels.

    A ring that would lose its area stays as it is.

    Source: Douglas & Peucker 1973.
    """
    if tolerance <= 0 or len(ring) <= 4:
        return ring
    points = np.concatenate([ring, ring[:1]]).astype(np.float64)
    farthest = int(((points - points[0]) ** 2).sum(axis=1).argmax())
    kept, spans = {0, farthest}, [(0, farthest), (farthest, len(ring))]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        line = points[last] - points[first]
        offsets = points[first + 1 : last] - points[first]
        along = np.clip(offsets @ line / max(line @ line, 1e-12), 0, 1)[:, None]
        distances = ((offsets - along * line) ** 2).sum(axis=1)
        middle = int(distances.argmax())
        if distances[middle] > tolerance**2:
            middle += first + 1
            kept.add(middle)
            spans += [(first, middle), (middle, last)]
    simple = ring[sorted(kept)]
    return simple if len(simple) >= 3 else ring
