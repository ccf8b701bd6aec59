"""Poolings that round down after continuing their border give what those give that round up."""

import pytest
import torch
from torch import nn

from fullconv.export.poolings import EvenAvgPool, EvenMaxPool, without_ceiling


@pytest.mark.parametrize("window", [(2, 2), (3, 2), (3, 3), (5, 3), (3, 1), ((2, 3), (2, 1))])
def test_maxima(window):
    pool = nn.MaxPool2d(*window, ceil_mode=True)
    (even,) = without_ceiling(nn.Sequential(nn.MaxPool2d(*window, ceil_mode=True)))
    assert type(even) is EvenMaxPool
    for height in range(4, 12):
        maps = torch.randn(2, 3, height, 16 - height, generator=torch.Generator().manual_seed(height)) - 5
        assert torch.equal(even(maps), pool(maps))


@pytest.mark.parametrize("include", [True, False])
def test_means_of_pairs(include):
    pool = nn.AvgPool2d(2, ceil_mode=True, count_include_pad=include)
    (even,) = without_ceiling(nn.Sequential(nn.AvgPool2d(2, ceil_mode=True, count_include_pad=include)))
    assert type(even) is EvenAvgPool
    for height in range(1, 9):
        maps = torch.randn(2, 3, height, 9 - height, generator=torch.Generator().manual_seed(height))
        torch.testing.assert_close(even(maps), pool(maps), rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    "pool",
    [
        nn.MaxPool2d(2),
        nn.MaxPool2d(2, dilation=2, ceil_mode=True),
        nn.MaxPool2d(3, 2, 1, ceil_mode=True),
        nn.MaxPool2d(2, 3, ceil_mode=True),
        nn.AvgPool2d(3, 2, ceil_mode=True),
        nn.AvgPool2d(2, 2, 1, ceil_mode=True),
        nn.AvgPool2d(2, 2, ceil_mode=True, divisor_override=3),
        nn.AvgPool2d(2),
    ],
    ids=str,
)
def test_others_stay(pool):
    kind = type(pool)
    without_ceiling(nn.Sequential(pool))
    assert type(pool) is kind
