"""Measures near the borders of objects, against their definitions."""

import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fullconv.errors import InputError
from fullconv.metrics import BoundaryF, BoundaryIou, Confusion, boundary_band


@st.composite
def scored_maps(draw, classes=None):
    """K, predicted ids, true ids of equal shape, with void; K as given, else up to 5."""
    k = classes or draw(st.integers(1, 5))
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


def plain_boundary_counts(k, distance, labels, truth, ignore_index=255):
    """Per class: pixels of the predicted and of the true boundary, and how many of each lie near the other."""
    square = np.ones((3, 3), bool)
    void = truth == ignore_index
    counts = np.zeros((4, k), np.int64)
    for c in range(k):
        masks = [(labels == c) & ~void, truth == c]
        # The picture's edge is no boundary: erosion sees the class go on there.
        predicted, true = (mask & ~ndimage.binary_erosion(mask, square, border_value=1) for mask in masks)
        for row, (own, other) in enumerate(((predicted, true), (true, predicted))):
            counts[row, c] = own.sum()
            if other.any():
                counts[2 + row, c] = (own & (ndimage.distance_transform_edt(~other) <= distance)).sum()
    return counts


def plain_f(predicted, true, near_true, near_predicted):
    if not predicted and not true:
        return None
    if not near_true or not near_predicted:
        return 0.0
    precision, recall = Fraction(near_true, predicted), Fraction(near_predicted, true)
    return float(2 * precision * recall / (precision + recall))


@given(st.lists(scored_maps(classes=4), min_size=1, max_size=3), st.integers(1, 6))
@settings(max_examples=80, deadline=None)
def test_boundary_f_is_the_definition_over_the_whole_data_set(cases, distance):
    score = BoundaryF(4, distance)
    counts = 0
    for _, labels, truth in cases:
        score.update(labels, truth)
        counts = counts + plain_boundary_counts(4, distance, labels, truth)
    assert [*score.pixels.tolist(), *score.near.tolist()] == counts.tolist()
    expected = [plain_f(*map(int, column)) for column in counts.T]
    assert score.f == pytest.approx(expected)
    known = [f for f in expected if f is not None]
    assert score.mean_f == (pytest.approx(np.mean(known)) if known else None)


def smooth_map(rng, size_hw, k):
    """A label map of blobs, as pictures have them."""
    fields = ndimage.gaussian_filter(rng.standard_normal((k, *size_hw)), (0, 4, 4))
    return fields.argmax(axis=0).astype(np.uint8)


@pytest.mark.parametrize(("k", "distance"), [(3, 3), (21, 3), (21, 5), (255, 2), (300, 2)])
def test_boundary_f_of_blobs_and_of_many_classes(k, distance):
    rng = np.random.default_rng(k)
    truth = smooth_map(rng, (61, 83), min(k, 9)).astype(np.int32) + k - min(k, 9)
    labels = np.roll(truth, 2, axis=1)
    labels[10:20] = rng.integers(0, k, (10, 83))
    truth = np.where(rng.random(truth.shape) < 0.03, 70_000, truth)
    score = BoundaryF(k, distance, ignore_index=70_000)
    score.update(labels, truth)
    counts = plain_boundary_counts(k, distance, labels, truth, ignore_index=70_000)
    assert [*score.pixels.tolist(), *score.near.tolist()] == counts.tolist()
    assert 0 < score.mean_f < 1


@given(scored_maps(), st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_a_perfect_prediction_has_boundary_f_one_and_truth_and_prediction_may_change_places(case, distance):
    k, labels, truth = case
    score = BoundaryF(k, distance)
    score.update(np.where(truth == 255, labels, truth), truth)
    assert set(score.f) <= {1, None}
    there, back = BoundaryF(k, distance), BoundaryF(k, distance)
    truth = np.where(truth == 255, 0, truth)
    there.update(labels, truth)
    back.update(truth, labels)
    assert there.precision == back.recall
    assert there.f == back.f


def test_boundary_f_forgives_what_lies_within_the_distance():
    truth = np.zeros((20, 30), np.uint8)
    truth[:, 10:] = 1
    for shift in range(6):
        score = BoundaryF(2, distance=3)
        score.update(np.roll(truth, shift, axis=1) | (truth & np.uint8(shift == 0)), truth)
        if shift:
            # What is rolled in on the left is a second boundary; the true one is found up to 3 pixels away.
            assert score.recall == [1 if shift <= 3 else 0] * 2
        else:
            assert score.f == [1, 1]


def test_a_border_under_void_may_be_drawn_anywhere_in_it():
    truth = np.zeros((20, 30), np.uint8)
    truth[:, 12:] = 1
    truth[:, 9:15] = 255
    for border in range(9, 16):
        labels = np.zeros_like(truth)
        labels[:, border:] = 1
        score = BoundaryF(2, distance=1)
        score.update(labels, truth)
        assert score.f == [1, 1]
    score.update(np.zeros_like(truth), truth)
    assert score.mean_f < 1


def test_a_boundary_on_one_side_only_scores_zero():
    truth = np.zeros((9, 9), np.uint8)
    labels = truth.copy()
    labels[3:6, 3:6] = 1
    score = BoundaryF(3, distance=2)
    score.update(labels, truth)
    assert (score.precision, score.recall, score.f) == ([0, 0, None], [None, None, None], [0, 0, None])
    assert BoundaryF(3, 2).mean_f is None


def test_boundary_f_of_a_batch_is_that_of_its_pictures():
    generator = torch.Generator().manual_seed(0)
    labels, truth = (torch.randint(0, 3, (2, 2, 12, 10), generator=generator) for _ in range(2))
    batch, pictures = BoundaryF(3, 2), BoundaryF(3, 2)
    batch.update(labels, truth)
    for i in range(2):
        for j in range(2):
            pictures.update(labels[i, j], truth[i, j])
    assert torch.equal(batch.near, pictures.near)
    assert torch.equal(batch.pixels, pictures.pixels)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_pictures_smaller_than_the_distance(shape):
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 2, (2, *shape)).astype(np.uint8)
    score = BoundaryF(2, distance=9)
    score.update(labels, truth)
    expected = plain_boundary_counts(2, 9, labels, truth)
    assert [*score.pixels.tolist(), *score.near.tolist()] == expected.tolist()


@pytest.mark.parametrize("dtype", ["i1", "u2", "i4"])
def test_bands_take_other_dtypes(dtype):
    truth = (np.arange(48).reshape(6, 8) // 9).astype(dtype)
    assert boundary_band(truth, 2).tolist() == plain_band(truth, 2).tolist()


def test_arguments_of_the_border_measures_are_checked():
    truth = np.zeros((4, 4), np.uint8)
    with refused("boundary_band got width 0; expected at least 1 pixel"):
        boundary_band(truth, 0)
    with refused("boundary_band got truth of shape (4,); expected (..., H, W)"):
        boundary_band(truth[0])
    with refused("BoundaryIou got distance 0; expected at least 1 pixel"):
        BoundaryIou(2, 0)
    with refused("BoundaryIou got num_classes 0; expected at least 1"):
        BoundaryIou(0, 1)
    with refused("BoundaryIou got truth of shape (4,); expected (..., H, W)"):
        BoundaryIou(2, 1).update(truth[0], truth[0])
    with refused("BoundaryF got distance 0; expected at least 1 pixel"):
        BoundaryF(2, 0)
    with refused("BoundaryF got num_classes 0; expected at least 1"):
        BoundaryF(0, 1)
    with refused("BoundaryF got truth of shape (4,); expected (..., H, W)"):
        BoundaryF(2, 1).update(truth[0], truth[0])
