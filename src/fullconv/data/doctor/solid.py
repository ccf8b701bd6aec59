"""Telling areas that somebody drew from pixels that arose between them, by scaling, smoothing or JPEG."""

from dataclasses import dataclass

import numpy as np

from fullconv.labels import IGNORE_INDEX, VOID_COLOR, LabelSet

NEAR = 16
"""A colour no further than this from a class's, in each of R, G, B, may be meant for it."""

REACH = 4
"""A pixel in between belongs to an area that is at most so many pixels away."""

NOISE = 0.001
"""Smoothing changes nothing five pixels from an outline; where a larger part of a mask is off there, it was a JPEG."""

FEWEST_STEPS = 20
"""Fewer steps over a pixel in between are chance."""

_BLOCK = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
_AROUND = [step for step in _BLOCK if step != (0, 0)]


MOST_MOVED = 0.25
"""Where more pixels would be moved than this part, the mask is no mask any more."""

MOST_LEFT = 0.01
"""No more may become void, as they are near no area."""


@dataclass(frozen=True)
class Snapped:
    """A mask whose pixels in between were given to the areas beside them.

    Attributes:
        ids: (H, W) uint8, ids 0..K-1 or 255; what is left is 255.
        moved: (H, W) bool, the pixels in between, given to an area.
        left: (H, W) bool, those too far from any.
        foreign: (H, W) bool, areas of a value that is no class's, nor near one.
        code: which fault it was: "mask-colours", "mask-jpeg", "mask-blended" or "mask-interpolated".
    """

    ids: np.ndarray
    moved: np.ndarray
    left: np.ndarray
    foreign: np.ndarray
    code: str

    @property
    def sure(self) -> bool:
        """Whether this mends the mask: nothing is foreign, next to nothing left, and most of it was sound."""
        left, moved = float(self.left.mean()), float(self.moved.mean())
        return not self.foreign.any() and left <= MOST_LEFT and moved <= MOST_MOVED


def solid(values: np.ndarray) -> np.ndarray:
    """(H, W) bool: where a pixel is part of a 3 x 3 block of one value.

    >>> solid(np.array([[1, 1, 1, 2], [1, 1, 1, 3], [1, 1, 1, 3]]))[0].tolist()
    [True, True, True, False]
    """
    height, width = values.shape
    same = np.zeros(values.shape, bool)  # whether the block with this pixel as its centre is of one value
    if min(height, width) < 3:
        return same
    same[1:-1, 1:-1] = True
    for dy, dx in _AROUND:
        same[1:-1, 1:-1] &= (
            values[1 + dy : height - 1 + dy, 1 + dx : width - 1 + dx] == values[1 : height - 1, 1 : width - 1]
        )
    padded = np.pad(same, 1)
    return np.logical_or.reduce(
        [padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] for dy, dx in _BLOCK]
    )


def snap_colors(picture: np.ndarray, labels: LabelSet, *, jpeg: bool = False) -> Snapped:
    """Takes a colour-coded mask for what it was before it was smoothed, scaled or compressed.

    Args:
        picture: (H, W, 3) uint8 RGB.
        labels: the classes.
        jpeg: the file is a JPEG; a mask that was one before tells it by its noise.
    """
    codes = picture.astype(np.int32) @ np.array([65536, 256, 1], np.int32)  # (H, W)
    known = np.array([*labels.colors, VOID_COLOR], np.int32)  # (K + 1, 3)
    colors, places = np.unique(codes, return_inverse=True)
    nearest, first, second = _nearest(colors, known)
    places = places.reshape(codes.shape)
    guess, exact = nearest[places], (first == 0)[places]
    close = ((first <= NEAR) & (second > 2 * first))[places]
    drawn = solid(codes)
    foreign = drawn & ~exact & ~close
    many = int((first > 0).sum()) > 2 * len(known)
    even = drawn & ~exact & close
    if jpeg:
        code, foreign = "mask-jpeg", np.zeros_like(foreign)
    elif foreign.any() or (even.any() and not many):
        code = "mask-colours"
    else:
        noise = ~exact & _inside(np.where(close, guess, -1))
        code = "mask-jpeg" if noise.mean() > NOISE else "mask-blended"
    meant = (
        close if code == "mask-colours" else exact
    )  # few even colours are meant for those that they are near
    sure = np.where(meant, drawn | _has_company(guess), close & solid(np.where(close, guess, -1 - codes)))
    sure &= ~foreign
    filled, left = _fill(guess, sure, foreign, picture.astype(np.int32), known)
    ids = np.array([*_ids(labels), IGNORE_INDEX], np.uint8)
    return Snapped(np.where(left, np.uint8(IGNORE_INDEX), ids[filled]), ~sure & ~left, left, foreign, code)


def snap_ids(values: np.ndarray, labels: LabelSet) -> Snapped:
    """Takes a mask of ids for what it was before it was scaled with interpolation.

    Args:
        values: (H, W) uint8 or uint16, as stored.
        labels: the classes.
    """
    highest = int(max(values.max(), IGNORE_INDEX))
    ids = np.full(highest + 1, IGNORE_INDEX, np.uint8)
    ids[: labels.num_classes] = _ids(labels)
    valid = np.isin(values, [*range(labels.num_classes), IGNORE_INDEX, *labels.ignore_ids])
    drawn = solid(values)
    foreign = drawn & ~valid
    low, high = _range_around(values.astype(np.int32), drawn & valid)
    between = ~drawn & (~valid | ((low < values) & (values < high)))
    grey, known = values.astype(np.int32)[..., None], np.arange(highest + 1, dtype=np.int32)[:, None]
    filled, left = _fill(values.astype(np.int64), valid & ~between, foreign, grey, known)
    return Snapped(
        np.where(left, np.uint8(IGNORE_INDEX), ids[filled]),
        between & ~left,
        left,
        foreign,
        "mask-interpolated",
    )


