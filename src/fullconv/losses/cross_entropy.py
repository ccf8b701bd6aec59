"""The softmax cross-entropy of the valid pixels."""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from fullconv.errors import InputError, UnknownNameError
from fullconv.labels import IGNORE_INDEX


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
    check_shapes(logits, labels, weight)
    if not 0 <= label_smoothing <= 1:
        raise InputError(f"cross_entropy got label_smoothing {label_smoothing}; expected 0..1")
    if reduction not in ("mean", "sum"):
        raise UnknownNameError("reduction", reduction, ["mean", "sum"])
    labels = labels.long()
    valid = labels != ignore_index
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
    weight = None if weight is None else weight.to(logits)
    index = labels.masked_fill(~valid, 0)
    check_ids(index, logits.shape[1], ignore_index)
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


def check_ids(index: Tensor, num_classes: int, ignore_index: int) -> None:
    """Refuses ids that are no class; on a GPU they are left to a device-side assertion."""
    if index.numel() == 0 or index.device.type != "cpu":
        return
    low, high = (extreme.item() for extreme in index.aminmax())
    if low < 0 or high >= num_classes:
        raise InputError(
            f"labels hold the id {low if low < 0 else high}; expected class ids 0..{num_classes - 1}, "
            f"or {ignore_index} for void; check the masks with `fullconv data check`"
        )


def check_shapes(logits: Tensor, labels: Tensor, weight: Tensor | None) -> None:
    """Refuses logits, labels and class weights that do not belong together."""
    if logits.ndim != 4 or not logits.is_floating_point():
        raise InputError(
            f"the loss got logits of shape {tuple(logits.shape)}, {logits.dtype}; "
            "expected floating point of shape (N, K, H, W)"
        )
    expected = (logits.shape[0], *logits.shape[2:])
    if tuple(labels.shape) != expected or labels.is_floating_point():
        raise InputError(
            f"the loss got labels of shape {tuple(labels.shape)}, {labels.dtype}; "
            f"expected integers of shape {expected} for logits of shape {tuple(logits.shape)}"
        )
    if weight is not None and tuple(weight.shape) != (logits.shape[1],):
        raise InputError(
            f"the loss got class weights of shape {tuple(weight.shape)}; "
            f"expected one per class, ({logits.shape[1]},)"
        )
