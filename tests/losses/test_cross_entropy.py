"""Cross-entropy against sums in plain Python and against torch; class weights against their definitions."""

import math
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from fullconv.errors import InputError, UnknownNameError
from fullconv.losses import class_weights, cross_entropy


def batch(seed=0, shape=(3, 5, 4, 6), void=0.3, dtype=torch.float32):
    """Logits (N, K, H, W), labels (N, H, W) int64 with a share of void pixels, weights (K,)."""
    generator = torch.Generator().manual_seed(seed)
    n, k, h, w = shape
    logits = 4 * torch.randn(shape, generator=generator, dtype=dtype)
    labels = torch.randint(0, k, (n, h, w), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < void] = 255
    return logits, labels, torch.rand(k, generator=generator, dtype=dtype) + 0.1


def plain_cross_entropy(logits, labels, weight):
    """The definition, a pixel at a time."""
    total = norm = 0.0
    n, _, h, w = logits.shape
    for i in range(n):
        for y in range(h):
            for x in range(w):
                label = int(labels[i, y, x])
                if label == 255:
                    continue
                scores = logits[i, :, y, x].tolist()
                evidence = math.log(math.fsum(math.exp(score) for score in scores))
                total += float(weight[label]) * (evidence - scores[label])
                norm += float(weight[label])
    return total, total / norm


@pytest.mark.parametrize("weighted", [False, True])
def test_it_is_the_definition(weighted):
    logits, labels, weight = batch(dtype=torch.float64)
    total, mean = plain_cross_entropy(logits, labels, weight if weighted else torch.ones(5))
    given_weight = weight if weighted else None
    assert cross_entropy(logits, labels, weight=given_weight).item() == pytest.approx(mean, rel=1e-12)
    assert cross_entropy(logits, labels, weight=given_weight, reduction="sum").item() == pytest.approx(
        total, rel=1e-12
    )


@given(
    seed=st.integers(0, 2**31),
    shape=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 5), st.integers(1, 5)),
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 1.0]),
    reduction=st.sampled_from(["mean", "sum"]),
)
@settings(max_examples=60, deadline=None)
def test_it_is_torchs_loss_and_gradient_wherever_that_has_a_valid_pixel(
    seed, shape, weighted, smoothing, reduction
):
    logits, labels, weight = batch(seed, shape)
    labels[0, 0, 0] = 0
    options = {
        "weight": weight if weighted else None,
        "ignore_index": 255,
        "label_smoothing": smoothing,
        "reduction": reduction,
    }
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    loss, expected = cross_entropy(ours, labels, **options), F.cross_entropy(theirs, labels, **options)
    torch.testing.assert_close(loss, expected, rtol=1e-5, atol=1e-6)
    loss.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_its_gradient_is_its_slope(reduction, smoothing):
    logits, labels, weight = batch(shape=(2, 3, 2, 2), dtype=torch.float64)

    def loss(z):
        return cross_entropy(z, labels, weight=weight, label_smoothing=smoothing, reduction=reduction)

    logits.requires_grad_()
    (7 * loss(logits)).backward()
    for place in np.ndindex(*logits.shape):
        step = torch.zeros_like(logits)
        step[place] = 1e-5
        with torch.no_grad():
            slope = (loss(logits + step) - loss(logits - step)) / 2e-5
        assert logits.grad[place].item() == pytest.approx(7 * slope.item(), rel=1e-6, abs=1e-8)


def test_with_smoothing_it_may_be_differentiated_again():
    logits, labels, weight = batch(shape=(1, 3, 2, 2), dtype=torch.float64)
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda z: cross_entropy(z, labels, weight=weight, label_smoothing=0.1), logits
    )


