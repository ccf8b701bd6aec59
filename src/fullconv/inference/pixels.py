"""Where the pixels of a picture come from, window by window: memory, or a file too large for it."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np


class Box(NamedTuple):
    """A rectangle of pixels: rows `top` to `bottom`, columns `left` to `right`, the ends not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left


class PixelSource(Protocol):
    """A picture that is read in windows.

    Attributes:
        size_hw: its height and width.
    """

    @property
    def size_hw(self) -> tuple[int, int]: ...

    def read(self, box: Box) -> np.ndarray:
        """(h, w, C) uint8, RGB first; the box lies inside the picture."""
        ...


@dataclass(frozen=True)
class ArrayPixels:
    """A picture in memory, (H, W, C) uint8.

    >>> ArrayPixels(np.zeros((4, 6, 3), np.uint8)).read(Box(1, 2, 3, 6)).shape
    (2, 4, 3)
    """

    picture: np.ndarray

    @property
    def size_hw(self) -> tuple[int, int]:
        return self.picture.shape[0], self.picture.shape[1]

    def read(self, box: Box) -> np.ndarray:
        return self.picture[box.top : box.bottom, box.left : box.right]
