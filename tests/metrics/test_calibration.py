"""Calibration against the definition in plain Python, and what makes it independent of order and processes."""

import json
import math
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fullconv.errors import InputError
from fullconv.metrics import CONFIDENCE_STEP, Calibration, Scores

ONE = 2**24


@st.composite
def maps(draw):
    """Labels, truth with void, and confidences that a float32 of 24 digits holds, bin limits among them."""
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    truth = rng.integers(0, 4, shape).astype(np.uint8)
    labels = np.where(rng.random(shape) < 0.6, truth, rng.integers(0, 4, shape)).astype(np.uint8)
    truth[rng.random(shape) < draw(st.sampled_from([0, 0.2, 1]))] = 255
    confidence = rng.integers(0, ONE + 1, shape) / ONE
    confidence[rng.random(shape) < 0.3] = draw(st.sampled_from([0, 1, 1 / 3, 0.2, 0.6, 0.5, ONE // 15 / ONE]))
    return labels, truth, confidence.astype(draw(st.sampled_from([np.float32, np.float64])))


def plain_bins(labels, truth, confidence):
    """Per bin, lists of (right, confidence) as exact fractions: bin m of 15 is ((m - 1) / 15, m / 15]."""
    bins = [[] for _ in range(15)]
    for p, t, c in zip(*(each.ravel().tolist() for each in (labels, truth, confidence)), strict=True):
        if t != 255:
            exact = Fraction(round(c * ONE), ONE)
            bins[max(1, math.ceil(15 * exact)) - 1].append((p == t, exact))
    return bins


@given(maps())
@settings(max_examples=200, deadline=None)
def test_the_error_is_that_of_the_paper(case):
    bins = plain_bins(*case)
    calibration = Calibration()
    calibration.update(*case)
    assert calibration.counts[0].tolist() == [len(each) for each in bins]
    assert calibration.counts[1].tolist() == [sum(right for right, _ in each) for each in bins]
    assert calibration.counts[2].tolist() == [sum(sure for _, sure in each) * ONE for each in bins]
    number = sum(map(len, bins))
    if not number:
        assert calibration.ece is calibration.confidence is calibration.accuracy is None
        return
    gaps = [
        Fraction(len(each), number) * abs(mean(right for right, _ in each) - mean(sure for _, sure in each))
        for each in bins
        if each
    ]
    assert calibration.ece == float(sum(gaps))
    pixels = [pixel for each in bins for pixel in each]
    assert calibration.accuracy == float(mean(right for right, _ in pixels))
    assert calibration.confidence == float(mean(sure for _, sure in pixels))


def mean(values):
    values = list(values)
    return Fraction(sum(values)) / len(values)


@given(st.lists(maps(), max_size=4), st.integers(0, 4))
@settings(max_examples=60, deadline=None)
def test_parts_add_up_to_the_whole_in_any_order(cases, cut):
    whole, parts = Calibration(), [Calibration(), Calibration()]
    for case in cases:
        whole.update(*case)
    for index, case in enumerate(cases[::-1]):
        parts[index < cut].update(*case)
    assert torch.equal(parts[0].counts + parts[1].counts, whole.counts)


def test_the_summary_names_every_bin_and_survives_json():
    calibration = Calibration()
    calibration.update(torch.tensor([1, 1, 0]), torch.tensor([1, 0, 0]), torch.tensor([0.75, 0.75, 1.0]))
    summary = calibration.summary()
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["ece"] == pytest.approx(0.5 / 3)
    assert [index for index, each in enumerate(summary["bins"]) if each["pixels"]] == [11, 14]
    assert summary["bins"][11] == {"pixels": 2, "confidence": 0.75, "accuracy": 0.5}
    assert summary["bins"][0] == {"pixels": 0, "confidence": None, "accuracy": None}


def test_a_softmax_that_is_rounded_beyond_1_is_1_and_what_is_no_number_is_left_out():
    calibration = Calibration()
    above = np.nextafter(np.float32(1), np.float32(2))
    calibration.update(np.array([0, 0]), np.array([0, 0]), np.array([above, np.nan], np.float32))
    assert calibration.counts[:, 14].tolist() == [1, 1, ONE]
    assert calibration.num_pixels == 1


def test_what_cannot_be_counted_is_said():
    ids = np.zeros((2, 2), np.uint8)
    with pytest.raises(
        InputError,
        match=re.escape(
            "Calibration got confidences from -0.5 to 1.5; expected softmax scores, 0..1",
        ),
    ):
        Calibration().update(ids, ids, np.array([[-0.5, 1.5], [0, 1]]))
    with pytest.raises(InputError, match=r"confidence of shape \(2,\); expected equal shapes"):
        Calibration().update(ids, ids, np.zeros(2))


@pytest.mark.parametrize("hw", [(1, 1), (5, 6), (23, 31)])
def test_scores_count_every_fifth_row_and_column(hw):
    rng = np.random.default_rng(0)
    truth, labels = rng.integers(0, 3, hw), rng.integers(0, 3, hw)
    truth[rng.random(hw) < 0.2] = 255
    confidence = rng.random(hw)
    scores, plain = Scores(3), Calibration()
    every = (slice(None, None, CONFIDENCE_STEP),) * 2
    scores.update(labels, truth, confidence[every])
    plain.update(labels[every], truth[every], confidence[every])
    assert torch.equal(scores.calibration.counts, plain.counts)
    assert any(scores.calibration.counts is each for each in scores.counts)
