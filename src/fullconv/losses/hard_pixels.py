"""Cross-entropy that looks where the network is wrong."""

import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.losses.cross_entropy import check_ids, check_shapes


def focal(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    weight: Tensor | None = None,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    """The mean over the valid pixels of -w (1 - p)^gamma log p, where p is the probability of the true class.

    Args:
        logits: (N, K, H, W) floating point.
        labels: (N, H, W) integers, class ids or `ignore_index`.
        gamma: at least 0; 0 is the cross-entropy.
        weight: (K,) factors per class; their sum over the pixels divides.

    Returns:
        () float32 at least; 0 where no pixel is valid.

    Source: Lin et al. 2017, "Focal Loss for Dense Object Detection", equation 5.

    >>> logits = torch.tensor([0.0, 0.0]).reshape(1, 2, 1, 1)
    >>> focal(logits, torch.tensor([[[0]]]))  # a quarter of log 2
    tensor(0.1733)
    """
    if gamma < 0:
        raise InputError(f"focal got gamma {gamma}; expected at least 0")
    log_p, pixel_weight = true_log_p(logits, labels, weight, ignore_index)
    losses = -((1 - log_p.exp()) ** gamma) * log_p * pixel_weight
    return losses.sum() / pixel_weight.sum().clamp(min=torch.finfo(log_p.dtype).tiny)


def ohem(
    logits: Tensor,
    labels: Tensor,
    *,
    threshold: float = 0.7,
    least: float = 1 / 16,
    weight: Tensor | None = None,
    ignore_index: int = IGNORE_INDEX,
) -> Tensor:
    """The mean cross-entropy of the hard pixels: those whose true class has a probability below `threshold`.

    Where these are less than a share `least` of the valid pixels, the hardest ones make up so many.

    Args:
        logits: (N, K, H, W) floating point.
        labels: (N, H, W) integers, class ids or `ignore_index`.
        threshold: 0..1.
        least: 0..1.
        weight: (K,) factors per class; their sum over the hard pixels divides.

    Returns:
        () float32 at least; 0 where no pixel is valid.

    Source: Shrivastava, Gupta & Girshick 2016, "Training Region-based Object Detectors with Online Hard Example Mining"; over
    pixels as in Wu, Shen & van den Hengel 2016, "High-performance Semantic Segmentation Using Very Deep FCNs", section 3.

    >>> logits = torch.tensor([[4.0, 0.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)  # a clear pixel and an open one
    >>> ohem(logits, torch.tensor([[[0, 0]]]))  # log 2
    tensor(0.6931)
    """
    if not 0 <= threshold <= 1 or not 0 <= least <= 1:
        raise InputError(f"ohem got threshold {threshold} and least {least}; expected both in 0..1")
    log_p, pixel_weight = true_log_p(logits, labels, weight, ignore_index)
    valid = labels != ignore_index
    with torch.no_grad():
        p = log_p.exp()[valid]
        limit = torch.tensor(threshold, dtype=p.dtype, device=p.device)
        num_least = int(least * p.numel())
        if num_least:
            limit = torch.maximum(limit, p.kthvalue(num_least).values)
        hard = valid & (log_p.exp() <= limit)
    pixel_weight = pixel_weight * hard
    return (-log_p * pixel_weight).sum() / pixel_weight.sum().clamp(min=torch.finfo(log_p.dtype).tiny)


def true_log_p(
    logits: Tensor, labels: Tensor, weight: Tensor | None, ignore_index: int
) -> tuple[Tensor, Tensor]:
    """(N, H, W) log-probabilities of the true classes, and the weight of each pixel, 0 for void."""
    check_shapes(logits, labels, weight)
    labels = labels.long()
    valid = labels != ignore_index
    index = labels.masked_fill(~valid, 0)
    check_ids(index, logits.shape[1], ignore_index)
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    log_p = logits.log_softmax(dim=1).gather(1, index[:, None])[:, 0].masked_fill(~valid, 0)
    return log_p, valid.to(log_p) if weight is None else weight.to(log_p)[index] * valid
