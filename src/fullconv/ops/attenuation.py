"""What happens at the border of a transposed convolution: it fades, and by how much.

Inside, every output pixel of a bilinear transposed convolution (k = 2s, padding s/2) gets weights that sum to 1. Near a
border one of the two neighbours is missing and nothing takes its place. In pixel j from the border, the weights sum to

    1/2 + (2j + 1) / (2s)    for j < s/2    (1 from there on)

so scores fade to 1/2 + 1/(2s) on the outermost row and to the square of that in the corner:

    factor   edge     corner
       2     0.750    0.563
       4     0.625    0.391
       8     0.563    0.316
      32     0.516    0.266

The relative order of the scores stays, so the arg max does too; the softmax, and every sum with other maps, do not.
Divided by these weights the result equals `interpolate(align_corners=False)` everywhere: the one neighbour that is left,
weighted w, becomes w * c / w = c, which is the border value continued.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fullconv.errors import InputError
from fullconv.ops.bilinear import bilinear_kernel


def faded_upsampling(scores: Tensor, factor: int) -> Tensor:
    """Bilinear upsampling by the plain transposed convolution of the papers and textbooks; fades at the border.

    Kernel 2s, stride s, padding s/2 for even factors s; kernel 2s - 1, padding (s - 1)/2 for odd ones.

    Args:
        scores: (N, K, h, w) float.
        factor: s, at least 1.

    Returns:
        `(N, K, s*h, s*w)`, dtype of `scores`.

    Raises:
        InputError: a factor below 1.

    >>> faded_upsampling(torch.ones(1, 1, 1, 2), 2)[0, 0, 0]
    tensor([0.5625, 0.7500, 0.7500, 0.5625])
    """
    check_factor(factor)
    channels = scores.shape[1]
    kernel = bilinear_kernel(1, 1, 2 * factor - factor % 2).to(scores)
    return F.conv_transpose2d(
        scores, kernel.expand(channels, 1, -1, -1), stride=factor, padding=factor // 2, groups=channels
    )


def border_weights(size_hw: tuple[int, int], factor: int) -> Tensor:
    """The sum of the kernel weights that reach each pixel of `faded_upsampling`: 1 inside, less near the border.

    Args:
        size_hw: height and width of the upsampled map, multiples of `factor`.
        factor: s, at least 1.

    Returns:
        (H, W) float64 in 0.25..1.

    Raises:
        InputError: a factor below 1, or a size that is no multiple of it.

    >>> border_weights((64, 64), 32)[0, :2], border_weights((64, 64), 32)[0, 32]
    (tensor([0.2659, 0.2820], dtype=torch.float64), tensor(0.5156, dtype=torch.float64))
    """
    check_factor(factor)
    if min(size_hw) < 1 or any(size % factor for size in size_hw):
        raise InputError(
            f"border_weights got {size_hw[0]} x {size_hw[1]} pixels and factor {factor}; expected multiples of it"
        )
    rows, columns = (border_weight(size, factor) for size in size_hw)
    return rows[:, None] * columns[None, :]


def border_weight(size: int, factor: int) -> Tensor:
    """The same along one axis: (size,) float64."""
    pixel = torch.arange(size, dtype=torch.float64)
    from_border = torch.minimum(pixel, size - 1 - pixel)
    return (0.5 + (2 * from_border + 1) / (2 * factor)).clamp(max=1)


def normalized_upsampling(scores: Tensor, factor: int) -> Tensor:
    """`faded_upsampling` divided by the weights that arrived: exact at the border too.

    Equals `F.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)` at every pixel.

    Args:
        scores: (N, K, h, w) float.
        factor: s, at least 1.

    Returns:
        `(N, K, s*h, s*w)`, dtype of `scores`.

    Raises:
        InputError: a factor below 1.

    >>> normalized_upsampling(torch.ones(1, 1, 1, 2), 2)[0, 0, 0]
    tensor([1., 1., 1., 1.])
    """
    upsampled = faded_upsampling(scores, factor)
    weights = border_weights((upsampled.shape[2], upsampled.shape[3]), factor)
    return upsampled / weights.to(upsampled)


def check_factor(factor: int) -> None:
    if factor < 1:
        raise InputError(f"upsampling got the factor {factor}; expected a whole number of at least 1")
