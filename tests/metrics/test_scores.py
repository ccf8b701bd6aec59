"""All measures in one pass: the same figures as each measure by itself, under the names that are printed."""

import json
from math import isqrt

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from fullconv.errors import InputError
from fullconv.metrics import (
    STRIDES,
    BoundaryF,
    BoundaryIou,
    Calibration,
    Confusion,
    Scores,
    stride_ceiling,
)

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
        "calibration": Calibration().summary(),
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


def slow_counts(k, distance, strides, labels, truth):
    """Everything that `Scores` counts, pixel for pixel and shift for shift: uint8 maps (..., H, W), 255 is void."""
    void = torch.from_numpy(truth == 255)
    labels, truth = (torch.from_numpy(ids.astype(np.int64)).masked_fill(void, k) for ids in (labels, truth))
    counts = {"confusion": slow_pairs(truth, labels, k)[:-1, :-1]}

    framed = [torch.nn.functional.pad(ids, (distance,) * 4, value=k) for ids in (truth, labels)]
    rims = [slow_mixed(ids, distance)[..., distance:-distance, distance:-distance] for ids in framed]
    pairs = slow_pairs(*(ids.masked_fill(~rim, k) for ids, rim in zip((truth, labels), rims, strict=True)), k)
    common = pairs.diagonal()[:-1]
    counts["intersections"] = common
    counts["unions"] = pairs.sum(dim=1)[:-1] + pairs.sum(dim=0)[:-1] - common

    predicted, true = (ids.masked_fill(~slow_mixed(ids, 1), k) for ids in (labels, truth))
    near = slow_near(predicted, true, distance)
    both = [slow_pairs(ids, each.long(), k) for ids, each in zip((predicted, true), near, strict=True)]
    counts["pixels"] = torch.stack([pairs.sum(dim=1)[:-1] for pairs in both])
    counts["near"] = torch.stack([pairs[:-1, 1] for pairs in both])

    for stride in strides:
        ceiling = slow_ceiling(truth, stride, k)
        counts[f"ceiling {stride}"] = slow_pairs(truth, ceiling, k)[:-1, :-1]
    return {name: count.tolist() for name, count in counts.items()}


def slow_pairs(rows, columns, k):
    return torch.bincount((rows * (k + 1) + columns).flatten(), minlength=(k + 1) ** 2).view(k + 1, k + 1)


def slow_mixed(ids, radius):
    """Whether the largest and the smallest id around each pixel differ, within the picture."""
    return slow_max(ids, radius) != ~slow_max(~ids, radius)


def slow_max(ids, radius):
    for dim in (-1, -2):
        size, largest = ids.shape[dim], ids.clone()
        for shift in range(1, min(radius, size - 1) + 1):
            for to, source in ((0, shift), (shift, 0)):
                target = largest.narrow(dim, to, size - shift)
                torch.maximum(target, ids.narrow(dim, source, size - shift), out=target)
        ids = largest
    return ids


def slow_near(first, second, distance):
    (height, width), near = first.shape[-2:], [torch.zeros_like(first, dtype=torch.bool) for _ in range(2)]
    for down in range(-min(distance, height - 1), min(distance, height - 1) + 1):
        reach = min(isqrt(distance**2 - down**2), width - 1)
        for right in range(-reach, reach + 1):
            here, there = (
                (..., slice(max(y, 0), height + min(y, 0)), slice(max(x, 0), width + min(x, 0)))
                for y, x in ((-down, -right), (down, right))
            )
            equal = first[here] == second[there]
            near[0][here].logical_or_(equal)
            near[1][there].logical_or_(equal)
    return near


def slow_ceiling(truth, stride, void):
    height, width = truth.shape[-2:]
    framed = torch.nn.functional.pad(truth, (0, -width % stride, 0, -height % stride), value=void)
    cells = framed.unflatten(-1, (-1, stride)).unflatten(-3, (-1, stride)).transpose(-3, -2).flatten(-2)
    position = 2 * torch.arange(stride) - (stride - 1)
    distance = (position[:, None] ** 2 + position[None, :] ** 2).flatten()
    nearest = torch.where(cells == void, distance.max() + 1, distance).argmin(dim=-1, keepdim=True)
    fine = cells.gather(-1, nearest).squeeze(-1).repeat_interleave(stride, -2).repeat_interleave(stride, -1)
    return fine[..., :height, :width]


def counts_of(scores):
    counts = {
        "confusion": scores.confusion.matrix,
        "intersections": scores.boundary_iou.intersections,
        "unions": scores.boundary_iou.unions,
        "pixels": scores.boundary_f.pixels,
        "near": scores.boundary_f.near,
    }
    ceilings = {f"ceiling {stride}": each.matrix for stride, each in scores.ceilings.items()}
    return {name: count.tolist() for name, count in (counts | ceilings).items()}


@st.composite
def batches(draw):
    """K, predicted ids, true ids: blobs or noise, with void; one picture or several of a size."""
    k = draw(st.sampled_from([1, 2, 5, 21, 255]))
    shape = draw(st.sampled_from([(), (1,), (3,), (2, 2)])) + draw(
        st.tuples(st.integers(1, 40), st.integers(1, 40))
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    blur = (0,) * (len(shape) - 1) + (draw(st.sampled_from([0, 1, 4])),) * 2
    fields = ndimage.gaussian_filter(rng.standard_normal((min(k, 6), *shape)), blur)
    truth = fields.argmax(axis=0).astype(np.uint8) + np.uint8(k - min(k, 6))
    labels = np.roll(truth, rng.integers(-3, 4, 2), axis=(-2, -1))
    noisy = rng.random(shape) < draw(st.sampled_from([0, 0.1, 1]))
    labels = np.where(noisy, rng.integers(0, k, shape, np.uint8), labels)
    void = ndimage.gaussian_filter(rng.random(shape), blur[1:])
    return (
        k,
        labels,
        np.where(void < np.quantile(void, draw(st.sampled_from([0, 0.3, 1]))), np.uint8(255), truth),
    )


@given(batches(), st.integers(1, 5), st.sampled_from([None, 1, 7]))
@settings(max_examples=80, deadline=None)
def test_every_count_is_that_of_the_plain_ways(case, distance, stride):
    k, labels, truth = case
    scores = Scores(k, stride, distance)
    scores.update(labels, truth)
    assert counts_of(scores) == slow_counts(k, distance, scores.ceilings, labels, truth)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", ">i4", "i8", "torch"])
def test_ids_may_come_in_any_dtype_and_order(dtype):
    labels, truth = next(pictures(3))
    plain, other = Scores(3), Scores(3)
    plain.update(labels, truth)
    if dtype == "torch":
        other.update(torch.from_numpy(labels).int().T.contiguous().T, torch.from_numpy(truth))
    else:
        other.update(np.asfortranarray(labels.astype(dtype)), truth[::-1].astype(dtype)[::-1])
    assert counts_of(other) == counts_of(plain)


def test_an_empty_batch_counts_nothing():
    scores = Scores(3)
    scores.update(np.zeros((0, 8, 9), np.uint8), np.zeros((0, 8, 9), np.uint8))
    assert (
        scores.confusion.matrix.sum()
        == scores.boundary_f.pixels.sum()
        == scores.boundary_iou.unions.sum()
        == 0
    )
