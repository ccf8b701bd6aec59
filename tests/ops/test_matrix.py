"""Convolution as a matrix against torch's own convolutions, and the documents' worked numbers."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn

from fullconv.errors import InputError
from fullconv.ops.geometry import Window
from fullconv.ops.matrix import convolution_matrix, taps

X = torch.arange(1.0, 17).view(1, 1, 4, 4)
K = torch.arange(1.0, 10).view(1, 1, 3, 3)

layers = st.fixed_dictionaries(
    {"stride": st.integers(1, 3), "padding": st.integers(0, 3), "dilation": st.integers(1, 3)}
)
sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
weights = st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 4), st.integers(1, 4))


def drawn(weight_shape, size_hw, layer, seed=0):
    """Weight, input, matrix and output size; examples in which the kernel does not fit are passed over."""
    window = {"stride": layer["stride"], "padding": layer["padding"], "dilation": layer["dilation"]}
    out_hw = tuple(
        Window(kernel, **window).output_size(size)
        for kernel, size in zip(weight_shape[2:], size_hw, strict=True)
    )
    assume(min(out_hw) >= 1)
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(weight_shape, dtype=torch.float64, generator=generator)
    x = torch.randn(1, weight_shape[1], *size_hw, dtype=torch.float64, generator=generator)
    return weight, x, convolution_matrix(weight, size_hw, **layer), out_hw


@given(weights, sizes, layers)
def test_the_product_is_the_convolution(weight_shape, size_hw, layer):
    weight, x, matrix, out_hw = drawn(weight_shape, size_hw, layer)
    want = F.conv2d(x, weight, **layer)
    assert want.shape == (1, weight_shape[0], *out_hw)
    torch.testing.assert_close((matrix @ x.flatten()).view(want.shape), want, rtol=0, atol=1e-12)


@given(weights, sizes, layers)
def test_the_transposed_product_is_the_transposed_convolution(weight_shape, size_hw, layer):
    weight, x, matrix, out_hw = drawn(weight_shape, size_hw, layer)
    y = torch.randn(
        1, weight_shape[0], *out_hw, dtype=torch.float64, generator=torch.Generator().manual_seed(1)
    )
    # Several input sizes lead to one output size; the output padding says which of them to return to.
    left_over = [
        size - Window(kernel, **layer, transposed=True).output_size(out)
        for size, kernel, out in zip(size_hw, weight_shape[2:], out_hw, strict=True)
    ]
    assume(all(0 <= extra < max(layer["stride"], layer["dilation"]) for extra in left_over))
    want = F.conv_transpose2d(y, weight, **layer, output_padding=tuple(left_over))
    torch.testing.assert_close((matrix.t() @ y.flatten()).view(x.shape), want, rtol=0, atol=1e-12)


@given(weights, sizes, layers)
def test_backpropagation_multiplies_with_the_transpose(weight_shape, size_hw, layer):
    weight, x, matrix, _ = drawn(weight_shape, size_hw, layer)
    x.requires_grad_()
    out = F.conv2d(x, weight, **layer)
    g = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad(out, x, g)
    torch.testing.assert_close((matrix.t() @ g.flatten()).view(x.shape), gradient, rtol=0, atol=1e-12)


def test_the_transposed_convolution_goes_back_with_the_matrix():
    """Forward and backward change places: the gradient of W^T y with regard to y is W g."""
    weight = torch.randn(2, 3, 3, 3, dtype=torch.float64)
    x = torch.randn(1, 3, 7, 9, dtype=torch.float64)
    y = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    matrix = convolution_matrix(weight, (7, 9), stride=2, padding=1)
    back = F.conv_transpose2d(y, weight, stride=2, padding=1)
    assert back.shape == x.shape
    (gradient,) = torch.autograd.grad(back, y, x)
    torch.testing.assert_close((matrix @ x.flatten()).view(y.shape), gradient, rtol=0, atol=1e-12)


def test_gradients_reach_the_kernel():
    weight = torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    x = torch.randn(1, 1, 5, 6, dtype=torch.float64)
    (by_matrix,) = torch.autograd.grad(
        (convolution_matrix(weight, (5, 6)) @ x.flatten()).square().sum(), weight
    )
    (by_torch,) = torch.autograd.grad(F.conv2d(x, weight).square().sum(), weight)
    torch.testing.assert_close(by_matrix, by_torch)


def test_the_documents_product():
    matrix = convolution_matrix(K, (4, 4))
    assert matrix.shape == (4, 16)
    assert (matrix @ X.flatten()).view(2, 2).tolist() == [[348, 393], [528, 573]]


def test_the_documents_matrix():
    """The textbook writes the pattern by hand: one row of 11 numbers, at four places."""
    pattern = [1, 2, 3, 0, 4, 5, 6, 0, 7, 8, 9]
    want = torch.zeros(4, 16)
    for row, start in enumerate((0, 1, 4, 5)):
        want[row, start : start + 11] = torch.tensor(pattern, dtype=torch.float32)
    assert torch.equal(convolution_matrix(K, (4, 4)).to_dense(), want)


def test_the_documents_transposed_product():
    y = F.conv2d(X, K)
    back = (convolution_matrix(K, (4, 4)).t() @ y.flatten()).view(4, 4)
    assert back[0].tolist() == [348, 1089, 1830, 1179]
    assert torch.equal(back, F.conv_transpose2d(y, K)[0, 0])


def test_zero_weights_keep_their_entries():
    matrix = convolution_matrix(torch.zeros(1, 1, 3, 3), (4, 4))
    assert matrix._nnz() == 4 * 9
    assert convolution_matrix(torch.zeros(1, 1, 3, 3), (4, 4), padding=1)._nnz() == 4 * 9 + 8 * 6 + 4 * 4


def test_64_to_32_and_back():
    """The documents' layer pair: kernel 4, stride 2, padding 1 ("same" there)."""
    picture = torch.zeros(1, 3, 64, 64)
    small = nn.Conv2d(3, 10, 4, stride=2, padding=1)(picture)
    assert small.shape == (1, 10, 32, 32)
    assert nn.ConvTranspose2d(10, 3, 4, stride=2, padding=1)(small).shape == picture.shape
    assert convolution_matrix(torch.ones(2, 1, 4, 4), (64, 64), stride=2, padding=1).shape == (
        2 * 32 * 32,
        64 * 64,
    )


