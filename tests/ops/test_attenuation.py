"""The fading border of the transposed convolution, against torch's layer, torch's interpolation, and by hand."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fullconv.errors import InputError
from fullconv.ops.attenuation import border_weight, border_weights, faded_upsampling, normalized_upsampling
from fullconv.ops.bilinear import LearnedUpsampling, Placement, bilinear_kernel

factors = st.integers(1, 17)
cells = st.tuples(st.integers(1, 6), st.integers(1, 6))


def plain_layer(channels: int, factor: int) -> nn.ConvTranspose2d:
    """The layer as a textbook writes it."""
    layer = nn.ConvTranspose2d(channels, channels, 2 * factor, factor, factor // 2, bias=False)
    layer.weight.data = bilinear_kernel(channels, channels, 2 * factor)
    return layer


def interpolated(scores: torch.Tensor, factor: int) -> torch.Tensor:
    return F.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)


@pytest.mark.parametrize("factor", [2, 4, 8, 16, 32])
@pytest.mark.parametrize("size_hw", [(3, 5), (7, 4)])
def test_the_plain_layer_interpolates_inside_and_fades_at_the_border(factor, size_hw):
    scores = torch.rand(2, 3, *size_hw, generator=torch.Generator().manual_seed(factor))
    with torch.no_grad():
        got = plain_layer(3, factor)(scores)
    want = interpolated(scores, factor)
    assert got.shape == want.shape
    inside = slice(factor // 2, -(factor // 2))
    torch.testing.assert_close(got[..., inside, inside], want[..., inside, inside], rtol=0, atol=2.5e-7)
    # float32 keeps about seven digits; in float64 the two are the same arithmetic.
    exact, wide = plain_layer(3, factor).double(), scores.double()
    with torch.no_grad():
        difference = exact(wide) - interpolated(wide, factor)
    assert difference[..., inside, inside].abs().max() <= 1e-7
    weights = border_weights((got.shape[2], got.shape[3]), factor)
    torch.testing.assert_close(got, (want * weights).float(), rtol=0, atol=2.5e-7)
    assert (got - want).abs().max() > 0.1


@pytest.mark.parametrize(
    ("factor", "edge", "corner"), [(2, 0.75, 0.5625), (4, 0.625, 0.390625), (32, 0.515625, 0.265869140625)]
)
def test_the_figures_at_the_border(factor, edge, corner):
    ones = torch.ones(1, 1, 4, 5)
    with torch.no_grad():
        coverage = plain_layer(1, factor)(ones)[0, 0]
    assert coverage[0, 2 * factor] == coverage[2 * factor, 0] == coverage[-1, 2 * factor] == edge
    assert coverage[0, 0] == coverage[-1, -1] == coverage[0, -1] == corner
    inside = slice(factor // 2, -(factor // 2))
    assert (coverage[inside, inside] == 1).all()
    weights = border_weights((4 * factor, 5 * factor), factor)
    assert weights[0, 2 * factor] == edge
    assert weights[0, 0] == corner


@given(factors, cells)
def test_the_formula_is_the_sum_of_the_weights(factor, size_hw):
    coverage = faded_upsampling(torch.ones(1, 1, *size_hw, dtype=torch.float64), factor)[0, 0]
    weights = border_weights((factor * size_hw[0], factor * size_hw[1]), factor)
    torch.testing.assert_close(weights, coverage, rtol=0, atol=2e-7)


@given(factors, cells)
def test_divided_by_its_weights_it_is_interpolation_everywhere(factor, size_hw):
    scores = torch.randn(2, 3, *size_hw, dtype=torch.float64, generator=torch.Generator().manual_seed(factor))
    got = normalized_upsampling(scores, factor)
    # The kernel is float32: exact for powers of two, rounded at 1/3.
    tolerance = 1e-12 if factor in (1, 2, 4, 8, 16) else 1e-6
    torch.testing.assert_close(got, interpolated(scores, factor), rtol=0, atol=tolerance)


@pytest.mark.parametrize("factor", [2, 4, 32])
def test_the_librarys_layer_is_exact_at_the_border_too(factor):
    scores = torch.randn(1, 2, 4, 3, generator=torch.Generator().manual_seed(0))
    layer = LearnedUpsampling(2, (Placement.half_pixel(factor),) * 2)
    with torch.no_grad():
        got = layer(scores, (4 * factor, 3 * factor))
    torch.testing.assert_close(got, normalized_upsampling(scores, factor), rtol=0, atol=1e-6)


def test_fading_changes_probabilities_but_not_the_winner():
    scores = 4 * torch.randn(1, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    faded, exact = faded_upsampling(scores, 8), interpolated(scores, 8)
    assert torch.equal(faded.argmax(1), exact.argmax(1))
    assert (faded.softmax(1) - exact.softmax(1)).abs().max() > 0.1


def test_channels_do_not_mix():
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 1] = 1
    assert faded_upsampling(scores, 4)[:, [0, 2]].abs().max() == 0


@given(factors, st.integers(1, 5))
def test_weights_are_symmetric_and_rise_inwards(factor, count):
    weights = border_weight(factor * count, factor)
    assert torch.equal(weights, weights.flip(0))
    half = weights[: (len(weights) + 1) // 2]
    assert (half.diff() >= 0).all()
    assert weights.min() > 0.5


def test_wrong_numbers_are_refused():
    with pytest.raises(InputError, match="factor 0"):
        faded_upsampling(torch.ones(1, 1, 2, 2), 0)
    with pytest.raises(InputError, match="30 x 32 pixels and factor 4"):
        border_weights((30, 32), 4)
