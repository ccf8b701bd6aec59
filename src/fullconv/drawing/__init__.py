"""Pictures people look at: a picture under its classes, before and after, how sure the network was, and grids of samples.

Of pictures with extra channels, such as depth, red, green and blue are drawn.
"""

from fullconv.drawing.grids import CELL, WRONG, sample_grid
from fullconv.drawing.maps import confidence_picture, entropy_picture, value_map
from fullconv.drawing.overlays import before_after, overlay
from fullconv.drawing.panels import FAINT, INK, NEUTRAL, PAPER, percent, readable, save_jpeg

__all__ = [
    "CELL",
    "FAINT",
    "INK",
    "NEUTRAL",
    "PAPER",
    "WRONG",
    "before_after",
    "confidence_picture",
    "entropy_picture",
    "overlay",
    "percent",
    "readable",
    "sample_grid",
    "save_jpeg",
    "value_map",
]