def _ids(labels: LabelSet) -> list[int]:
    return [IGNORE_INDEX if index in labels.ignore_ids else index for index in range(labels.num_classes)]


def _nearest(codes: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of (N,) colours R * 65536 + G * 256 + B: the nearest of `known`, how far it is, and how far the next.

    The distance is the largest of those in R, G and B.
    """
    nearest = np.empty(len(codes), np.int64)
    first, second = np.empty(len(codes), np.int32), np.empty(len(codes), np.int32)
    for low in range(0, len(codes), 4096):  # a photograph taken for a mask has a hundred thousand colours
        part = codes[low : low + 4096]
        rgb = np.stack([part >> 16, part >> 8 & 255, part & 255], axis=1)
        apart = np.abs(rgb[:, None] - known[None]).max(axis=2)  # (n, K + 1)
        nearest[low : low + 4096] = apart.argmin(axis=1)
        two = np.partition(apart, 1, axis=1)
        first[low : low + 4096], second[low : low + 4096] = two[:, 0], two[:, 1]
    return nearest, first, second


def _inside(classes: np.ndarray) -> np.ndarray:
    """(H, W) bool: whether all of the 9 x 9 pixels around are of one class, 0 or above."""
    low = high = classes
    for axis in (0, 0, 1, 1):
        low, high = _slide(np.minimum, low, axis, -1), _slide(np.maximum, high, axis, -1)
    return (low == high) & (low >= 0)


def _has_company(classes: np.ndarray) -> np.ndarray:
    """(H, W) bool: whether at least two of the eight pixels around are of the same class.

    Half-way between two colours there may be a third class's, by chance and on single pixels.
    """
    padded = np.pad(classes, 1, constant_values=-1)
    height, width = classes.shape
    same = np.zeros(classes.shape, np.int8)
    for dy, dx in _AROUND:
        same += padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width] == classes
    return same >= 2


def _range_around(values: np.ndarray, where: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lowest and the highest of the values at `where` in the 5 x 5 pixels around each; (H, W) each."""
    above = int(values.max()) + 1
    low, high = np.where(where, values, above), np.where(where, values, -1)
    for axis in (0, 1):
        low = _slide(np.minimum, low, axis, above)
        high = _slide(np.maximum, high, axis, -1)
    return low, high


def _slide(best: np.ufunc, values: np.ndarray, axis: int, rim: int) -> np.ndarray:
    widths = [(2, 2) if each == axis else (0, 0) for each in (0, 1)]
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(values, widths, constant_values=rim), 5, axis=axis
    )
    return best.reduce(windows, axis=-1)


def _fill(
    classes: np.ndarray, sure: np.ndarray, foreign: np.ndarray, values: np.ndarray, known: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Gives each pixel that is not sure to the class beside it whose value is nearest to its own.

    Args:
        classes: (H, W) int64, indices into `known`.
        sure: (H, W) bool.
        foreign: (H, W) bool, what stays as it is.
        values: (H, W, C) int32.
        known: (N, C) int32, the value of each class.

    Returns:
        classes: (H, W) int64.
        left: (H, W) bool, what is more than `REACH` pixels from anything sure, or foreign.
    """
    classes, sure = classes.copy(), sure.copy()
    height, width = sure.shape
    for _ in range(REACH):
        rows, columns = np.nonzero(~sure & ~foreign)
        if not len(rows):
            break
        best, found = np.full(len(rows), np.iinfo(np.int32).max), np.full(len(rows), -1)
        for dy, dx in _AROUND:
            y, x = np.clip(rows + dy, 0, height - 1), np.clip(columns + dx, 0, width - 1)
            apart = np.abs(values[rows, columns] - known[classes[y, x]]).sum(axis=1)
            better = sure[y, x] & (apart < best)
            best[better], found[better] = apart[better], classes[y, x][better]
        there = found >= 0
        classes[rows[there], columns[there]] = found[there]
        sure[rows[there], columns[there]] = True
    return classes, ~sure


def between_share(label_map: np.ndarray) -> float:
    """Of the steps between ids at least two apart, the part that goes over one pixel of an id between them.

    Near 0 in masks that were drawn, a quarter to a half in masks that were scaled with interpolation.

    >>> between_share(np.repeat(np.array([[0, 0, 0, 2, 4, 4, 4]], np.uint8), 99, axis=0)) > 0.3
    True
    """
    over = direct = 0
    for ids in (
        label_map,
        np.ascontiguousarray(label_map.T),
    ):  # void is the highest id: no step up to it counts
        left, middle, right = ids[:, :-2], ids[:, 1:-1], ids[:, 2:]
        low, high = np.minimum(left, right), np.maximum(left, right)
        over += int(np.count_nonzero((low < middle) & (middle < high) & (high < IGNORE_INDEX)))
        low, high = np.minimum(ids[:, :-1], ids[:, 1:]), np.maximum(ids[:, :-1], ids[:, 1:])
        direct += int(np.count_nonzero((high - low >= 2) & (high < IGNORE_INDEX)))
    return over / (over + direct) if over >= FEWEST_STEPS else 0.0
