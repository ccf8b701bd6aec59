"""Where a network looks: stride, offset and receptive field of any chain of window layers.

A layer with kernel k, stride s, padding p and dilation d sees, at output i, the inputs `s*i - p + d*t` for t in 0..k-1.
Their centre is `s*i + (d*(k-1)/2 - p)`: the layer has stride s and offset `d*(k-1)/2 - p`. Chained layers compose, so
each cell i of a feature map has its centre at pixel `stride * i + offset` of the picture, exactly.

    2x2/2 pooling         offset 0.5     five of them: stride 32, offset 15.5 (VGG)
    7x7/2 padding 3       offset 0       five such:    stride 32, offset 0    (ResNet, MobileNet)

Source: Long, Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", 2015, section 3;
Araujo, Norris & Sim, "Computing Receptive Fields of Convolutional Neural Networks", Distill 2019.
"""

from dataclasses import dataclass
from fractions import Fraction

from fullconv.errors import InputError


@dataclass(frozen=True)
class Window:
    """One convolution, pooling or transposed convolution, along one axis.

    Attributes:
        kernel: taps, at least 1.
        stride: step between two windows; for a transposed convolution the factor by which it enlarges.
        padding: cells added before the first one (and behind the last one), or, transposed, cut off there.
        dilation: distance between two taps.
        transposed: whether the layer is a transposed convolution.
        output_padding: cells added behind the last output of a transposed convolution.
        ceil_mode: whether a window that hangs over the end counts (pooling only).
    """

    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    transposed: bool = False
    output_padding: int = 0
    ceil_mode: bool = False

    @property
    def span(self) -> int:
        """The cells from the first tap to the last, both counted."""
        return self.dilation * (self.kernel - 1) + 1

    def output_size(self, size: int) -> int:
        """The number of output cells for `size` input cells; 0 or less where the window does not fit.

        >>> Window(kernel=64, stride=32, padding=16, transposed=True).output_size(10)
        320
        >>> [Window(kernel=3, stride=2, padding=1).output_size(size) for size in (1, 2, 3, 480, 481)]
        [1, 1, 2, 240, 241]
        """
        if self.transposed:
            return (size - 1) * self.stride - 2 * self.padding + self.span + self.output_padding
        room = size + 2 * self.padding - self.span
        if not self.ceil_mode:
            return room // self.stride + 1
        count = -(-room // self.stride) + 1
        # A window that would start in the padding behind the input is dropped, as torch does.
        return count - 1 if (count - 1) * self.stride >= size + self.padding else count


@dataclass(frozen=True)
class Geometry:
    """How the cells of a feature map lie on the picture, along one axis.

    Cell i has its centre at pixel `stride * i + offset` and depends on the `receptive_field` pixels around it.
    Pixel indices are the centres of pixels: 0 is the middle of the first pixel.

    >>> pixel = Geometry()
    >>> pixel.through(Window(kernel=7, stride=2, padding=3))
    Geometry(stride=2, offset=0, receptive_field=7)
    """

    stride: Fraction = Fraction(1)
    offset: Fraction = Fraction(0)
    receptive_field: Fraction = Fraction(1)

    def __repr__(self) -> str:
        return f"Geometry(stride={self.stride}, offset={self.offset}, receptive_field={self.receptive_field})"

    @property
    def first(self) -> Fraction:
        """The first pixel that cell 0 depends on; negative where padding is seen."""
        return self.offset - (self.receptive_field - 1) / 2

    @property
    def last(self) -> Fraction:
        """The last pixel that cell 0 depends on."""
        return self.offset + (self.receptive_field - 1) / 2

    def through(self, window: Window) -> "Geometry":
        """The geometry of the layer's output, given that of its input."""
        reach = window.dilation * (window.kernel - 1)
        if window.transposed:
            # Output j is made of the inputs i with stride*i - padding + t = j: their mean is (j + padding - reach/2) / stride.
            inputs = -(-(reach + 1) // window.stride)
            return Geometry(
                stride=self.stride / window.stride,
                offset=self.offset + self.stride * (window.padding - Fraction(reach, 2)) / window.stride,
                receptive_field=self.receptive_field + (inputs - 1) * self.stride,
            )
        return Geometry(
            stride=self.stride * window.stride,
            offset=self.offset + self.stride * (Fraction(reach, 2) - window.padding),
            receptive_field=self.receptive_field + reach * self.stride,
        )

    def moved(self, cells: int | Fraction) -> "Geometry":
        """The geometry after the first `cells` cells were cut off (or, negative, padded on)."""
        return Geometry(self.stride, self.offset + cells * self.stride, self.receptive_field)

    def joined(self, other: "Geometry") -> "Geometry":
        """The geometry of a sum or concatenation: the smallest window that holds both receptive fields.

        Branches with different strides cannot be joined cell by cell; the coarser one is kept.
        """
        if self.stride != other.stride:
            return max(self, other, key=lambda geometry: geometry.stride)
        first, last = min(self.first, other.first), max(self.last, other.last)
        return Geometry(self.stride, (first + last) / 2, last - first + 1)


PIXELS = Geometry()
"""The picture itself: cell i is pixel i."""


def chain(windows: list[Window]) -> Geometry:
    """The geometry of a chain of layers, first layer first.

    >>> vgg_pools = [Window(kernel=2, stride=2)] * 5
    >>> chain(vgg_pools).stride, chain(vgg_pools).offset
    (Fraction(32, 1), Fraction(31, 2))
    """
    geometry = PIXELS
    for window in windows:
        geometry = geometry.through(window)
    return geometry


def crop_offset(cropped: Geometry, onto: Geometry) -> int:
    """How many cells to cut from the front of a feature map so that it lies on another, cell on cell.

    Args:
        cropped: the feature map that reaches further ahead.
        onto: the feature map, or the picture itself, that its first remaining cell shall lie on.

    Raises:
        InputError: the strides differ, the answer is no whole number, or it is negative; rounding would put the sum of
            the two maps out of register.

    Source: `crop` in python/caffe/coord_map.py of github.com/BVLC/caffe, which refuses the same three cases.

    >>> padded = PIXELS.through(Window(kernel=3, padding=100))
    >>> crop_offset(padded, onto=PIXELS)
    99
    """
    cells = (onto.offset - cropped.offset) / cropped.stride
    if cropped.stride != onto.stride or cells.denominator != 1 or cells < 0:
        raise InputError(
            f"{cropped} cannot be cropped onto {onto}: got strides {cropped.stride} and {onto.stride} and a crop of {cells} "
            "cells; expected equal strides and a whole number of at least 0; change kernels or paddings"
        )
    return int(cells)
