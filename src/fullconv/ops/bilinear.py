"""Upsampling of scores: the bilinear kernel, and upsampling that is exact in alignment at every size.

A score map is a coarse sample of the picture: score i belongs to one pixel position, which `ops.geometry` derives.
Upsampling asks, for each cell of a finer grid, which coarse position it falls on, and interpolates between the two
neighbours of that position along each axis. Nothing is stretched: the factor is exact, what hangs over is never made.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.ops.geometry import Geometry


def bilinear_kernel(in_channels: int, out_channels: int, kernel_size: int) -> Tensor:
    """The transposed-convolution kernel that upsamples bilinearly, each channel for itself.

    Args:
        in_channels: channels of the input; must equal `out_channels`.
        out_channels: channels of the output.
        kernel_size: k; upsamples by the factor (k + 1) // 2.

    Returns:
        (in_channels, out_channels, k, k) float32 in 0..1; zero where the input channel is not the output channel.

    Raises:
        InputError: the channel counts differ or a size is below 1.

    Source: Long, Shelhamer & Darrell 2015, section 3.3; `surgery.interp` in github.com/shelhamer/fcn.berkeleyvision.org.

    >>> bilinear_kernel(1, 1, 4)[0, 0, 1]
    tensor([0.1875, 0.5625, 0.5625, 0.1875])
    """
    if in_channels != out_channels or in_channels < 1 or kernel_size < 1:
        raise InputError(
            f"bilinear_kernel got {in_channels} input and {out_channels} output channels, kernel size {kernel_size}; "
            "expected equal channel counts and sizes of at least 1"
        )
    factor = (kernel_size + 1) // 2
    center = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
    taps = triangle(torch.arange(kernel_size, dtype=torch.float64) - center, factor).float()
    kernel = torch.zeros(in_channels, out_channels, kernel_size, kernel_size)
    kernel[range(in_channels), range(out_channels)] = taps[:, None] * taps[None, :]
    return kernel


def triangle(distance: Tensor, width: float = 1) -> Tensor:
    """The weight of a neighbour at `distance` in linear interpolation: 1 at 0, falling to 0 at `width`.

    >>> triangle(torch.tensor([-0.25, 0.0, 1.5]))
    tensor([0.7500, 1.0000, 0.0000])
    """
    return (1 - distance.abs() / width).clamp(min=0)


LARGEST_UNIT = 1 << 10
"""Finer fractions of a cell than this are reckoned in floating point."""


@dataclass(frozen=True)
class Placement:
    """How a coarse grid lies on a finer one, along one axis: coarse cell i is at fine cell `factor * i + shift`.

    >>> from fullconv.ops.geometry import Window
    >>> pooled = Geometry().through(Window(kernel=2, stride=2))
    >>> Placement.between(pooled, Geometry())
    Placement(factor=2.0, shift=0.5)
    """

    factor: float
    shift: float

    @classmethod
    def between(cls, coarse: Geometry, fine: Geometry) -> "Placement":
        """The placement that the arithmetic of strides and offsets gives."""
        return cls(float(coarse.stride / fine.stride), float((coarse.offset - fine.offset) / fine.stride))

    @classmethod
    def half_pixel(cls, factor: float) -> "Placement":
        """The placement of `interpolate(align_corners=False)` and of the k = 2s, p = s/2 transposed convolution."""
        return cls(factor, (factor - 1) / 2)

    @property
    def whole_numbers(self) -> tuple[int, int, int] | None:
        """A unit, and factor and shift in parts of it, all whole; None where the unit would be too small.

        >>> Placement(32.0, 15.5).whole_numbers, Placement(4.0, 0.1).whole_numbers
        ((2, 64, 31), None)
        """
        unit = math.lcm(self.factor.as_integer_ratio()[1], self.shift.as_integer_ratio()[1])
        return None if unit > LARGEST_UNIT else (unit, int(unit * self.factor), int(unit * self.shift))


def interpolation_matrix(
    size_out: int, size_in: int, placement: Placement, *, first: int = 0, like: Tensor | None = None
) -> Tensor:
    """The linear interpolation from a coarse axis to a fine one, as a matrix; the border value goes on beyond the border.

    Args:
        size_out: fine cells wanted.
        size_in: coarse cells there are.
        placement: where the coarse cells lie on the fine axis.
        first: the fine cell that row 0 stands for, for working in strips.
        like: a tensor whose dtype and device the matrix takes; float32 on the CPU without.

    Returns:
        (size_out, size_in); each row holds at most two weights above zero and sums to 1.

    >>> interpolation_matrix(4, 2, Placement(factor=2, shift=0))
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000],
            [0.0000, 1.0000],
            [0.0000, 1.0000]])
    """
    device = None if like is None else like.device
    dtype = torch.float32 if like is None else like.dtype
    # Whole numbers are exact in every precision, and in every engine that a network is exported to.
    whole = placement.whole_numbers
    unit, factor, shift = whole or (1, placement.factor, placement.shift)
    number = torch.float64 if whole is None else torch.int32
    fine = torch.arange(first, first + size_out, device=device, dtype=number) * unit
    position = (fine - shift).clamp(0, factor * (size_in - 1))
    coarse = torch.arange(size_in, device=device, dtype=number) * factor
    weights = (factor - (position[:, None] - coarse[None, :]).abs()).clamp(min=0)
    return (weights.double() / factor).to(dtype) if whole is None else weights.to(dtype) / factor


def upsample(scores: Tensor, placement_hw: tuple[Placement, Placement], size_hw: tuple[int, int]) -> Tensor:
    """Bilinear upsampling with exact placement.

    Interpolation along both axes is two matrix products with thin matrices: exact for any factor, offset and size,
    as fast as `interpolate` forward and faster backward at training sizes (benchmarks/upsampling.py).

    Args:
        scores: (N, K, h, w) float.
        placement_hw: where the score cells lie on the fine grid, for rows and columns.
        size_hw: fine rows and columns wanted.

    Returns:
        (N, K, H, W), dtype of `scores`.

    >>> half = Placement.half_pixel(2)
    >>> upsample(torch.tensor([[[[0.0, 1.0]]]]), (half, half), (1, 4))
    tensor([[[[0.0000, 0.2500, 0.7500, 1.0000]]]])
    """
    rows = interpolation_matrix(size_hw[0], scores.shape[2], placement_hw[0], like=scores)
    columns = interpolation_matrix(size_hw[1], scores.shape[3], placement_hw[1], like=scores)
    # Autocast would round positions and scores to bfloat16.
    with torch.autocast(scores.device.type, enabled=False):
        return rows @ (scores.contiguous() @ columns.T)


class LearnedUpsampling(nn.Module):
    """A transposed convolution that starts as exact bilinear upsampling and may learn something better.

    The kernel's centre is put where the arithmetic says, at any fraction of a cell. With `border="exact"` the scores are
    continued beyond their border: at its bilinear start the layer equals `upsample` at every cell, borders included.
    With `border="fade"` zeros follow, as in a plain transposed convolution: scores fade to 0.516 on edges and 0.266 in
    corners at stride 32. Half-pixel placement and "fade" give the textbook's k = 2s, p = s/2 layer.

    Args:
        channels: K, in and out; the kernel is dense, (K, K, k, k), as in the paper.
        placement_hw: where the coarse cells lie on the fine grid; integer factors.
        init: "bilinear", or "xavier" for the textbook's comparison.
        border: "exact" or "fade".

    Raises:
        InputError: a factor is not an integer.
    """

    def __init__(
        self,
        channels: int,
        placement_hw: tuple[Placement, Placement],
        init: Literal["bilinear", "xavier"] = "bilinear",
        border: Literal["exact", "fade"] = "exact",
    ) -> None:
        super().__init__()
        if any(placement.factor != int(placement.factor) for placement in placement_hw):
            raise InputError(
                f"learned upsampling got the factors {placement_hw}; expected whole numbers; use upsampling='fixed'"
            )
        self.placement_hw = placement_hw
        self.border = border
        self.stride_hw = (int(placement_hw[0].factor), int(placement_hw[1].factor))
        # The scores are continued by `before` cells, so coarse cell i has its kernel's centre at
        # stride * (i + before) + center of the full transposed convolution, which is cut at `crop`:
        # center = shift + crop - stride * before must lie in [stride - 1, stride) for the triangle to fit the 2s taps.
        axes = list(zip(self.stride_hw, placement_hw, strict=True))
        self.before_hw = tuple(max(1, math.ceil(p.shift / s)) for s, p in axes)
        self.crop_hw = tuple(
            s * b + s - 1 - math.floor(p.shift) for (s, p), b in zip(axes, self.before_hw, strict=True)
        )
        taps = [
            triangle(torch.arange(2 * s, dtype=torch.float64) - (p.shift % 1 + s - 1), s).float()
            for s, p in axes
        ]
        self.weight = nn.Parameter(torch.zeros(channels, channels, taps[0].numel(), taps[1].numel()))
        if init == "bilinear":
            self.weight.data[range(channels), range(channels)] = taps[0][:, None] * taps[1][None, :]
        else:
            nn.init.xavier_uniform_(self.weight)

    def forward(self, scores: Tensor, size_hw: tuple[int, int]) -> Tensor:
        """(N, K, h, w) to (N, K, H, W), H and W as asked for."""
        scores = scores.to(self.weight.dtype)
        for axis, size in zip((2, 3), size_hw, strict=True):
            scores = self.continued(scores, axis, size)
        # In float32 always: bfloat16 transposed convolution is many times slower on CPUs.
        with torch.autocast(scores.device.type, enabled=False):
            full = F.conv_transpose2d(scores, self.weight, stride=self.stride_hw)
        # `narrow` says that so many rows and columns are there, which slices would leave open in an exported graph.
        for axis, size, crop in zip((2, 3), size_hw, self.crop_hw, strict=True):
            full = full.narrow(axis, crop, size)
        return full

    def continued(self, scores: Tensor, axis: int, size: int) -> Tensor:
        """The cells along an axis whose kernels reach the `size` fine cells wanted, those beyond the border included."""
        before, crop, stride = (values[axis - 2] for values in (self.before_hw, self.crop_hw, self.stride_hw))
        cells = scores.shape[axis]
        index = torch.arange((crop + size - 1) // stride + 1, device=scores.device) - before
        taken = scores.index_select(axis, index.clamp(0, cells - 1))
        if self.border == "exact":
            return taken
        inside = (index >= 0) & (index < cells)
        return taken * (inside[:, None] if axis == 2 else inside)
