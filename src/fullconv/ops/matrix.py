"""Convolution as a matrix: what a convolution does, written out, so that its transpose can be taken.

A convolution is linear, so it is a product W x with the flattened input. W has a row per output value and a column per
input value, and each row holds one copy of the kernel. Its transpose takes arrays of the output's shape back to the
input's shape: that is the transposed convolution, and also what backpropagation does to the gradient.

    convolution              forward  W x      backward  W^T g
    transposed convolution   forward  W^T y    backward  W g

This is the form for understanding and for checking. It is no way to compute (benchmarks/convolution.py).
"""

import torch
from torch import Tensor

from fullconv.errors import InputError
from fullconv.ops.geometry import Window


def convolution_matrix(
    weight: Tensor, size_hw: tuple[int, int], *, stride: int = 1, padding: int = 0, dilation: int = 1
) -> Tensor:
    """The sparse matrix W for which `W @ x.flatten()` is `F.conv2d(x, weight, ...)` flattened.

    Its transpose is the transposed convolution that leads back to `size_hw`: no choice of output padding is left open.

    Args:
        weight: (C_out, C_in, k_h, k_w), any dtype; gradients flow from the matrix back to it.
        size_hw: height and width (H, W) of the input.
        stride: step between two windows, at least 1.
        padding: zeros around the input, at least 0.
        dilation: distance between two taps, at least 1.

    Returns:
        (C_out * h * w, C_in * H * W) sparse COO, coalesced, dtype and device of `weight`. An entry is stored for every
        tap that falls on the input, even where the weight is zero.

    Raises:
        InputError: `weight` is not 4-D, a number is out of range, or the kernel does not fit into the padded input.

    Source: Zhang et al., "Dive into Deep Learning", section "Transposed Convolution"; Dumoulin & Visin, "A guide to
    convolution arithmetic for deep learning", 2016, section 4.1.

    >>> W = convolution_matrix(torch.tensor([[[[1, 2], [3, 4]]]]), (2, 3))
    >>> W.to_dense()
    tensor([[1, 2, 0, 3, 4, 0],
            [0, 1, 2, 0, 3, 4]])
    """
    if weight.dim() != 4 or min(weight.shape) < 1 or stride < 1 or padding < 0 or dilation < 1:
        raise InputError(
            f"convolution_matrix got a weight of shape {tuple(weight.shape)}, stride {stride}, padding {padding}, "
            f"dilation {dilation}; expected (C_out, C_in, k_h, k_w), stride and dilation of at least 1, padding of at least 0"
        )
    channels_out, channels_in, *kernel_hw = weight.shape
    (rows, row_inside), (columns, column_inside) = (
        taps(size, Window(kernel, stride, padding, dilation))
        for size, kernel in zip(size_hw, kernel_hw, strict=True)
    )
    inside = row_inside[:, None, :, None] & column_inside[None, :, None, :]  # (h, w, k_h, k_w)
    pixel = rows[:, None, :, None] * size_hw[1] + columns[None, :, None, :]  # (h, w, k_h, k_w)
    cell = torch.arange(inside.shape[0] * inside.shape[1]).view(*inside.shape[:2], 1, 1).expand_as(inside)
    u, v = torch.meshgrid(*(torch.arange(kernel) for kernel in kernel_hw), indexing="ij")
    cell, pixel = cell[inside], pixel[inside]
    u, v = u.expand_as(inside)[inside], v.expand_as(inside)[inside]
    # One channel pair after another holds the same entries, (C_out, 1, n) and (1, C_in, n).
    out = torch.arange(channels_out)[:, None, None] * (inside.shape[0] * inside.shape[1]) + cell
    into = torch.arange(channels_in)[None, :, None] * (size_hw[0] * size_hw[1]) + pixel
    values = weight[:, :, u.to(weight.device), v.to(weight.device)]  # (C_out, C_in, n)
    indices = torch.stack([each.expand(values.shape).flatten() for each in (out, into)])
    shape = (channels_out * inside.shape[0] * inside.shape[1], channels_in * size_hw[0] * size_hw[1])
    return torch.sparse_coo_tensor(
        indices.to(weight.device), values.flatten(), shape, check_invariants=False
    ).coalesce()


def taps(size: int, window: Window) -> tuple[Tensor, Tensor]:
    """Along one axis, the input index that each tap of each output cell reads, and whether it is inside the input.

    Raises:
        InputError: the window does not fit.

    >>> taps(4, Window(kernel=3, stride=2, padding=1))[0]
    tensor([[-1,  0,  1],
            [ 1,  2,  3]])
    """
    count = window.output_size(size)
    if count < 1:
        raise InputError(
            f"a kernel of {window.kernel} taps (dilation {window.dilation}) does not fit {size} cells with padding "
            f"{window.padding}; expected a larger input or more padding"
        )
    first = torch.arange(count)[:, None] * window.stride - window.padding
    index = first + window.dilation * torch.arange(window.kernel)[None, :]
    return index, (index >= 0) & (index < size)
