"""Shapes painted over each other into a label map.

Of shapes that overlap, the one that covers fewer pixels of the picture is on top: a button stays visible on the coat,
whatever the order in which they were drawn. Of two that cover equally many, the later in the file is on top. Where a format
says itself what is above, by levels, that goes first.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from fullconv.data.pictures import MAX_PIXELS
from fullconv.data.shapes.polygons import Patch


@dataclass(frozen=True, eq=False)
class Area:
    """A part of a picture that has one label.

    Attributes:
        patch: which pixels.
        label: a class id, or 255 for void.
        level: an area is above all areas of lower levels.
    """

    patch: Patch
    label: int
    level: int = 0


def paint(size_hw: tuple[int, int], areas: Iterable[Area], elsewhere: int) -> np.ndarray:
    """Paints areas by the rule above; one of them is in memory at a time.

    Args:
        size_hw: the picture's height and width.
        areas: in the order of the file, lower levels before higher ones.
        elsewhere: the label of pixels that no area covers.

    Returns:
        (H, W) uint8.

    >>> from fullconv.data.shapes.polygons import fill_rings
    >>> small = fill_rings([np.array([[0, 0], [1, 0], [1, 1], [0, 1]])], (1, 3))
    >>> large = fill_rings([np.array([[0, 0], [2, 0], [2, 1], [0, 1]])], (1, 3))
    >>> paint((1, 3), [Area(small, 1), Area(large, 2)], elsewhere=0).tolist()
    [[1, 2, 0]]
    """
    label_map = np.full(size_hw, elsewhere, np.uint8)
    size_on_top = np.full(size_hw, MAX_PIXELS, np.int32)
    level = None
    for area in areas:
        if level is not None and area.level > level:
            size_on_top.fill(MAX_PIXELS)
        level = area.level
        pixels = area.patch.pixels
        size = np.count_nonzero(pixels)
        window = np.s_[
            area.patch.top : area.patch.top + pixels.shape[0],
            area.patch.left : area.patch.left + pixels.shape[1],
        ]
        shown = pixels & (size_on_top[window] >= size)
        label_map[window][shown] = area.label
        size_on_top[window][shown] = size
    return label_map
