"""Figures against counts in plain Python, against scikit-learn, and against each other."""

import json
import re
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from fullconv.errors import InputError
from fullconv.metrics import Confusion

FIGURES = ("pixel_accuracy", "mean_accuracy", "mean_iou", "frequency_weighted_iou")


@st.composite
def scored_maps(draw, max_classes=6):
    """K, predicted ids, true ids of equal shape, with void and with classes that do not occur."""
    k = draw(st.integers(1, max_classes))
    shape = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    used = draw(st.integers(1, k))
    truth = rng.integers(0, used, shape).astype(np.uint8)
    labels = np.where(rng.random(shape) < 0.6, truth, rng.integers(0, k, shape)).astype(np.uint8)
    truth[rng.random(shape) < draw(st.sampled_from([0, 0.2, 1]))] = 255
    return k, labels, truth


def counted(k, *pairs):
    confusion = Confusion(k)
    for labels, truth in pairs:
        confusion.update(labels, truth)
    return confusion


def figures(confusion):
    return [getattr(confusion, name) for name in FIGURES]


def plain_figures(k, labels, truth):
    """The papers' four figures as exact fractions, from sets of pixels rather than a matrix."""
    pixels = [
        (p, t) for p, t in zip(labels.ravel().tolist(), truth.ravel().tolist(), strict=True) if t != 255
    ]
    if not pixels:
        return [None] * 4
    accuracies, ious, weighted = [], [], Fraction(0)
    for c in range(k):
        true = sum(t == c for _, t in pixels)
        either = sum(c in pair for pair in pixels)
        both = pixels.count((c, c))
        if true:
            accuracies.append(Fraction(both, true))
            weighted += true * Fraction(both, either)
        if either:
            ious.append(Fraction(both, either))
    right = Fraction(sum(p == t for p, t in pixels), len(pixels))
    return [right, sum(accuracies) / len(accuracies), sum(ious) / len(ious), weighted / len(pixels)]


@given(scored_maps())
@settings(max_examples=150, deadline=None)
def test_the_four_figures_are_the_papers(case):
    k, labels, truth = case
    expected = plain_figures(k, labels, truth)
    ours = figures(counted(k, (labels, truth)))
    if expected[0] is None:
        assert ours == expected
    else:
        assert ours == pytest.approx([float(figure) for figure in expected], rel=1e-15)


@given(scored_maps())
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn warns of a class predicted but not in truth
def test_it_agrees_with_scikit_learn(case):
    k, labels, truth = case
    valid = truth != 255
    confusion = counted(k, (labels, truth))
    if not valid.any():
        assert confusion.matrix.sum() == 0
        return
    t, p = truth[valid], labels[valid]
    matrix = sklearn_metrics.confusion_matrix(t, p, labels=range(k))
    assert confusion.matrix.tolist() == matrix.tolist()
    assert confusion.pixel_accuracy == pytest.approx(sklearn_metrics.accuracy_score(t, p))
    if len(np.unique(t)) > 1:
        assert confusion.mean_accuracy == pytest.approx(sklearn_metrics.balanced_accuracy_score(t, p))
    either = np.union1d(t, p)
    ious = sklearn_metrics.jaccard_score(t, p, labels=either, average=None, zero_division=0)
    assert [iou for iou in confusion.iou if iou is not None] == pytest.approx(list(ious))
    assert confusion.mean_iou == pytest.approx(ious.mean())
    weighted = sklearn_metrics.jaccard_score(t, p, average="weighted", zero_division=0)
    assert confusion.frequency_weighted_iou == pytest.approx(weighted)


