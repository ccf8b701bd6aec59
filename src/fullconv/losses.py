"""What training makes small: cross-entropy over the valid pixels, and class weights against imbalance."""

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fullconv.errors import InputError, UnknownNameError
from fullconv.labels import IGNORE_INDEX

ClassWeighting = Literal["none", "median_frequency", "effective_number"]


def cross_entropy(
    logits: Tensor,
    labels: Tensor,
    *,
    weight: Tensor | None = None,
    ignore_index: int = IGNORE_INDEX,
    label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> Tensor:
    """The softmax cross-entropy of the valid pixels of a batch.

    The sum over the valid pixels is divided by their number; with weights, by the sum of their classes' weights. This is
    `torch.nn.functional.cross_entropy`, but a batch without a valid pixel gives 0 with zero gradient, not nan.

    On a GPU an id that is no class is a device-side assertion: to look for it would make every step wait. On a CPU, without
    label smoothing, the loss can be differentiated once: it gives up its memory for that.

    Args:
        logits: (N, K, H, W) floating point, any range; computed in float32 at least.
        labels: (N, H, W) int64 or uint8, class ids 0..K-1 or `ignore_index`.
        weight: (K,) one factor per class, at least 0; see `class_weights`.
        ignore_index: the id of void pixels, which take no part.
        label_smoothing: the share of each target spread evenly over the classes, 0..1.
        reduction: "mean" as above, or "sum" for the undivided sum, as the FCN papers' heavy recipe has it.

    Returns:
        () the loss, at least float32.

    Raises:
        InputError: the shapes do not belong together, an id is no class, or an option is unknown.

    Source: Long, Shelhamer & Darrell 2015, section 4 (per-pixel multinomial logistic loss, void masked out).

    >>> logits = torch.tensor([[0.0, 8.0], [0.0, 0.0]]).reshape(1, 2, 1, 2)  # 2 classes, a row of 2 pixels
    >>> cross_entropy(logits, torch.tensor([[[0, 255]]]))  # two equal scores: log 2
    tensor(0.6931)
    """
    _check_arguments(logits, labels, weight, label_smoothing, reduction)
    labels = labels.long()
    valid = labels != ignore_index
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weight is None else weight.to(logits)
    index = labels.masked_fill(~valid, 0)
    if logits.device.type == "cpu":
        _check_ids(index, logits.shape[1], ignore_index)
    pixel_weight = valid.to(logits.dtype) if weight is None else weight[index] * valid  # (N, H, W)
    if logits.device.type == "cpu" and label_smoothing == 0:
        total = _WeightedSum.apply(logits, index, pixel_weight)
    else:
        # Unreduced and then summed, because torch's own sum is not deterministic on a GPU.
        total = F.cross_entropy(
            logits, labels, weight, None, ignore_index, None, "none", label_smoothing
        ).sum()
    norm = pixel_weight.sum() if reduction == "mean" else torch.ones(())
    return total / norm.masked_fill(norm == 0, math.inf)  # 0 where nothing counts


class _WeightedSum(torch.autograd.Function):
    """The sum over pixels of weight × cross-entropy, for a CPU.

    There the time goes into fresh memory for tensors of the logits' size. Torch takes three; this takes one, in
    which the log-probabilities become the gradient, at half to two thirds of the time.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, index: Tensor, pixel_weight: Tensor) -> Tensor:
        log_p = F.log_softmax(logits, dim=1)
        ctx.save_for_backward(log_p, index, pixel_weight)
        losses = -log_p.gather(1, index[:, None])[:, 0] * pixel_weight
        return losses.masked_fill_(pixel_weight == 0, 0).sum()  # not nan where a score is -inf

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, slope: Tensor
    ) -> tuple[Tensor, None, None]:
        log_p, index, pixel_weight = ctx.saved_tensors
        scale = (pixel_weight * slope)[:, None]
        grad = log_p.exp_().mul_(scale).scatter_add_(1, index[:, None], -scale)
        return grad, None, None


def _check_ids(index: Tensor, num_classes: int, ignore_index: int) -> None:
    if index.numel() == 0:
        return
    low, high = (extreme.item() for extreme in index.aminmax())
    if low < 0 or high >= num_classes:
        raise InputError(
            f"labels hold the id {low if low < 0 else high}; expected class ids 0..{num_classes - 1}, "
            f"or {ignore_index} for void; check the masks with `fullconv data check`"
        )


def _check_arguments(
    logits: Tensor, labels: Tensor, weight: Tensor | None, label_smoothing: float, reduction: str
) -> None:
    if logits.ndim != 4 or not logits.is_floating_point():
        raise InputError(
            f"cross_entropy got logits of shape {tuple(logits.shape)}, {logits.dtype}; "
            "expected floating point of shape (N, K, H, W)"
        )
    expected = (logits.shape[0], *logits.shape[2:])
    if tuple(labels.shape) != expected or labels.is_floating_point():
        raise InputError(
            f"cross_entropy got labels of shape {tuple(labels.shape)}, {labels.dtype}; "
            f"expected integers of shape {expected} for logits of shape {tuple(logits.shape)}"
        )
    if weight is not None and tuple(weight.shape) != (logits.shape[1],):
        raise InputError(
            f"cross_entropy got class weights of shape {tuple(weight.shape)}; "
            f"expected one per class, ({logits.shape[1]},)"
        )
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"cross_entropy got label_smoothing {label_smoothing}; expected 0..1")
    if reduction not in ("mean", "sum"):
        raise UnknownNameError("reduction", reduction, ["mean", "sum"])


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
