"""Measures near the borders of objects, and the ceiling that a stride sets, against their definitions."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fullconv.errors import InputError
from fullconv.metrics import BoundaryIou, Confusion, boundary_band, stride_ceiling


@st.composite
def scored_maps(draw):
    """K, predicted ids, true ids of equal shape, with void; K up to 5."""
    k = draw(st.integers(1, 5))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = rng.integers(0, k, shape).astype(np.uint8)
    labels = np.where(rng.random(shape) < 0.8, truth, rng.integers(0, k, shape)).astype(np.uint8)
    truth[rng.random(shape) < draw(st.sampled_from([0, 0.2, 1]))] = 255
    return k, labels, truth


def counted(k, labels, truth):
    confusion = Confusion(k)
    confusion.update(labels, truth)
    return confusion


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


def plain_band(truth, width):
    """The definition: some valid pixel of another class in the window."""
    h, w = truth.shape
    band = np.zeros((h, w), bool)
    for y in range(h):
        for x in range(w):
            window = truth[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
            band[y, x] = truth[y, x] != 255 and ((window != truth[y, x]) & (window != 255)).any()
    return band


@given(scored_maps(), st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_the_band_is_the_definition(case, width):
    _, _, truth = case
    band = boundary_band(truth, width)
    assert band.dtype == torch.bool
    assert band.tolist() == plain_band(truth, width).tolist()


def test_the_band_is_as_wide_as_asked_on_each_side_of_a_border():
    truth = np.repeat(np.array([[0] * 10 + [1] * 10], np.uint8), 5, axis=0)
    for width in (1, 3, 10, 50):
        assert boundary_band(truth, width).sum(dim=1).tolist() == [2 * min(width, 10)] * 5


def test_void_makes_no_border_but_does_not_hide_one():
    truth = np.array([[0, 0, 255, 1, 1, 255, 255, 255, 1, 2]], np.uint8)
    assert boundary_band(truth, 1).tolist() == [[False] * 8 + [True, True]]
    assert boundary_band(truth, 2).tolist() == [
        [False, True, False, True, False, False, False, False, True, True]
    ]


def test_bands_of_a_batch_are_those_of_its_pictures():
    truth = torch.randint(0, 3, (2, 3, 8, 9), generator=torch.Generator().manual_seed(0))
    bands = boundary_band(truth, 2)
    for i in range(2):
        for j in range(3):
            assert torch.equal(bands[i, j], boundary_band(truth[i, j], 2))


def plain_boundary_iou(k, distance, labels, truth):
    """Per class, by erosion as in the paper's own code: the picture's outside is not of the class."""
    square = np.ones((2 * distance + 1, 2 * distance + 1), bool)
    void = truth == 255
    figures = []
    for c in range(k):
        masks = [(truth == c), (labels == c) & ~void]
        t, p = (mask & ~ndimage.binary_erosion(mask, square, border_value=0) for mask in masks)
        union = (t | p).sum()
        figures.append((t & p).sum() / union if union else None)
    return figures


@given(scored_maps(), st.integers(1, 6))
@settings(max_examples=60, deadline=None)
def test_boundary_iou_is_the_definition(case, distance):
    k, labels, truth = case
    score = BoundaryIou(k, distance)
    score.update(labels, truth)
    assert score.iou == pytest.approx(plain_boundary_iou(k, distance, labels, truth))


@given(scored_maps())
@settings(max_examples=30, deadline=None)
def test_boundary_iou_is_iou_where_rims_are_wider_than_the_picture(case):
    k, labels, truth = case
    score = BoundaryIou(k, distance=20)
    score.update(labels, truth)
    confusion = counted(k, labels, truth)
    assert score.iou == confusion.iou
    assert score.mean_iou == confusion.mean_iou


@given(scored_maps(), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_a_perfect_prediction_has_boundary_iou_one(case, distance):
    k, labels, truth = case
    score = BoundaryIou(k, distance)
    score.update(np.where(truth == 255, labels, truth), truth)
    assert set(score.iou) <= {1, None}


def test_boundary_iou_sums_over_the_data_set():
    generator = torch.Generator().manual_seed(0)
    labels, truth = (torch.randint(0, 3, (4, 12, 10), generator=generator) for _ in range(2))
    batch, pictures = BoundaryIou(3, 1), BoundaryIou(3, 1)
    batch.update(labels, truth)
    for i in range(4):
        pictures.update(labels[i], truth[i])
    assert batch.iou == pictures.iou
    assert BoundaryIou(3, 1).mean_iou is None


def plain_ceiling(truth, stride):
    """A cell at a time: the first of its valid pixels that are nearest to its centre."""
    h, w = truth.shape
    best = truth.copy()
    for top in range(0, h, stride):
        for left in range(0, w, stride):
            middle_y, middle_x = top + (stride - 1) / 2, left + (stride - 1) / 2
            cell = [
                ((y - middle_y) ** 2 + (x - middle_x) ** 2, y, x)
                for y in range(top, min(top + stride, h))
                for x in range(left, min(left + stride, w))
                if truth[y, x] != 255
            ]
            if cell:
                _, y, x = min(cell)
                best[top : top + stride, left : left + stride] = truth[y, x]
    return best


@given(scored_maps(), st.integers(1, 11))
@settings(max_examples=60, deadline=None)
def test_the_ceiling_is_the_definition_and_can_be_scored(case, stride):
    k, _, truth = case
    ceiling = stride_ceiling(truth, stride)
    assert ceiling.dtype == torch.uint8
    assert ceiling.tolist() == plain_ceiling(truth, stride).tolist()
    counted(k, ceiling, truth)


def test_stride_one_loses_nothing():
    truth = torch.randint(0, 9, (2, 7, 5), generator=torch.Generator().manual_seed(0))
    assert torch.equal(stride_ceiling(truth, 1), truth)


def test_what_is_drawn_in_whole_cells_loses_nothing_and_finer_grids_lose_less():
    coarse = torch.randint(0, 3, (8, 8), generator=torch.Generator().manual_seed(0))
    truth = coarse.repeat_interleave(8, 0).repeat_interleave(8, 1)
    scores = {stride: counted(3, stride_ceiling(truth, stride), truth).mean_iou for stride in (4, 8, 16, 32)}
    assert scores[4] == scores[8] == 1 > scores[16] > scores[32]


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4"])
def test_ceilings_and_bands_take_other_dtypes(dtype):
    truth = (np.arange(48).reshape(6, 8) // 9).astype(dtype)
    assert stride_ceiling(truth, 3).tolist() == plain_ceiling(truth, 3).tolist()
    assert boundary_band(truth, 2).tolist() == plain_band(truth, 2).tolist()


def test_arguments_of_the_border_measures_are_checked():
    truth = np.zeros((4, 4), np.uint8)
    with refused("boundary_band got width 0; expected at least 1 pixel"):
        boundary_band(truth, 0)
    with refused("boundary_band got truth of shape (4,); expected (..., H, W)"):
        boundary_band(truth[0])
    with refused("stride_ceiling got stride 0; expected at least 1"):
        stride_ceiling(truth, 0)
    with refused("stride_ceiling got truth of shape (4,); expected (..., H, W)"):
        stride_ceiling(truth[0], 2)
    with refused("BoundaryIou got distance 0; expected at least 1 pixel"):
        BoundaryIou(2, 0)
    with refused("BoundaryIou got num_classes 0; expected at least 1"):
        BoundaryIou(0, 1)
    with refused("BoundaryIou got truth of shape (4,); expected (..., H, W)"):
        BoundaryIou(2, 1).update(truth[0], truth[0])
