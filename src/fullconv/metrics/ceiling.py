"""The best mean IU that a network of a given stride could reach: a ceiling to put beside each score."""

import numpy as np
import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX
from fullconv.metrics.ids import Ids, as_tensor, check_picture

STRIDES = (32, 16, 8, 4)
"""The strides whose ceilings are told with every evaluation: those of FCN-32s, 16s, 8s and 4s."""


def stride_ceiling(truth: Ids, stride: int, ignore_index: int = IGNORE_INDEX) -> Tensor:
    """The truth as a score grid of this stride can show it at best: shrunk, then enlarged in blocks.

    Scored against truth over a data set, it gives the ceiling that the FCN paper puts beside each stride
    (mean IU on PASCAL VOC: 86.1 % at 32, 92.8 % at 16, 96.4 % at 8). Each cell of stride × stride pixels
    takes the class of its valid pixel nearest to its centre; a cell that is all void stays void. Bilinear
    upsampling can pass the ceiling, because it draws borders inside a cell.

    Args:
        truth: (..., H, W) integers, true ids.
        stride: at least 1.
        ignore_index: the true id of void pixels.

    Returns:
        (..., H, W) ids in the dtype of truth (int64 where torch cannot compute in it), void only where it is.

    Raises:
        InputError: truth has no height and width or is not of integers, or stride is below 1.

    Source: Long, Shelhamer & Darrell 2015, appendix A, "Upper Bounds on IU".

    >>> stride_ceiling(torch.tensor([[0, 0, 0, 1, 2, 2]]), stride=3)
    tensor([[0, 0, 0, 2, 2, 2]])
    """
    check_picture("stride_ceiling", truth)
    ids = as_tensor(truth, ignore_index)
    return torch.from_numpy(ceiling_of(ids.cpu().numpy(), stride, ignore_index)).to(ids.device)


def ceiling_of(ids: np.ndarray, stride: int, ignore_index: int) -> np.ndarray:
    """`stride_ceiling` of true ids (..., H, W) that have been checked; the stride has not."""
    if stride < 1:
        raise InputError(f"stride_ceiling got stride {stride}; expected at least 1")
    *others, height, width = ids.shape
    whole = np.full((*others, height + -height % stride, width + -width % stride), ignore_index, ids.dtype)
    whole[..., :height, :width] = ids
    middle = (stride - 1) // 2
    coarse = whole[..., middle::stride, middle::stride].copy()  # (..., H/s, W/s)
    blind = coarse == ignore_index
    if blind.any():
        cells = whole.reshape(*others, coarse.shape[-2], stride, coarse.shape[-1], stride).swapaxes(-3, -2)
        coarse[blind] = _nearest_valid(cells[blind].reshape(-1, stride**2), stride, ignore_index)
    wide = coarse.repeat(stride, axis=-1)[..., :width]
    return wide[..., np.arange(height) // stride, :]


def _nearest_valid(cells: np.ndarray, stride: int, ignore_index: int) -> np.ndarray:
    """(n, stride * stride) cells, row by row, to (n,): of each the valid id nearest to its centre, void where none is."""
    position = 2 * np.arange(stride) - (stride - 1)
    distance = (position[:, None] ** 2 + position[None, :] ** 2).ravel()
    nearest = np.where(cells == ignore_index, distance.max() + 1, distance).argmin(axis=-1)
    return cells[np.arange(len(cells)), nearest]
