"""The FCN papers' figures, counted over a whole data set, the same near the borders of objects, and calibration.

All figures come from integer counts that are summed over the data set and divided once at the end, so they do
not depend on the order of the pictures, on batches or on the number of processes. Figures lie in 0..1; where
nothing was counted a figure is None.

Class ids come as tensors or as numpy arrays of any integer dtype. The true id `ignore_index` is void: such
pixels count nowhere, whatever was predicted there.
"""

from fullconv.metrics.borders import BoundaryF, BoundaryIou, boundary_band
from fullconv.metrics.calibration import CONFIDENCE_STEP, Calibration
from fullconv.metrics.ceiling import STRIDES, stride_ceiling
from fullconv.metrics.confusion import Confusion
from fullconv.metrics.scores import Scores

__all__ = [
    "CONFIDENCE_STEP",
    "STRIDES",
    "BoundaryF",
    "BoundaryIou",
    "Calibration",
    "Confusion",
    "Scores",
    "boundary_band",
    "stride_ceiling",
]
