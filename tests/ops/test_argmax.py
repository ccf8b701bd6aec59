"""Labels from coarse scores are those of interpolation followed by argmax."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fullconv.ops.argmax import argmax_of, upsampled_labels
from fullconv.ops.bilinear import Placement, upsample

CLOSE = 1e-5


def assert_best(labels, logits):
    """Every label has the highest score, of equal ones the lowest id; scores closer than rounding count as equal."""
    logits = logits.double()
    best = logits.max(0).values
    chosen = logits.gather(0, labels.long()[None])[0]
    assert (best - chosen).max() < CLOSE
    clear = (
        (logits.topk(2, dim=0).values.diff(dim=0)[0].abs() > CLOSE) if len(logits) > 1 else best > best - 1
    )
    np.testing.assert_array_equal(labels[clear].long(), logits.argmax(0)[clear])


@settings(max_examples=60, deadline=None)
@given(
    classes=st.integers(1, 30),
    cells=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    factors=st.tuples(st.sampled_from([1, 2, 3, 5, 8, 32, 2.5]), st.sampled_from([1, 2, 4, 8, 7, 1.3])),
    shifts=st.tuples(st.floats(-3, 20), st.floats(-3, 20)),
    size_hw=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    first_hw=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    rough=st.booleans(),
    seed=st.integers(0, 99),
)
def test_any_factor_shift_size_and_window(classes, cells, factors, shifts, size_hw, first_hw, rough, seed):
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(classes, *cells, generator=generator)
    if not rough:
        scores = scores * 0.05 + torch.randn(classes, 1, 1, generator=generator)
    placement_hw = (Placement(factors[0], shifts[0]), Placement(factors[1], shifts[1]))
    labels = upsampled_labels(scores, placement_hw, size_hw, first_hw)
    assert labels.shape == size_hw
    assert labels.dtype == torch.uint8
    whole = upsample(
        scores[None].double(), placement_hw, (first_hw[0] + size_hw[0], first_hw[1] + size_hw[1])
    )[0]
    assert_best(labels, whole[:, first_hw[0] :, first_hw[1] :])


@pytest.mark.parametrize("classes", [2, 11, 21, 150, 300])
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
@pytest.mark.parametrize("smooth", [True, False])
def test_every_label_is_that_of_interpolate_in_float32(classes, stride, smooth):
    torch.manual_seed(classes + stride)
    scores = torch.randn(classes, 13, 17)
    if smooth:
        scores = F.interpolate(scores[None, :, ::4, ::4], size=(13, 17), mode="bicubic")[0]
    half = Placement.half_pixel(stride)
    labels = upsampled_labels(scores, (half, half), (13 * stride, 17 * stride))
    want = F.interpolate(scores[None], scale_factor=stride, mode="bilinear", align_corners=False)[0].argmax(0)
    np.testing.assert_array_equal(labels.long(), want)
    assert labels.dtype == (torch.uint8 if classes <= 255 else torch.uint16)


def test_a_class_that_wins_at_no_corner_can_win_within():
    scores = torch.tensor([[[1.0, 0.0]], [[0.0, 1.0]], [[0.9, 0.9]]])
    labels = upsampled_labels(scores, (Placement(1, 0), Placement(4, 0)), (1, 5))
    assert labels.tolist() == [[0, 2, 2, 2, 1]]


def test_of_equal_scores_the_lowest_id_wins():
    scores = torch.zeros(20, 3, 3)
    scores[[4, 7]] = 1
    assert (upsampled_labels(scores, (Placement(8, 3.5),) * 2, (24, 24)) == 4).all()
    assert (argmax_of(torch.ones(5, 4)) == 0).all()
    assert (argmax_of(torch.ones(2, 4)) == 0).all()


@given(st.integers(1, 40), st.integers(1, 50), st.integers(0, 99))
def test_argmax(classes, size, seed):
    values = torch.randn(classes, size, generator=torch.Generator().manual_seed(seed)).round(decimals=1)
    np.testing.assert_array_equal(argmax_of(values), values.numpy().argmax(0))
