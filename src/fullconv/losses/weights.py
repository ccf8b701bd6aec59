"""Factors per class against imbalance."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from fullconv.errors import InputError, UnknownNameError

ClassWeighting = Literal["none", "median_frequency", "effective_number"]


def class_weights(
    pixels_per_class: Tensor | Sequence[int], method: ClassWeighting = "none", *, beta: float = 1 - 1e-6
) -> Tensor:
    """Factors for `cross_entropy` that lift rare classes, from the training split's pixel counts.

    - "none": 1 for each class.
    - "median_frequency": the median class frequency over the class's own, counted over the whole split. The
      median scales all weights alike, so here it drops out.
    - "effective_number": (1 - beta) / (1 - beta^pixels). It lifts classes of fewer than about 1 / (1 - beta)
      pixels like "median_frequency" and treats the commoner ones alike. The paper's betas, 0.9 to 0.9999,
      count pictures; classes come in millions of pixels, so that the default is nearer to 1.

    Both are scaled to a mean of 1 over the classes that are present; an absent class has no pixel to weigh,
    and gets 0.

    Args:
        pixels_per_class: (K,) integers, at least 0: the valid pixels of each class.
        method: one of the names above.
        beta: 0..1 without 1, for "effective_number".

    Returns:
        (K,) float32, at least 0.

    Raises:
        InputError: a count is negative, no class has a pixel, beta is out of range, or the method is unknown.

    Source: Eigen & Fergus 2015 and Badrinarayanan, Kendall & Cipolla 2017 (SegNet) for median frequency; Cui
    et al. 2019, "Class-balanced loss based on effective number of samples", for the effective number.

    >>> class_weights([600, 200, 0], "median_frequency")
    tensor([0.5000, 1.5000, 0.0000])
    """
    counts = torch.as_tensor(pixels_per_class, dtype=torch.float64)
    if counts.ndim != 1 or not (counts >= 0).all() or counts.sum() == 0:
        raise InputError(
            f"class_weights got the pixel counts {counts.tolist()}; "
            "expected one count per class, none negative and not all 0"
        )
    if not 0 <= beta < 1:
        raise InputError(f"class_weights got beta {beta}; expected 0 <= beta < 1")
    if method == "none":
        return torch.ones(len(counts))
    elif method == "median_frequency":
        rarity = 1 / counts
    elif method == "effective_number":
        # 1 - beta^n without the loss of digits that a beta near 1 brings; beta = 0 has no logarithm.
        rarity = 1 / -torch.expm1(counts * math.log(beta)) if beta > 0 else torch.ones_like(counts)
    else:
        raise UnknownNameError("class weighting", method, ["none", "median_frequency", "effective_number"])
    present = counts > 0
    return torch.where(present, rarity / rarity[present].mean(), 0).float()
