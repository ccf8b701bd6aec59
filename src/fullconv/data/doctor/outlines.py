"""Whether a mask's outlines lie where its picture has edges."""

import numpy as np
from PIL import Image

SIDE = 192
"""The long side to which picture and mask are shrunk."""

FEWEST = 50
"""Outlines of fewer pixels say nothing."""

AWAY = 12
"""So many pixels off, in eight directions, an outline meets the picture's edges by chance alone."""

_NEAR = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
_FAR = [(AWAY * dy, AWAY * dx) for dy, dx in _NEAR if (dy, dx) != (0, 0)]


def outline_fit(grey: Image.Image, label_map: np.ndarray) -> float | None:
    """How much stronger the picture's edges are under the mask's outlines than beside them.

    Near 1 for another picture's mask; docs/data_check.md has the measured figures.

    Args:
        grey: the picture, of mode L.
        label_map: (H, W) uint8.

    Returns:
        The mean edge strength there, by that of the same outlines moved away; None where the outlines are too short.

    >>> label_map = np.kron(np.random.default_rng(0).integers(0, 3, (8, 8), np.uint8), np.ones((17, 17), np.uint8))
    >>> grey = Image.fromarray(80 * label_map)
    >>> (outline_fit(grey, label_map) or 0) > 3
    True
    """
    height, width = label_map.shape
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = np.asarray(Image.fromarray(label_map).resize(size, Image.Resampling.NEAREST))
    rows, columns = _outline(small)
    if len(rows) < FEWEST:
        return None
    shrunk = np.asarray(grey.resize(size, Image.Resampling.BOX), np.float32)
    edges = np.pad(_edges(shrunk), AWAY, mode="reflect" if min(size) > AWAY else "edge")

    def under(dy: int, dx: int) -> float:
        return float(edges[rows + (AWAY + dy), columns + (AWAY + dx)].mean())

    beside = float(np.mean([under(*step) for step in _FAR]))
    return max(under(*step) for step in _NEAR) / max(beside, 1e-3)


def _outline(label_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of pixels whose right or lower neighbour is of another class; the picture's rim left out."""
    outline = np.zeros(label_map.shape, bool)
    outline[:, :-1] |= label_map[:, 1:] != label_map[:, :-1]
    outline[:-1] |= label_map[1:] != label_map[:-1]
    outline[:2] = outline[-2:] = outline[:, :2] = outline[:, -2:] = False
    rows, columns = np.nonzero(outline)
    return rows, columns


def _edges(grey: np.ndarray) -> np.ndarray:
    """The larger step to the right or lower neighbour, clipped so that a few glaring edges do not outweigh all others."""
    edges = np.zeros_like(grey)
    np.abs(np.diff(grey, axis=1), out=edges[:, :-1])
    np.maximum(edges[:-1], np.abs(np.diff(grey, axis=0)), out=edges[:-1])
    return np.minimum(edges, np.percentile(edges, 98))
