"""All measures in one pass: the same figures as each measure by itself, under the names that are printed."""

import json

import numpy as np
import pytest

from fullconv.errors import InputError
from fullconv.metrics import STRIDES, BoundaryF, BoundaryIou, Confusion, Scores, stride_ceiling

NAMES = ["sky", "tree", "boat"]


def pictures(seed, number=3, k=3):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        truth = np.kron(rng.integers(0, k, (5, 7)), np.ones((9, 11))).astype(np.uint8)
        labels = np.roll(truth, rng.integers(0, 4), axis=1)
        truth[rng.random(truth.shape) < 0.05] = 255
        yield labels, truth


def test_the_figures_are_those_of_each_measure_by_itself():
    scores = Scores(3, stride=8)
    confusion, rims, boundaries = Confusion(3), BoundaryIou(3, 3), BoundaryF(3, 3)
    ceilings = {stride: Confusion(3) for stride in STRIDES}
    for labels, truth in pictures(0):
        scores.update(labels, truth)
        for measure in (confusion, rims, boundaries):
            measure.update(labels, truth)
        for stride, ceiling in ceilings.items():
            ceiling.update(stride_ceiling(truth, stride), truth)
    summary = scores.summary(NAMES, 3, "val")
    assert summary == {
        **confusion.summary(NAMES, 3, "val"),
        "boundary_iou": rims.mean_iou,
        "boundary_f": boundaries.mean_f,
        "boundary_distance": 3,
        "stride_ceiling": {str(stride): ceiling.mean_iou for stride, ceiling in ceilings.items()},
        "stride": 8,
    }
    assert list(summary["stride_ceiling"]) == ["32", "16", "8", "4"]
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_networks_own_stride_is_counted_beside_the_others():
    labels, truth = next(pictures(1))
    for stride, keys in ((2, "32 16 8 4 2"), (64, "64 32 16 8 4"), (None, "32 16 8 4")):
        scores = Scores(3, stride)
        scores.update(labels, truth)
        summary = scores.summary(NAMES, 1, "val")
        assert list(summary["stride_ceiling"]) == keys.split()
        assert summary["stride"] == stride


def test_another_id_can_be_void_and_classes_can_be_many():
    labels, truth = next(pictures(2))
    few, many = Scores(3), Scores(300, ignore_index=65535)
    few.update(labels, truth)
    wide = truth.astype(np.uint16)
    wide[truth == 255] = 65535
    many.update(labels.astype(np.uint16), wide)
    assert few.boundary_f.mean_f == many.boundary_f.mean_f
    assert few.boundary_iou.mean_iou == many.boundary_iou.mean_iou
    assert {s: each.mean_iou for s, each in few.ceilings.items()} == {
        s: each.mean_iou for s, each in many.ceilings.items()
    }


def test_truth_that_is_all_void_has_no_figures():
    scores = Scores(3)
    scores.update(np.zeros((8, 8), np.uint8), np.full((8, 8), 255, np.uint8))
    summary = scores.summary(NAMES, 1, "val")
    assert [summary[key] for key in ("mean_iou", "boundary_iou", "boundary_f")] == [None] * 3
    assert set(summary["stride_ceiling"].values()) == {None}


def test_what_cannot_be_scored_is_named_and_nothing_is_counted():
    scores, truth = Scores(2), np.zeros((4, 4), np.uint8)
    with pytest.raises(InputError, match=r"^the prediction holds the id 2; expected class ids 0\.\.1$"):
        scores.update(truth + 2, truth)
    assert scores.confusion.matrix.sum() == 0
    with pytest.raises(InputError, match=r"^Scores got truth of shape \(4,\); expected \(\.\.\., H, W\)$"):
        scores.update(truth[0], truth[0])
    with pytest.raises(InputError, match="got 1 class names for 2 classes"):
        scores.summary(["sky"], 0, "val")
    with pytest.raises(InputError, match="stride_ceiling got stride 0; expected at least 1"):
        Scores(2, stride=0).update(truth, truth)