def test_a_second_backward_is_refused_rather_than_wrong():
    logits, labels, _ = batch()
    loss = cross_entropy(logits.requires_grad_(), labels)
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    (slope,) = torch.autograd.grad(cross_entropy(logits, labels), logits, create_graph=True)
    with pytest.raises(RuntimeError, match="does not require grad"):
        slope.square().sum().backward()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_batch_that_is_all_void_gives_zero_and_no_push(weighted, smoothing):
    logits, labels, weight = batch()
    logits.requires_grad_()
    loss = cross_entropy(
        logits, torch.full_like(labels, 255), weight=weight if weighted else None, label_smoothing=smoothing
    )
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_valid_pixels_whose_classes_all_weigh_nothing_give_zero():
    logits, labels, _ = batch()
    logits.requires_grad_()
    loss = cross_entropy(logits, labels, weight=torch.zeros(5))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_void_pixels_do_not_count_and_get_no_gradient():
    logits, labels, _ = batch()
    void = (labels == 255)[:, None].expand_as(logits)
    logits.requires_grad_()
    loss = cross_entropy(logits, labels)
    loss.backward()
    assert (logits.grad[void] == 0).all()
    assert (logits.grad[~void] != 0).all()
    changed = torch.where(void, logits.detach() + 100, logits.detach())
    assert torch.equal(cross_entropy(changed, labels), loss.detach())


def test_each_pixel_counts_alike_whichever_picture_it_is_in():
    logits, labels, _ = batch()
    labels[0] = 255
    labels[0, 0, 0] = 1
    rows = logits.transpose(0, 1).reshape(1, 5, 1, -1)  # all pixels in one picture
    torch.testing.assert_close(cross_entropy(logits, labels), cross_entropy(rows, labels.reshape(1, 1, -1)))


def test_sums_of_parts_over_the_joint_count_are_the_mean_of_the_whole():
    logits, labels, _ = batch()
    parts = sum(cross_entropy(z[None], y[None], reduction="sum") for z, y in zip(logits, labels, strict=True))
    torch.testing.assert_close(parts / (labels != 255).sum(), cross_entropy(logits, labels))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32])
def test_labels_of_other_integer_dtypes_give_the_same(dtype):
    logits, labels, weight = batch()
    for options in ({}, {"weight": weight}, {"weight": weight, "label_smoothing": 0.1}):
        assert torch.equal(
            cross_entropy(logits, labels.to(dtype), **options), cross_entropy(logits, labels, **options)
        )


def test_another_id_can_be_void():
    logits, labels, _ = batch()
    expected = cross_entropy(logits, labels)
    assert torch.equal(
        cross_entropy(logits, labels.masked_fill(labels == 255, -1), ignore_index=-1), expected
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_short_floats_are_summed_in_float32(dtype):
    logits, labels, weight = batch(shape=(2, 5, 64, 64))
    logits = logits.to(dtype)
    loss = cross_entropy(logits, labels, weight=weight.to(dtype))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, cross_entropy(logits.float(), labels, weight=weight.to(dtype).float()))


def test_memory_layout_does_not_matter():
    logits, labels, _ = batch()
    other = logits.contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(cross_entropy(other, labels), cross_entropy(logits, labels))


def test_extreme_scores_stay_finite():
    logits = torch.tensor([1e4, -1e4]).reshape(1, 2, 1, 1).requires_grad_()
    loss = cross_entropy(logits, torch.ones(1, 1, 1, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 2e4
    assert logits.grad.flatten().tolist() == [1, -1]


def test_a_class_that_is_ruled_out_by_its_score_does_not_poison_void_pixels():
    logits = torch.tensor([[-torch.inf, -torch.inf], [0.0, 0.0]]).reshape(1, 2, 1, 2).requires_grad_()
    loss = cross_entropy(logits, torch.tensor([[[1, 255]]]))
    loss.backward()
    assert loss.item() == 0
    assert logits.grad.abs().sum() == 0


def test_an_empty_batch_gives_zero():
    assert cross_entropy(torch.zeros(0, 3, 2, 2), torch.zeros(0, 2, 2, dtype=torch.int64)).item() == 0


@pytest.mark.parametrize("bad", [5, 200, -1])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"weight": torch.ones(5)}])
def test_an_id_that_is_no_class_is_named(bad, options):
    logits, labels, _ = batch()
    labels[2, 1, 3] = bad
    message = (
        f"labels hold the id {bad}; expected class ids 0..4, or 255 for void; check the masks with `fullconv"
    )
    with pytest.raises(InputError, match=f"^{re.escape(message)} data check`$"):
        cross_entropy(logits, labels, **options)


