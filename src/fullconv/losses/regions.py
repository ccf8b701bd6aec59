"""Losses of whole regions: what is small in them counts as much as what is large."""

import torch
from torch import Tensor

from fullconv.labels import IGNORE_INDEX
from fullconv.losses.cross_entropy import check_ids, check_shapes


def dice(logits: Tensor, labels: Tensor, *, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """1 less the mean over the classes of 2 sum(p t) / (sum(p) + sum(t)), over the valid pixels of the batch.

    p is a class's probability at a pixel, t is 1 where it is the true one. Classes that have no pixel in the batch take no
    part.

    Args:
        logits: (N, K, H, W) floating point.
        labels: (N, H, W) integers, class ids or `ignore_index`.

    Returns:
        () float32 at least, 0..1; 0 where no pixel is valid.

    Source: Milletari, Navab & Ahmadi 2016, "V-Net", section 3, with p in place of p^2 below the line.

    >>> logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]).reshape(1, 2, 1, 2)
    >>> dice(logits, torch.tensor([[[0, 1]]])), dice(logits, torch.tensor([[[1, 0]]]))
    (tensor(0.), tensor(1.))
    """
    p, truth, valid = probabilities(logits, labels, ignore_index)
    axes = (0, 2, 3)
    p = p * valid[:, None]
    both, in_truth = (p * truth).sum(axes), truth.sum(axes)
    share = 2 * both / (p.sum(axes) + in_truth).clamp(min=torch.finfo(p.dtype).tiny)
    present = in_truth > 0
    return (present * (1 - share)).sum() / present.sum().clamp(min=1)


def lovasz(logits: Tensor, labels: Tensor, *, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """The Lovasz-softmax loss: the convex closure of 1 less the intersection over union, averaged over the classes in the batch.

    Args:
        logits: (N, K, H, W) floating point.
        labels: (N, H, W) integers, class ids or `ignore_index`.

    Returns:
        () float32 at least, 0..1; 0 where no pixel is valid.

    Source: Berman, Triki & Blaschko 2018, "The Lovasz-Softmax loss", equations 8, 9 and 11, algorithm 1.

    >>> logits = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]).reshape(1, 2, 1, 2)
    >>> [round(lovasz(logits, torch.tensor([[truth]])).item(), 3) for truth in ([0, 1], [1, 0])]
    [0.0, 1.0]
    """
    p, truth, valid = probabilities(logits, labels, ignore_index)
    errors = (truth - p).abs().movedim(1, 0)[:, valid]  # (K, P)
    truth = truth.movedim(1, 0)[:, valid]
    present = [index for index in range(len(truth)) if truth[index].any()]
    if not present:
        return (logits * 0).sum()
    losses = [lovasz_of_class(errors[index], truth[index]) for index in present]
    return torch.stack(losses).mean()


def lovasz_of_class(errors: Tensor, truth: Tensor) -> Tensor:
    """Of (P,) errors in 0..1, and (P,) 1 where the class is the true one."""
    order = errors.argsort(descending=True)
    truth = truth[order]
    # The Jaccard loss of calling the first i pixels wrong, for each i; what pixel i adds to it is its error's weight.
    in_both = truth.sum() - truth.cumsum(0)
    in_either = truth.sum() + (1 - truth).cumsum(0)
    loss = 1 - in_both / in_either
    weights = torch.diff(loss, prepend=loss.new_zeros(1))
    return errors[order] @ weights


def probabilities(logits: Tensor, labels: Tensor, ignore_index: int) -> tuple[Tensor, Tensor, Tensor]:
    """(N, K, H, W) softmax, the true classes as such, all 0 where void, and (N, H, W) which pixels are valid."""
    check_shapes(logits, labels, None)
    labels = labels.long()
    valid = labels != ignore_index
    index = labels.masked_fill(~valid, 0)
    check_ids(index, logits.shape[1], ignore_index)
    p = logits.to(torch.promote_types(logits.dtype, torch.float32)).softmax(dim=1)
    truth = torch.zeros_like(p).scatter_(1, index[:, None], valid[:, None].to(p))
    return p, truth, valid
