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


def compared(labels: Ids, truth: Ids, num_classes: int, ignore_index: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and truth of one dtype, with the id K wherever truth is void.

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
    true = as_array(truth, ignore_index, num_classes)
    predicted = as_array(labels, num_classes)
    void = true == ignore_index
    valid = (~void).view(np.uint8)
    check = f", or {ignore_index} for void; check the masks with `fullconv data check`"
    small = np.uint8 if num_classes <= 255 else np.int32
    marked = []
    for ids, what, remedy in ((true, "truth", check), (predicted, "the prediction", "")):
        ids = ids * valid
        _check_ids(ids, num_classes, what, remedy)
        marked.append(replaced(ids.astype(small, copy=False), void, num_classes))
    return marked[1], marked[0]


def as_array(ids: Ids, *needed: int) -> np.ndarray:
    """`as_tensor` as an array, in the processor's memory."""
    return as_tensor(ids, *needed).cpu().numpy()


def replaced(ids: np.ndarray, mask: np.ndarray, highest: int) -> np.ndarray:
    """The ids, none above `highest`, with `highest` where the mask is True; `np.where` takes ten times as long."""
    return np.maximum(ids, mask.view(np.uint8) * ids.dtype.type(highest))


def framed(ids: np.ndarray, width: int, fill: int) -> np.ndarray:
    """(..., H, W) to (..., H + 2 * width, W + 2 * width), with `fill` all around; contiguous."""
    *others, rows, columns = ids.shape
    out = np.full((*others, rows + 2 * width, columns + 2 * width), fill, ids.dtype)
    out[..., width : width + rows, width : width + columns] = ids
    return out


def _check_ids(ids: np.ndarray, num_classes: int, what: str, remedy: str) -> None:
    if not ids.size:
        return
    lowest, highest = int(ids.min()), int(ids.max())
    if lowest < 0 or highest >= num_classes:
        bad = lowest if lowest < 0 else highest
        raise InputError(f"{what} holds the id {bad}; expected class ids 0..{num_classes - 1}{remedy}")


def count_pairs(rows: np.ndarray, columns: np.ndarray, num_classes: int) -> Tensor:
    """(K + 1, K + 1) int64: how often each pair of ids 0..K occurs; both maps of one shape.

    Neighbours mostly have equal pairs, so runs of them are counted rather than pixels.
    """
    rows, columns, size = rows.reshape(-1), columns.reshape(-1), num_classes + 1
    ends = np.ones(rows.size, bool)
    np.not_equal(rows[1:], rows[:-1], out=ends[:-1])
    ends[:-1] |= columns[1:] != columns[:-1]
    last = np.flatnonzero(ends)
    pairs = rows[last].astype(np.intp) * size + columns[last]
    # Sums of run lengths are whole numbers, which float64 holds exactly.
    counts = np.bincount(pairs, weights=np.diff(last, prepend=-1), minlength=size**2)
    return torch.from_numpy(counts.astype(np.int64).reshape(size, size))


def shares(parts: Sequence[int], wholes: Sequence[int]) -> list[float | None]:
    """Python integers, so that each quotient is correctly rounded; None where the whole is 0."""
    return [part / whole if whole else None for part, whole in zip(parts, wholes, strict=True)]


def mean_of_known(figures: Sequence[float | None]) -> float | None:
    """The mean of the figures that exist; exactly rounded, hence independent of their order."""
    known = [figure for figure in figures if figure is not None]
    return fmean(known) if known else None
