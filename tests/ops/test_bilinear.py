"""Upsampling, against interpolation written out, torch's own, and the textbook's kernel."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from fullconv.errors import InputError
from fullconv.ops.bilinear import (
    LearnedUpsampling,
    Placement,
    bilinear_kernel,
    interpolation_matrix,
    upsample,
)

placements = st.builds(
    Placement,
    factor=st.integers(1, 9).map(float),
    shift=st.integers(-16, 24).map(lambda quarters: quarters / 4),
)


def by_hand(values: list[float], placement: Placement, size: int) -> list[float]:
    """Linear interpolation of one row in plain Python; beyond the border the border's value."""
    result = []
    for fine in range(size):
        position = min(max((fine - placement.shift) / placement.factor, 0.0), len(values) - 1.0)
        left = int(position)
        right = min(left + 1, len(values) - 1)
        result.append(values[left] * (1 - (position - left)) + values[right] * (position - left))
    return result


@given(placements, st.lists(st.floats(-10, 10), min_size=1, max_size=7), st.integers(1, 40))
def test_rows_are_linear_interpolation(placement, values, size):
    matrix = interpolation_matrix(size, len(values), placement, like=torch.zeros(1, dtype=torch.float64))
    got = matrix @ torch.tensor(values, dtype=torch.float64)
    np.testing.assert_allclose(got.numpy(), by_hand(values, placement, size), atol=1e-12)


@given(placements, st.integers(1, 9), st.integers(1, 50))
def test_constant_scores_stay_constant(placement, cells, size):
    matrix = interpolation_matrix(size, cells, placement)
    torch.testing.assert_close(matrix.sum(1), torch.ones(size))
    assert (matrix >= 0).all()
    assert ((matrix > 0).sum(1) <= 2).all()


@given(st.integers(1, 8), st.integers(1, 6), st.integers(1, 6))
def test_half_pixel_placement_is_torchs_interpolate(factor, rows, columns):
    scores = torch.randn(
        2, 3, rows, columns, dtype=torch.float64, generator=torch.Generator().manual_seed(factor)
    )
    place = (Placement.half_pixel(factor),) * 2
    want = F.interpolate(scores, scale_factor=factor, mode="bilinear", align_corners=False)
    torch.testing.assert_close(upsample(scores, place, (rows * factor, columns * factor)), want)


def test_zero_shift_is_torchs_align_corners():
    scores = torch.randn(1, 2, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    want = F.interpolate(scores, size=(3 * 8 + 1, 4 * 8 + 1), mode="bilinear", align_corners=True)
    torch.testing.assert_close(upsample(scores, (Placement(8, 0),) * 2, (25, 33)), want)


def test_strips_are_parts_of_the_whole():
    place = Placement(8, 3.5)
    whole = interpolation_matrix(64, 8, place)
    torch.testing.assert_close(interpolation_matrix(20, 8, place, first=13), whole[13:33], rtol=0, atol=0)


@given(
    placement_hw=st.tuples(placements, placements), cells=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
)  # fmt: skip
def test_learned_upsampling_starts_as_exact_upsampling(placement_hw, cells, size):
    layer = LearnedUpsampling(2, placement_hw)
    scores = torch.randn(1, 2, *cells, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        layer(scores, size), upsample(scores, placement_hw, size), rtol=1e-5, atol=1e-5
    )


def test_learned_upsampling_learns_and_can_start_elsewhere():
    layer = LearnedUpsampling(2, (Placement(4, 0),) * 2, init="xavier")
    assert (layer.weight[0, 1] != 0).any()
    layer(torch.randn(1, 2, 3, 3), (12, 12)).sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_learned_upsampling_needs_whole_factors():
    with pytest.raises(InputError, match="whole numbers"):
        LearnedUpsampling(2, (Placement(1.5, 0),) * 2)


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4, 5, 8, 16, 64])
def test_bilinear_kernel_is_the_papers(kernel_size):
    factor = (kernel_size + 1) // 2
    center = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
    rows, columns = np.ogrid[:kernel_size, :kernel_size]
    want = (1 - abs(rows - center) / factor) * (1 - abs(columns - center) / factor)
    kernel = bilinear_kernel(3, 3, kernel_size)
    assert kernel.shape == (3, 3, kernel_size, kernel_size)
    for i in range(3):
        for j in range(3):
            np.testing.assert_allclose(kernel[i, j], want if i == j else 0 * want, atol=1e-7)


def test_the_plain_layer_equals_interpolation_inside_and_fades_at_the_border():
    """561 x 728 to 1122 x 1456 in the textbook; here smaller. The fading at stride 32: 0.516 on edges, 0.266 in corners."""
    scores = torch.rand(1, 3, 17, 23)
    up = F.conv_transpose2d(scores, bilinear_kernel(3, 3, 4), stride=2, padding=1)
    want = F.interpolate(scores, scale_factor=2, mode="bilinear", align_corners=False)
    assert up.shape == (1, 3, 34, 46)
    torch.testing.assert_close(up[:, :, 1:-1, 1:-1], want[:, :, 1:-1, 1:-1])
    ones = F.conv_transpose2d(torch.ones(1, 1, 4, 4), bilinear_kernel(1, 1, 64), stride=32, padding=16)[0, 0]
    assert ones[0, 64].item() == pytest.approx(0.516, abs=5e-4)
    assert ones[0, 0].item() == pytest.approx(0.266, abs=5e-4)


@pytest.mark.parametrize("arguments", [(2, 3, 4), (0, 0, 4), (2, 2, 0)])
def test_bilinear_kernel_refuses(arguments):
    with pytest.raises(InputError, match="expected equal channel counts"):
        bilinear_kernel(*arguments)
