"""The arithmetic of windows, against what torch does."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fullconv.errors import InputError
from fullconv.ops.geometry import PIXELS, Geometry, Window, chain, crop_offset

windows = st.builds(
    Window,
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 2),
    dilation=st.integers(1, 2),
)


def layer(window: Window) -> nn.Module:
    if window.transposed:
        return nn.ConvTranspose1d(
            1,
            1,
            window.kernel,
            window.stride,
            window.padding,
            window.output_padding,
            dilation=window.dilation,
            bias=False,
        )
    return nn.Conv1d(1, 1, window.kernel, window.stride, window.padding, window.dilation, bias=False)


def support(layers: list[nn.Module], size: int, cell: int) -> tuple[int, int]:
    """The first and last input that an output cell depends on, by gradient."""
    x = torch.zeros(1, 1, size, dtype=torch.float64, requires_grad=True)
    y = x
    for module in layers:
        for parameter in module.parameters():
            parameter.data = torch.ones_like(parameter, dtype=torch.float64)
        y = module(y)
    y[0, 0, cell].backward()
    touched = x.grad[0, 0].nonzero().flatten()
    return int(touched[0]), int(touched[-1])


@given(st.lists(windows, min_size=1, max_size=4))
def test_a_chain_sees_what_its_gradient_says(chained):
    geometry = chain(chained)
    middle = int(60 // geometry.stride) + 1
    first, last = geometry.first + middle * geometry.stride, geometry.last + middle * geometry.stride
    size = int(last) + 100
    sizes = [size]
    for window in chained:
        sizes.append(window.output_size(sizes[-1]))
    if first < 0 or middle >= sizes[-1] - int(40 // geometry.stride):
        return
    assert support([layer(window) for window in chained], size, middle) == (first, last)


@given(windows, st.integers(1, 40))
def test_output_size_is_torchs(window, size):
    if window.output_size(size) < 1:
        return
    assert layer(window)(torch.zeros(1, 1, size)).shape[2] == window.output_size(size)


@given(
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    padding=st.integers(0, 2),
    extra=st.integers(0, 3),
    size=st.integers(1, 12),
)
def test_transposed_output_size_is_torchs(kernel, stride, padding, extra, size):
    window = Window(kernel, stride, padding, transposed=True, output_padding=min(extra, stride - 1))
    if window.output_size(size) < 1:
        return
    assert layer(window)(torch.zeros(1, 1, size)).shape[2] == window.output_size(size)


@given(kernel=st.integers(2, 4), stride=st.integers(1, 3), padding=st.integers(0, 1), size=st.integers(5, 40))
def test_ceil_mode_is_torchs(kernel, stride, padding, size):
    window = Window(kernel, stride, padding, ceil_mode=True)
    pool = nn.MaxPool1d(kernel, stride, padding, ceil_mode=True)
    assert pool(torch.zeros(1, 1, size)).shape[2] == window.output_size(size)


@given(stride=st.integers(1, 16))
def test_the_textbooks_transposed_convolution_enlarges_exactly(stride):
    """k = 2s, p = s/2 multiplies the size by s (for even s)."""
    window = Window(kernel=4 * stride, stride=2 * stride, padding=stride, transposed=True)
    assert window.output_size(10) == 20 * stride


def test_a_transposed_convolution_undoes_its_convolution():
    down = Window(kernel=4, stride=2, padding=1)
    up = Window(kernel=4, stride=2, padding=1, transposed=True)
    there_and_back = Geometry().through(down).through(up)
    assert (there_and_back.stride, there_and_back.offset) == (1, 0)


def test_offsets_of_known_networks():
    vgg = [Window(3, 1, 1), Window(3, 1, 1), Window(2, 2)] * 2 + [Window(3, 1, 1)] * 3 + [Window(2, 2)]
    vgg += ([Window(3, 1, 1)] * 3 + [Window(2, 2)]) * 2
    assert chain(vgg) == Geometry(Fraction(32), Fraction(31, 2), Fraction(212))
    stem = [Window(7, 2, 3), Window(3, 2, 1)]
    assert chain(stem) == Geometry(Fraction(4), Fraction(0), Fraction(11))


def test_joined_holds_both_windows():
    wide = Geometry().through(Window(5, 1, 2))
    narrow = Geometry().through(Window(1, 1, 0))
    assert wide.joined(narrow) == wide
    shifted = Geometry().through(Window(2, 1, 0))
    assert shifted.joined(narrow).offset == Fraction(1, 2)


@pytest.mark.parametrize("cells", [-2, 3])
def test_moved(cells):
    assert Geometry(Fraction(4)).moved(cells).offset == 4 * cells


@given(stride=st.integers(1, 8), padding=st.integers(0, 20), cells=st.integers(0, 6))
def test_crop_offset_undoes_what_was_padded_on(stride, padding, cells):
    plain = PIXELS.through(Window(kernel=3, stride=stride, padding=padding))
    assert crop_offset(plain.moved(-cells), onto=plain) == cells


def test_crop_offset_is_where_the_first_pixel_of_an_enlarged_map_lies():
    """Of a map that was halved and doubled again, cell `crop` is made of the pixels around pixel 0."""
    layers = [
        Window(kernel=5, padding=6),
        Window(kernel=2, stride=2),
        Window(kernel=4, stride=2, transposed=True),
    ]
    crop = crop_offset(chain(layers), onto=PIXELS)
    modules = [
        nn.Conv1d(1, 1, 5, padding=6, bias=False),
        nn.AvgPool1d(2),
        nn.ConvTranspose1d(1, 1, 4, 2, bias=False),
    ]
    pixel = 10
    first, last = support(modules, 40, pixel + crop)
    assert crop == 5
    assert abs((first + last) / 2 - pixel) <= 1


@pytest.mark.parametrize(
    ("cropped", "onto", "said"),
    [
        (Geometry(Fraction(2)), PIXELS, "strides 2 and 1"),
        (Geometry(offset=Fraction(-1, 2)), PIXELS, "crop of 1/2 cells"),
        (Geometry(offset=Fraction(3)), PIXELS, "crop of -3 cells"),
    ],
)
def test_what_cannot_be_cropped_is_refused(cropped, onto, said):
    with pytest.raises(InputError, match=said):
        crop_offset(cropped, onto)
