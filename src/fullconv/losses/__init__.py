"""What training makes small: (N, K, H, W) logits against (N, H, W) labels, over the valid pixels."""

from fullconv.losses.cross_entropy import cross_entropy
from fullconv.losses.hard_pixels import focal, ohem
from fullconv.losses.regions import dice, lovasz
from fullconv.losses.weights import ClassWeighting, class_weights

__all__ = ["ClassWeighting", "class_weights", "cross_entropy", "dice", "focal", "lovasz", "ohem"]
