"""Class ids as every measure wants them: checked, in a small dtype, void marked."""

from collections.abc import Sequence
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError

Ids = Tensor | np.ndarray


def check_num_classes(what: str, num_classes: int) -> None:
    if num_classes < 1:
        raise InputError(f"{what} got num_classes {num_classes}; expected at least 1")


def check_picture(what: str, truth: Ids) -> None:
    if len(truth.shape) < 2:
        raise InputError(f"{what} got truth of shape {tuple(truth.shape)}; expected (..., H, W)")


def as_tensor(ids: Ids, *needed: int) -> Tensor:
    """The ids as a tensor that torch can compute with and whose dtype holds the `needed` ids as well."""
    if isinstance(ids, np.ndarray):
        # Arrays from a picture reader can be read-only or of foreign byte order; torch takes neither.
        ids = torch.from_numpy(np.array(ids, dtype=ids.dtype.newbyteorder("=")))
    if ids.is_floating_point() or ids.is_complex():
        raise InputError(f"got class ids of {ids.dtype}; expected integers: take argmax of scores first")
    if ids.dtype not in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        return ids.long()
    # Torch compares modulo the dtype: an int8 of -1 would equal 255.
    limits = torch.iinfo(ids.dtype)
    return ids if limits.min <= min(needed) and max(needed) <= limits.max else ids.long()


def compared(labels: Ids, truth: Ids, num_classes: int, ignore_index: int) -> tuple[Tensor, Tensor]:
    """Labels and truth of one dtype on one device, with the id K wherever truth is void.

    Returns:
        labels, truth: the shape given, uint8 where K fits, else int32; ids 0..K.

    Raises:
        InputError: the shapes differ, the ids are not integers, or an id is no class.
    """
    if tuple(labels.shape) != tuple(truth.shape):
        raise InputError(
            f"got labels of shape {tuple(labels.shape)} and truth of shape {tuple(truth.shape)}; "
            "expected equal shapes"
        )
    truth = as_tensor(truth, ignore_index, num_classes)
    labels = as_tensor(labels, num_classes).to(truth.device)
    void = truth == ignore_index
    check = f", or {ignore_index} for void; check the masks with `fullconv data check`"
    for ids, what, remedy in ((truth, "truth", check), (labels, "the prediction", "")):
        _check_ids(ids * ~void, num_classes, what, remedy)
    small = torch.uint8 if num_classes <= 255 else torch.int32
    labels, truth = ((ids * ~void).to(small) for ids in (labels, truth))
    return replaced(labels, void, num_classes), replaced(truth, void, num_classes)


def replaced(ids: Tensor, mask: Tensor, highest: int) -> Tensor:
    """The ids, none above `highest`, with `highest` where the mask is True; `masked_fill` took ten times as long."""
    return torch.maximum(ids, mask.to(ids.dtype) * highest)


def _check_ids(ids: Tensor, num_classes: int, what: str, remedy: str) -> None:
    if not ids.numel():
        return
    lowest, highest = (int(extreme) for extreme in ids.aminmax())
    if lowest < 0 or highest >= num_classes:
        bad = lowest if lowest < 0 else highest
        raise InputError(f"{what} holds the id {bad}; expected class ids 0..{num_classes - 1}{remedy}")


def count_pairs(rows: Tensor, columns: Tensor, num_classes: int) -> Tensor:
    """(K + 1, K + 1) int64 on the CPU: how often each pair of ids 0..K occurs; both maps of one shape."""
    size = num_classes + 1
    pairs = (rows.to(torch.int32) * size).add_(columns.to(torch.int32))
    return torch.bincount(pairs.flatten(), minlength=size**2).view(size, size).cpu()


def shares(parts: Sequence[int], wholes: Sequence[int]) -> list[float | None]:
    """Python integers, so that each quotient is correctly rounded; None where the whole is 0."""
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


def mean_of_known(figures: Sequence[float | None]) -> float | None:
    """The mean of the figures that exist; exactly rounded, hence independent of their order."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None