@given(scored_maps(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_pixels_and_classes_may_change_places(case, random):
    k, labels, truth = case
    expected = counted(k, (labels, truth))
    places = list(range(labels.size))
    random.shuffle(places)
    shuffled = counted(k, (labels.ravel()[places], truth.ravel()[places]))
    assert torch.equal(shuffled.matrix, expected.matrix)

    names = list(range(k))
    random.shuffle(names)
    rename = np.array(names + [0] * (255 - k) + [255], np.uint8)
    renamed = counted(k, (rename[labels], rename[truth]))
    assert [renamed.iou[names[c]] for c in range(k)] == expected.iou
    # Equal to the last bit, because the means are rounded once.
    assert renamed.mean_iou == expected.mean_iou
    assert renamed.frequency_weighted_iou == expected.frequency_weighted_iou


@given(scored_maps(), st.integers(0, 81))
@settings(max_examples=40, deadline=None)
def test_the_parts_add_up_to_the_whole(case, cut):
    k, labels, truth = case
    p, t = labels.ravel(), truth.ravel()
    whole, head, tail = counted(k, (p, t)), counted(k, (p[:cut], t[:cut])), counted(k, (p[cut:], t[cut:]))
    before = head.matrix.clone()
    assert torch.equal((head + tail).matrix, whole.matrix)
    assert torch.equal(head.matrix, before)
    assert torch.equal(counted(k, (p[:cut], t[:cut]), (p[cut:], t[cut:])).matrix, whole.matrix)
    assert figures(Confusion.from_matrix(whole.matrix.tolist())) == figures(whole)


@given(scored_maps())
@settings(max_examples=30, deadline=None)
def test_a_perfect_prediction_scores_one_everywhere(case):
    k, labels, truth = case
    perfect = np.where(truth == 255, labels, truth)
    confusion = counted(k, (perfect, truth))
    one = None if (truth == 255).all() else 1
    assert figures(confusion) == [one] * 4
    assert set(confusion.iou) <= {1, None}


def test_a_class_predicted_but_not_in_truth_has_iou_zero_and_lowers_the_mean():
    confusion = counted(4, (np.array([0, 0, 0, 2]), np.array([0, 0, 0, 0])))
    assert confusion.iou == [0.75, None, 0, None]
    assert confusion.accuracy == [0.75, None, None, None]
    assert confusion.mean_iou == 0.375
    assert confusion.mean_accuracy == confusion.frequency_weighted_iou == 0.75


def test_rows_are_truth():
    assert counted(2, (np.array([1, 1, 0]), np.array([0, 0, 0]))).matrix.tolist() == [[1, 2], [0, 0]]


def test_truth_that_is_all_void_has_no_figures():
    confusion = counted(3, (np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8)))
    assert figures(confusion) == [None] * 4
    assert confusion.iou == confusion.accuracy == [None] * 3
    assert figures(Confusion(3)) == [None] * 4


def test_one_class_is_enough():
    assert figures(counted(1, (np.zeros(5, np.int64), np.array([0, 0, 255, 0, 0])))) == [1] * 4


def test_whatever_was_predicted_at_void_pixels_is_no_matter():
    truth = np.array([0, 255, 255, 255])
    for junk in (-(2**63), 7, 2**63 - 1):
        assert counted(2, (np.array([0, junk, 255, -1]), truth)).matrix.tolist() == [[1, 0], [0, 0]]


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", ">u2", ">i4"])
def test_every_integer_dtype_counts_alike(dtype):
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 5, (2, 30, 20))
    expected = counted(5, (labels, truth)).matrix
    assert torch.equal(counted(5, (labels.astype(dtype), truth.astype(dtype))).matrix, expected)
    assert torch.equal(counted(5, (labels, truth.astype(dtype))).matrix, expected)
    assert torch.equal(counted(5, (torch.from_numpy(labels), truth.astype(dtype))).matrix, expected)
    if dtype[0] != ">":
        tensors = torch.from_numpy(labels.astype(dtype)), torch.from_numpy(truth.astype(dtype))
        assert torch.equal(counted(5, tensors).matrix, expected)


def test_bool_masks_are_two_classes():
    assert counted(2, (np.array([True, True]), np.array([True, False]))).matrix.tolist() == [[0, 1], [0, 1]]


def test_read_only_flipped_and_sliced_arrays_are_taken_as_they_look():
    labels = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    labels.flags.writeable = False
    expected = counted(3, (labels[::-1, ::2].copy(), labels[:, 1::2].copy())).matrix
    assert torch.equal(counted(3, (labels[::-1, ::2], labels[:, 1::2])).matrix, expected)


def test_ids_beyond_a_byte_do_not_wrap():
    rng = np.random.default_rng(0)
    labels, truth = rng.integers(0, 300, (2, 64, 64)).astype(np.uint16)
    confusion = Confusion(300, ignore_index=65535)
    truth[0] = 65535
    confusion.update(labels, truth)
    expected = sklearn_metrics.confusion_matrix(truth[1:].ravel(), labels[1:].ravel(), labels=range(300))
    assert confusion.matrix.tolist() == expected.tolist()
    # Ids of a byte with more classes than a byte can hold: 300 is 44 modulo 256.
    assert (
        counted(300, (labels[1:].astype(np.uint8), np.full((63, 64), 44, np.uint8))).truth_pixels[44]
        == 63 * 64
    )


