"""Focal loss and hard-pixel mining against their definitions, a pixel at a time."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullconv.errors import InputError
from fullconv.losses import cross_entropy, focal, ohem

shapes = st.tuples(st.integers(1, 3), st.integers(2, 5), st.integers(1, 6), st.integers(1, 6))


def batch(
    seed: int, shape: tuple[int, ...], void: float = 0.3
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n, k, h, w = shape
    logits = 3 * torch.randn(shape, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, k, (n, h, w), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < void] = 255
    return logits, labels, torch.rand(k, generator=generator, dtype=torch.float64) + 0.1


def pixels(logits: torch.Tensor, labels: torch.Tensor) -> list[tuple[float, int]]:
    """(probability of the true class, the class) of each valid pixel."""
    found = []
    for i, y, x in np.ndindex(*labels.shape):
        label = int(labels[i, y, x])
        if label != 255:
            scores = np.exp(logits[i, :, y, x].numpy())
            found.append((float(scores[label] / scores.sum()), label))
    return found


@given(st.integers(0, 2**31), shapes, st.sampled_from([0.0, 0.5, 2.0]), st.booleans())
def test_focal_is_the_definition(seed, shape, gamma, weighted):
    logits, labels, weight = batch(seed, shape)
    factors = weight if weighted else torch.ones(shape[1], dtype=torch.float64)
    terms = [
        (-factors[c].item() * (1 - p) ** gamma * math.log(p), factors[c].item())
        for p, c in pixels(logits, labels)
    ]
    want = sum(a for a, _ in terms) / sum(b for _, b in terms) if terms else 0.0
    got = focal(logits, labels, gamma=gamma, weight=weight if weighted else None)
    assert got.item() == pytest.approx(want, rel=1e-9, abs=1e-12)


@given(
    st.integers(0, 2**31), shapes, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.sampled_from([0.0, 0.25, 1.0])
)
def test_ohem_is_the_mean_of_the_hard_pixels(seed, shape, threshold, least):
    logits, labels, _ = batch(seed, shape)
    ranked = sorted(p for p, _ in pixels(logits, labels))
    num_hard = max(sum(p <= threshold for p in ranked), int(least * len(ranked)))
    want = -sum(math.log(p) for p in ranked[:num_hard]) / num_hard if num_hard else 0.0
    assert ohem(logits, labels, threshold=threshold, least=least).item() == pytest.approx(
        want, rel=1e-9, abs=1e-12
    )


def test_both_contain_the_cross_entropy():
    logits, labels, weight = batch(1, (2, 4, 5, 7))
    want = cross_entropy(logits, labels, weight=weight)
    torch.testing.assert_close(focal(logits, labels, gamma=0, weight=weight), want)
    torch.testing.assert_close(ohem(logits, labels, threshold=1.0, weight=weight), want)


@pytest.mark.parametrize("loss", [focal, ohem])
def test_gradients_are_those_of_differences(loss):
    logits, labels, weight = batch(2, (1, 3, 3, 4))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels, weight=weight), logits)


def test_options_out_of_range_are_refused():
    logits, labels, _ = batch(0, (1, 2, 2, 2))
    with pytest.raises(InputError, match="focal got gamma -1"):
        focal(logits, labels, gamma=-1)
    with pytest.raises(InputError, match=r"ohem got threshold 1.5 and least 0.0625; expected both in 0..1"):
        ohem(logits, labels, threshold=1.5)
    with pytest.raises(InputError, match=r"expected class ids 0\.\.1"):
        ohem(logits, torch.full((1, 2, 2), 2))
