"""Every pixel of a picture by covering windows: their logits are averaged where they overlap.

A network with a stride-32 transposed convolution gives back the size it was given only for multiples of 32. So the
textbook lays windows of such a size over the picture until their union covers it, and averages what the windows say
about a pixel before the softmax.

Source: Zhang et al., "Dive into Deep Learning", section "Fully Convolutional Networks", prediction.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import InputError

MULTIPLE = 32


def covering_windows(size_hw: tuple[int, int], window_hw: tuple[int, int]) -> list[tuple[int, int]]:
    """The (top, left) corners of the fewest windows that cover a picture, evenly spread, row by row.

    Args:
        size_hw: the picture's height and width.
        window_hw: the windows' height and width, multiples of 32. Along an axis on which the picture is smaller there is
            one window, which hangs over the end.

    Raises:
        InputError: a window side that is no multiple of 32.

    >>> covering_windows((64, 100), (64, 64))
    [(0, 0), (0, 36)]
    """
    if any(side < 1 or side % MULTIPLE for side in window_hw):
        raise InputError(
            f"windows of {window_hw[0]} x {window_hw[1]} pixels; expected sides that are multiples of {MULTIPLE}"
        )
    tops, lefts = (evenly_spread(*axis) for axis in zip(size_hw, window_hw, strict=True))
    return [(top, left) for top in tops for left in lefts]


def evenly_spread(size: int, window: int) -> list[int]:
    """
    >>> evenly_spread(100, 32), evenly_spread(20, 32)
    ([0, 23, 45, 68], [0])
    """
    gaps = -(-size // window) - 1
    return [round(i * (size - window) / gaps) for i in range(gaps + 1)] if gaps > 0 else [0]


def averaged_logits(model: nn.Module, pictures: Tensor, window_hw: tuple[int, int]) -> Tensor:
    """The logits of every pixel, averaged over the windows that cover it.

    Sum and count are kept, so memory does not grow with the number of windows. A picture that is smaller than the window is
    extended below and to the right by zeros, the mean colour of normalised pictures; their logits are cut off.

    Args:
        model: (N, 3, h, w) to logits (N, K, h, w), for windows of `window_hw`.
        pictures: (N, 3, H, W) float, normalised.
        window_hw: multiples of 32.

    Returns:
        (N, K, H, W), at least float32, before the softmax.

    Raises:
        InputError: a window side that is no multiple of 32.

    >>> averaged_logits(nn.Conv2d(3, 2, 1), torch.zeros(1, 3, 40, 70), (32, 32)).shape
    torch.Size([1, 2, 40, 70])
    """
    height, width = pictures.shape[2:]
    tall, wide = max(height, window_hw[0]), max(width, window_hw[1])
    padded = F.pad(pictures, (0, wide - width, 0, tall - height))
    total, count = None, torch.zeros(tall, wide, device=pictures.device)
    for top, left in covering_windows((height, width), window_hw):
        here = (..., slice(top, top + window_hw[0]), slice(left, left + window_hw[1]))
        logits = model(padded[here])
        if total is None:
            # Sums of bfloat16 logits are kept in float32.
            dtype = torch.promote_types(logits.dtype, torch.float32)
            total = logits.new_zeros(*logits.shape[:2], tall, wide, dtype=dtype)
        total[here] += logits
        count[here] += 1
    assert total is not None
    return (total / count)[:, :, :height, :width]


class AveragedWindows(nn.Module):
    """A model that sees pictures only through windows of one size: `averaged_logits` as a module.

    Args:
        model: (N, 3, h, w) to logits (N, K, h, w).
        window_hw: multiples of 32.
    """

    def __init__(self, model: nn.Module, window_hw: tuple[int, int]) -> None:
        super().__init__()
        covering_windows(window_hw, window_hw)  # says at once if the sides will not do
        self.model = model
        self.window_hw = window_hw

    def forward(self, pictures: Tensor) -> Tensor:
        return averaged_logits(self.model, pictures, self.window_hw)