def test_with_the_default_void_id_class_255_is_never_true_but_can_be_predicted():
    confusion = counted(300, (np.array([255, 255], np.uint16), np.array([255, 3], np.uint16)))
    assert confusion.truth_pixels[255] == 0
    assert confusion.matrix[3, 255] == 1
    assert confusion.iou[255] == 0


@pytest.mark.parametrize("void", [-1, 0])
def test_another_id_can_be_void(void):
    truth = np.array([void, 1, 2], np.int16)
    confusion = Confusion(3, ignore_index=void)
    confusion.update(np.array([255, 1, 1], np.uint8), truth)
    assert confusion.matrix.tolist() == [[0, 0, 0], [0, 1, 0], [0, 1, 0]]


def test_a_byte_of_255_is_not_minus_one():
    confusion = Confusion(3, ignore_index=-1)
    with pytest.raises(InputError, match="truth holds the id 255"):
        confusion.update(np.array([1], np.uint8), np.array([255], np.uint8))


def test_counts_beyond_float_precision_are_exact():
    big = 2**53
    confusion = Confusion.from_matrix([[big, 0], [1, big]])
    confusion.update(np.array([0, 1]), np.array([0, 0]))
    assert confusion.matrix.tolist() == [[big + 1, 1], [1, big]]
    assert confusion.pixel_accuracy == (2 * big + 1) / (2 * big + 3)


def test_figures_that_are_close_to_one_are_rounded_once():
    assert Confusion.from_matrix([[10**15, 1], [0, 0]]).pixel_accuracy == 10**15 / (10**15 + 1)


def test_the_summary_is_what_evaluate_prints():
    confusion = counted(3, (np.array([0, 0, 1, 1, 2]), np.array([0, 0, 0, 1, 255])))
    summary = confusion.summary(["sky", "tree", "boat"], num_images=1, split="val")
    assert summary == {
        "mean_iou": pytest.approx((2 / 3 + 1 / 2) / 2),
        "pixel_accuracy": 0.75,
        "mean_accuracy": pytest.approx((2 / 3 + 1) / 2),
        "frequency_weighted_iou": pytest.approx((3 * 2 / 3 + 1 / 2) / 4),
        "num_images": 1,
        "split": "val",
        "per_class": {
            "sky": {"iou": 2 / 3, "accuracy": 2 / 3, "pixels": 3},
            "tree": {"iou": 0.5, "accuracy": 1.0, "pixels": 1},
            "boat": {"iou": None, "accuracy": None, "pixels": 0},
        },
        "confusion": [[2, 1, 0], [0, 1, 0], [0, 0, 0]],
    }
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def refused(message):
    return pytest.raises(InputError, match=f"^{re.escape(message)}$")


@pytest.mark.parametrize("bad", [3, 254, -1, 70000])
def test_an_id_that_is_no_class_is_named_and_nothing_is_counted(bad):
    confusion = Confusion(3)
    good, wrong = np.array([0, 1, 2]), np.array([0, bad, 2])
    remedy = "check the masks with `fullconv data check`"
    with refused(f"truth holds the id {bad}; expected class ids 0..2, or 255 for void; {remedy}"):
        confusion.update(good, wrong)
    with refused(f"the prediction holds the id {bad}; expected class ids 0..2"):
        confusion.update(wrong, good)
    assert confusion.matrix.sum() == 0


def test_what_cannot_be_counted_is_named():
    ids = np.zeros((2, 3), np.uint8)
    with refused("got labels of shape (3, 2) and truth of shape (2, 3); expected equal shapes"):
        Confusion(2).update(ids.T, ids)
    for scores in (np.zeros((2, 3), np.float32), torch.zeros(2, 3)):
        with refused("got class ids of torch.float32; expected integers: take argmax of scores first"):
            Confusion(2).update(scores, ids)
    with refused("Confusion got num_classes 0; expected at least 1"):
        Confusion(0)
    with refused("cannot add confusions of 2 and 3 classes; expected the same number in both"):
        Confusion(2) + Confusion(3)
    with refused("got 1 class names for 2 classes; expected one name each"):
        Confusion(2).summary(["sky"], 0, "val")


@pytest.mark.parametrize("matrix", [[[1, 2]], [[1.5]], [[-1]], [1]])
def test_a_matrix_that_is_none_is_named(matrix):
    with pytest.raises(
        InputError, match=r"^got a confusion matrix of shape .*; expected pixel counts of shape \(K, K\)"
    ):
        Confusion.from_matrix(matrix)
