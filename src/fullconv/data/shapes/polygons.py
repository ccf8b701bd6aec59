"""Which pixels a polygon or an ellipse covers: those whose centres lie inside.

The pixel in row r and column c has its centre at (c + 0.5, r + 0.5). Inside is what an odd number of outlines lies around,
so that an outline within another is a hole. A centre on an outline belongs to what lies right of it or, where the outline is
level, below it: shapes that share an edge share no pixel and leave none between them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fullconv.errors import DataError

LONGEST_AT_LEAST = 100_000
"""An outline may have this length in pixels in the smallest picture."""

MOST_CROSSINGS = 2**20
"""So many crossings of outlines with rows are worked out at a time."""


@dataclass(frozen=True, eq=False)
class Patch:
    """The pixels that a shape covers, cut to the picture.

    Attributes:
        top, left: where `pixels` begins in the picture.
        pixels: (h, w) bool.
    """

    top: int
    left: int
    pixels: np.ndarray


def fill_rings(rings: Sequence[np.ndarray], size_hw: tuple[int, int]) -> Patch:
    """The pixels inside of rings, by the rule above.

    Args:
        rings: each (n, 2) finite vertices (x, y) in pixels, the last joined to the first.
        size_hw: the picture's size; what lies outside is left out.

    >>> fill_rings([np.array([[0.2, 0.2], [2.6, 0.2], [2.6, 1.6], [0.2, 1.6]])], (2, 3)).pixels.astype(int).tolist()
    [[1, 1, 1], [1, 1, 1]]
    """
    rings = [np.asarray(ring, np.float64).reshape(-1, 2) for ring in rings]
    starts = np.concatenate([*rings, np.empty((0, 2))])
    ends = np.concatenate([*(np.roll(ring, -1, axis=0) for ring in rings), np.empty((0, 2))])
    if not starts.size:
        return Patch(0, 0, np.zeros((0, 0), bool))
    top, bottom = _first_and_end(starts[:, 1].min(), starts[:, 1].max(), size_hw[0])
    left, right = _first_and_end(starts[:, 0].min(), starts[:, 0].max(), size_hw[1])
    odd = np.zeros((bottom - top, right - left + 1), np.uint8)
    down = starts[:, 1] <= ends[:, 1]
    # from the upper end to the lower: an edge that two shapes share is worked out the same way in both
    (x0, y0), (x1, y1) = np.where(down, starts.T, ends.T), np.where(down, ends.T, starts.T)
    first = np.clip(np.ceil(y0 - 0.5), top, bottom).astype(np.int64)
    end = np.clip(np.ceil(y1 - 0.5), top, bottom).astype(np.int64)
    for edges in _pieces(end - first):
        heights = (end - first)[edges]
        before = np.cumsum(heights) - heights
        rows = np.arange(heights.sum()) + np.repeat(first[edges] - before, heights)
        ax, ay, bx, by = (np.repeat(values[edges], heights) for values in (x0, y0, x1, y1))
        x = ax + (rows + 0.5 - ay) * (bx - ax) / (by - ay)
        columns = np.clip(np.ceil(x - 0.5), left, right).astype(np.int64)
        np.bitwise_xor.at(odd, (rows - top, columns - left), 1)
    np.bitwise_xor.accumulate(odd, axis=1, out=odd)
    return Patch(top, left, odd[:, :-1].astype(bool))


def fill_ellipse(
    center: tuple[float, float], radii: tuple[float, float], degrees: float, size_hw: tuple[int, int]
) -> Patch:
    """The pixels inside of an ellipse, or on its outline.

    Args:
        center: (x, y) in pixels.
        radii: along its own two axes, in pixels.
        degrees: by which its first axis is turned from the picture's rows, clockwise.
        size_hw: the picture's size.
    """
    (cx, cy), (rx, ry) = center, radii
    if min(rx, ry) < 1e-6:
        return Patch(0, 0, np.zeros((0, 0), bool))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    height, width = math.hypot(rx * sin, ry * cos), math.hypot(rx * cos, ry * sin)  # half of them
    top, bottom = _first_and_end(cy - height, cy + height, size_hw[0])
    left, right = _first_and_end(cx - width, cx + width, size_hw[1])
    dy = np.arange(top, bottom) + 0.5 - cy
    # a dx^2 + 2 b dx + c <= 0 holds between the outline's two crossings with a row
    a = (cos / rx) ** 2 + (sin / ry) ** 2
    b = dy * cos * sin * (1 / rx**2 - 1 / ry**2)
    c = dy**2 * ((sin / rx) ** 2 + (cos / ry) ** 2) - 1
    root = np.sqrt(np.maximum(b**2 - a * c, 0))
    dx = np.arange(left, right) + 0.5 - cx
    crosses = b**2 >= a * c
    pixels = (dx >= ((-b - root) / a)[:, None]) & (dx <= ((-b + root) / a)[:, None]) & crosses[:, None]
    return Patch(top, left, pixels)


def turned(points: np.ndarray, center: np.ndarray, degrees: float) -> np.ndarray:
    """Points (n, 2) turned clockwise around a centre (x, y)."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return center + (points - center) @ np.array([[cos, sin], [-sin, cos]])


def near(points: np.ndarray, size_hw: tuple[int, int], where: object) -> np.ndarray:
    """An outline of a picture, which may leave it, but no farther than it is large.

    Args:
        points: (n, 2) finite (x, y) in pixels.
        size_hw: the picture's size.
        where: what errors call the outline's place.

    Raises:
        DataError: a point lies farther away, as when parts of the size are taken for pixels; or the outline is longer than
            all edges of all pixels, so that filling it would take long.
    """
    height, width = size_hw
    low, high = np.array([-width, -height]), np.array([2 * width, 2 * height])
    far = np.flatnonzero(((points < low) | (points > high)).any(axis=1))
    if far.size:
        x, y = points[far[0]].tolist()
        raise DataError(
            f"{where}: got the point ({x:g}, {y:g}), far outside of the picture of {height} x {width} (height x width); "
            "expected pixels of this picture; correct it"
        )
    length, longest = np.abs(np.diff(points, axis=0)).sum(), 4 * height * width + LONGEST_AT_LEAST
    if length > longest:
        raise DataError(
            f"{where}: got an outline of {length:.0f} pixels, expected at most {longest} in this picture; correct it"
        )
    return points


def cut(pixels: np.ndarray, top: int, left: int, size_hw: tuple[int, int]) -> Patch:
    """A patch of given pixels, (h, w) bool, whose top left corner may lie outside of the picture."""
    from_top, from_left = max(0, -top), max(0, -left)
    height, width = max(0, size_hw[0] - top), max(0, size_hw[1] - left)
    return Patch(max(0, top), max(0, left), pixels[from_top:height, from_left:width])


def _first_and_end(low: float, high: float, size: int) -> tuple[int, int]:
    """The first pixel whose centre is at `low` or behind it, and the one behind the last before `high` or at it."""
    first = min(max(math.ceil(low - 0.5), 0), size)
    return first, min(max(math.floor(high - 0.5) + 1, first), size)


def _pieces(heights: np.ndarray) -> list[slice]:
    """Slices of edges that cross about `MOST_CROSSINGS` rows each."""
    piece = np.cumsum(heights) // MOST_CROSSINGS
    bounds = [0, *(np.flatnonzero(np.diff(piece)) + 1).tolist(), len(heights)]
    return [slice(a, b) for a, b in pairwise(bounds)]