@pytest.mark.parametrize(
    ("logits", "labels", "options", "message"),
    [
        (
            torch.zeros(2, 3, 4),
            torch.zeros(2, 4).long(),
            {},
            "got logits of shape (2, 3, 4), torch.float32; expected floating",
        ),
        (
            torch.zeros(2, 3, 4, 4).long(),
            torch.zeros(2, 4, 4).long(),
            {},
            "torch.int64; expected floating point of shape (N, K, H, W)",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(2, 4, 5).long(),
            {},
            "got labels of shape (2, 4, 5), torch.int64; expected integers of shape (2, 4, 4) "
            "for logits of shape (2, 3, 4, 4)",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(2, 4, 4),
            {},
            "torch.float32; expected integers of shape (2, 4, 4)",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(2, 4, 4).long(),
            {"weight": torch.ones(4)},
            "got class weights of shape (4,); expected one per class, (3,)",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(2, 4, 4).long(),
            {"label_smoothing": 1.5},
            "got label_smoothing 1.5; expected 0..1",
        ),
        (
            torch.zeros(2, 3, 4, 4),
            torch.zeros(2, 4, 4).long(),
            {"reduction": "none"},
            "unknown reduction 'none'; expected one of: mean, sum",
        ),
    ],
)
def test_arguments_that_do_not_fit_are_named(logits, labels, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        cross_entropy(logits, labels, **options)


COUNTS = st.lists(st.integers(0, 10**9), min_size=1, max_size=30).filter(any)


@given(COUNTS, st.sampled_from(["median_frequency", "effective_number"]))
def test_weights_have_mean_one_over_the_present_classes_and_rank_them_by_rarity(counts, method):
    weights = class_weights(counts, method)
    assert weights.dtype == torch.float32
    present = [index for index, count in enumerate(counts) if count]
    assert weights[present].double().mean().item() == pytest.approx(1, rel=1e-5)
    assert all(weights[index] == 0 for index in range(len(counts)) if index not in present)
    by_count = weights[sorted(present, key=lambda index: counts[index])].tolist()
    assert by_count == sorted(by_count, reverse=True)


def test_median_frequency_is_the_median_over_the_frequency_up_to_scale():
    counts = torch.tensor([50.0, 400.0, 10.0, 25.0])
    frequency = counts / counts.sum()
    published = frequency.median() / frequency
    torch.testing.assert_close(class_weights(counts.long(), "median_frequency"), published / published.mean())


@pytest.mark.parametrize("beta", [0.0, 0.9, 0.9999])
def test_effective_number_is_the_geometric_sum(beta):
    counts = [1, 7, 40]
    effective = [math.fsum(beta**power for power in range(count)) for count in counts]
    mean = math.fsum(1 / number for number in effective) / 3
    expected = [1 / number / mean for number in effective]
    assert class_weights(counts, "effective_number", beta=beta).tolist() == pytest.approx(expected, rel=1e-6)


def test_effective_number_levels_common_classes_and_lifts_rare_ones():
    common, commoner, rare, rarer = class_weights([10**8, 10**9, 2000, 1000], "effective_number").tolist()
    assert common == pytest.approx(commoner, rel=1e-6)
    assert rarer / rare == pytest.approx(2, rel=1e-2)
    assert rare / common > 100


def test_no_weighting_is_one_for_every_class():
    assert class_weights([3, 0, 9]).tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("counts", "options", "message"),
    [
        (
            [3, -1],
            {},
            "got the pixel counts [3.0, -1.0]; expected one count per class, none negative and not all 0",
        ),
        (
            [0, 0],
            {},
            "got the pixel counts [0.0, 0.0]; expected one count per class, none negative and not all 0",
        ),
        ([], {}, "got the pixel counts []; expected one count per class, none negative and not all 0"),
        (
            [[1]],
            {},
            "got the pixel counts [[1.0]]; expected one count per class, none negative and not all 0",
        ),
        ([1], {"beta": 1}, "class_weights got beta 1; expected 0 <= beta < 1"),
    ],
)
def test_counts_that_cannot_be_weighted_are_named(counts, options, message):
    with pytest.raises(InputError, match=re.escape(message)):
        class_weights(counts, "effective_number", **options)


def test_an_unknown_weighting_is_named():
    with pytest.raises(
        UnknownNameError, match=r"^unknown class weighting 'median'; did you mean 'median_frequency'\?$"
    ):
        class_weights([1, 2], "median")  # type: ignore[arg-type]
