"""Run lengths: masks as the numbers of pixels that are by turns outside and inside.

COCO goes down the columns and may pack the numbers into a string; CVAT goes along the rows of the shape's own box.

Source: cocodataset/cocoapi, common/maskApi.c (rleToString, rleFrString) and PythonAPI/pycocotools/mask.py;
CVAT, XML annotation format, https://docs.cvat.ai/docs/manual/advanced/xml_format/.
"""

from collections.abc import Sequence

import numpy as np

from fullconv.errors import DataError

MOST_LETTERS = 8
"""The longest number in a packed string: 40 bits, more than any picture has pixels."""


def to_counts(pixels: np.ndarray) -> np.ndarray:
    """The runs of a flat mask, the first one outside: (n,) int64.

    >>> to_counts(np.array([True, True, False])).tolist()
    [0, 2, 1]
    """
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    begins_inside = np.zeros(int(pixels[:1].any()), np.int64)
    return np.diff(np.concatenate([begins_inside, changes, [pixels.size]]), prepend=0)


def from_counts(counts: Sequence[int] | np.ndarray, num_pixels: int) -> np.ndarray:
    """The flat mask of runs: (num_pixels,) bool.

    Raises:
        DataError: a run is negative, or all of them make another number of pixels.
    """
    runs = np.asarray(counts, np.int64).reshape(-1)
    # checked before anything is made of that size; in floats, which no sum can overflow
    total = runs.astype(np.float64).sum()
    if runs.size and runs.min() < 0:
        raise DataError(f"got a run of {runs.min()} pixels, expected 0 or more")
    if total != num_pixels:
        raise DataError(f"got runs of {total:.0f} pixels in all, expected {num_pixels}")
    return np.repeat(np.arange(len(runs)) % 2 == 1, runs)


def pack(counts: np.ndarray) -> str:
    """Runs as COCO's string: from the fourth on the difference to the one before the last, five bits a letter.

    >>> pack(np.array([0, 2, 1]))
    '021'
    """
    values = np.array(counts, np.int64)
    values[3:] -= counts[1:-2]
    place = np.arange(MOST_LETTERS)
    fives = values[:, None] >> 5 * place & 31  # (n, letters), the lowest first
    is_last = values[:, None] >> 5 * place + 5 == np.where(fives & 16, -1, 0)  # the sign is all that is left
    last = is_last.argmax(axis=1)[:, None]
    letters = 48 + (fives | np.where(place < last, 32, 0))
    return letters[place <= last].astype(np.uint8).tobytes().decode("ascii")


def unpack(text: str) -> np.ndarray:
    """The runs in COCO's string: (n,) int64.

    Raises:
        DataError: it holds a letter that means nothing, a number that is too long, or ends within one.

    >>> unpack("021").tolist()
    [0, 2, 1]
    """
    codes = np.frombuffer(text.encode("utf-8", "replace"), np.uint8).astype(np.int64) - 48
    if not codes.size:
        return codes
    wrong = np.flatnonzero((codes < 0) | (codes > 63))
    if wrong.size:
        raise DataError(
            f"letter {wrong[0]} of the run lengths is {chr(int(codes[wrong[0]]) + 48)!r}, none of theirs"
        )
    last = codes < 32
    starts = np.flatnonzero(np.concatenate([[True], last[:-1]]))
    lengths = np.diff(starts, append=len(codes))
    if not last[-1] or lengths.max() > MOST_LETTERS:
        raise DataError("its run lengths are cut short, or hold a number of more than 40 bits")
    places = np.arange(len(codes)) - np.repeat(starts, lengths)
    values = np.add.reduceat((codes & 31) << 5 * places, starts)
    ends = starts + lengths - 1
    values -= np.where(codes[ends] & 16, np.int64(1) << 5 * lengths, 0)  # the sign
    for first in (1, 2):
        values[first::2] = np.cumsum(values[first::2])
    return values
