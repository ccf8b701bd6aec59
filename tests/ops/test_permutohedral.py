"""The lattice filter, against hat functions in one dimension and sums over all pairs in more."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from fullconv.errors import InputError
from fullconv.ops.permutohedral import NARROWING, PermutohedralLattice, _simplices


def cloud(num_points: int, dimensions: int, width: float, seed: int = 0) -> Tensor:
    return width * torch.rand(num_points, dimensions, generator=torch.Generator().manual_seed(seed))


@given(st.integers(1, 6), st.integers(0, 10_000), st.floats(0.1, 300))
def test_a_point_lies_in_its_simplex(dimensions, seed, width):
    """The corners, weighted, make the point; they are as the definition of the lattice says."""
    num_axes = dimensions + 1
    elevated = cloud(20, num_axes, width, seed).T
    elevated = elevated - elevated.mean(0)
    origins, order, weights = _simplices(elevated)
    assert weights.min() >= -1e-4
    torch.testing.assert_close(weights.sum(0), torch.ones(20))
    corner = num_axes * origins
    middle = torch.zeros_like(elevated)
    for q in range(num_axes):
        if q > 0:
            corner = (corner + 1).scatter_add(0, order[num_axes - q][None], torch.full((1, 20), -num_axes))
        assert (corner.sum(0) == 0).all()
        assert (corner % num_axes == q).all()
        middle += weights[q] * corner
    torch.testing.assert_close(middle, elevated, atol=1e-4 * width + 1e-5, rtol=0)


def test_one_dimension_is_hat_functions():
    """Linear interpolation on both sides of 1/2, 1, 1/2 applied twice: both directions are the one line."""
    points = cloud(300, 1, 9.0).double()
    spacing = math.sqrt(3) / 2 / NARROWING
    corners = np.arange(-4, 16) * spacing
    origin = points.min().item()
    hats = np.maximum(0, 1 - abs(points.numpy() - origin - corners) / spacing)
    blur = np.eye(20) + np.eye(20, k=1) / 2 + np.eye(20, k=-1) / 2
    got = PermutohedralLattice(points.float()).filter(torch.eye(300))
    np.testing.assert_allclose(got.numpy(), hats @ blur @ blur @ hats.T, atol=2e-5)


@pytest.mark.parametrize(("dimensions", "width"), [(1, 8.0), (2, 6.0), (3, 4.0), (5, 2.5)])
def test_weights_are_nearly_gaussian(dimensions, width):
    points = cloud(1500, dimensions, width)
    weights = PermutohedralLattice(points).filter(torch.eye(1500))
    assert weights.min() >= 0
    gaussian = torch.exp(-(torch.cdist(points, points) ** 2) / 2)
    weights *= gaussian.sum() / weights.sum()
    assert (weights - gaussian).abs().mean() < 0.05
    values = torch.sin(2 * points)
    mean, expected = (kernel @ values / kernel.sum(1, keepdim=True) for kernel in (weights, gaussian))
    assert (mean - expected).abs().mean() < 0.1 * expected.std()
    torch.testing.assert_close(weights, weights.T, atol=0.1, rtol=0)


def test_equal_points_get_equal_results_and_far_ones_share_nothing():
    points = cloud(50, 5, 3.0)
    values = torch.randn(50, 2, generator=torch.Generator().manual_seed(1))
    alone = PermutohedralLattice(points).filter(values)
    twice = PermutohedralLattice(torch.cat([points, points])).filter(torch.cat([values, values]))
    torch.testing.assert_close(twice, 2 * torch.cat([alone, alone]), atol=1e-4, rtol=1e-4)
    far = points.clone()
    far[:25] += 40
    apart = PermutohedralLattice(far).filter(torch.cat([values[:25], torch.zeros(25, 2)]))
    assert (apart[25:] == 0).all()
    assert (apart[:25] != 0).all()


def test_a_single_point_sees_itself():
    lattice = PermutohedralLattice(torch.tensor([[3.0, -7.0, 2.0]]))
    once = lattice.filter(torch.tensor([[1.0, 2.0]]))
    assert once[0, 0] > 0
    torch.testing.assert_close(once[0, 1], 2 * once[0, 0])
    assert lattice.num_corners == 24  # the 4 of its simplex, and all that are next to one of them


def test_points_too_far_apart_are_an_error():
    with pytest.raises(InputError, match="larger standard deviations"):
        PermutohedralLattice(torch.tensor([[0.0] * 5, [1e5] * 5]))