def test_the_documents_sizes():
    down = Window(kernel=64, stride=32, padding=16)
    assert [down.output_size(size) for size in (320, 480)] == [10, 15]
    assert [(size - 64 + 2 * 16 + 32) / 32 for size in (320, 480)] == [10, 15]


@given(st.integers(1, 32), st.integers(1, 20))
def test_kernel_2s_padding_half_s_enlarges_s_times(half, size):
    s = 2 * half
    window = Window(kernel=2 * s, stride=s, padding=s // 2, transposed=True)
    assert window.output_size(size) == s * size
    assert Window(kernel=2 * s, stride=s, padding=s // 2).output_size(s * size) == size


@given(st.integers(1, 8), st.integers(1, 5))
def test_torch_enlarges_s_times_too(half, size):
    s = 2 * half
    y = F.conv_transpose2d(
        torch.zeros(1, 1, size, size + 1), torch.zeros(1, 1, 2 * s, 2 * s), stride=s, padding=s // 2
    )
    assert y.shape[2:] == (s * size, s * (size + 1))


@pytest.mark.parametrize(
    ("weight", "options", "words"),
    [
        (torch.ones(3, 3), {}, r"shape \(3, 3\).*expected \(C_out"),
        (torch.ones(1, 1, 3, 3), {"stride": 0}, "stride 0"),
        (torch.ones(1, 1, 3, 3), {"padding": -1}, "padding -1"),
        (torch.ones(1, 1, 3, 3), {"dilation": 2}, "does not fit 4 cells"),
    ],
)
def test_what_cannot_be_a_convolution_is_refused(weight, options, words):
    with pytest.raises(InputError, match=words):
        convolution_matrix(weight, (4, 4), **options)


def test_taps_outside_are_marked():
    index, inside = taps(3, Window(kernel=2, stride=2, padding=1, dilation=2))
    assert index.tolist() == [[-1, 1], [1, 3]]
    assert inside.tolist() == [[False, True], [True, False]]
