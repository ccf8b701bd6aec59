"""Dice and Lovasz losses against their definitions."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fullconv.losses import dice, lovasz

shapes = st.tuples(st.integers(1, 2), st.integers(2, 4), st.integers(1, 4), st.integers(1, 4))


def batch(seed: int, shape: tuple[int, ...], void: float = 0.2) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    n, k, h, w = shape
    labels = torch.randint(0, k, (n, h, w), generator=generator)
    labels[torch.rand(labels.shape, generator=generator) < void] = 255
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64), labels


def flat(logits: torch.Tensor, labels: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """(K, P) probabilities and (P,) classes of the valid pixels."""
    p = logits.softmax(1).movedim(1, 0).flatten(1).numpy()
    truth = labels.flatten().numpy()
    return p[:, truth != 255], truth[truth != 255]


def jaccard_loss(wrong: set[int], members: set[int]) -> float:
    """1 - IoU of a class with pixels `members`, of which and of others `wrong` are called wrongly. Berman et al., equation 6."""
    return len(wrong) / len(wrong | members)


@given(st.integers(0, 2**31), shapes)
def test_lovasz_is_the_extension_of_the_jaccard_loss(seed, shape):
    logits, labels = batch(seed, shape)
    p, truth = flat(logits, labels)
    losses = []
    for c in sorted(set(truth.tolist())):
        members = set(np.flatnonzero(truth == c).tolist())
        errors = np.abs((truth == c) - p[c])
        wrong: set[int] = set()
        total, before = 0.0, 0.0
        for pixel in np.argsort(-errors, kind="stable").tolist():
            wrong.add(pixel)
            after = jaccard_loss(wrong, members)
            total, before = total + errors[pixel] * (after - before), after
        losses.append(total)
    assert lovasz(logits, labels).item() == pytest.approx(
        np.mean(losses) if losses else 0.0, rel=1e-9, abs=1e-12
    )


@given(st.integers(0, 2**31), shapes)
def test_of_certain_answers_lovasz_is_the_mean_jaccard_loss(seed, shape):
    logits, labels = batch(seed, shape)
    answers = logits.argmax(1)
    certain = 1000.0 * torch.nn.functional.one_hot(answers, shape[1]).movedim(3, 1).double()
    valid = labels != 255
    losses = [
        1
        - ((answers == c) & (labels == c)).sum().item()
        / (((answers == c) & valid) | (labels == c)).sum().item()
        for c in labels[valid].unique()
    ]
    assert lovasz(certain, labels).item() == pytest.approx(np.mean(losses) if losses else 0.0, abs=1e-9)


@given(st.integers(0, 2**31), shapes)
def test_dice_is_the_definition(seed, shape):
    logits, labels = batch(seed, shape)
    p, truth = flat(logits, labels)
    losses = [
        1 - 2 * p[c][truth == c].sum() / (p[c].sum() + (truth == c).sum())
        for c in sorted(set(truth.tolist()))
    ]
    assert dice(logits, labels).item() == pytest.approx(
        np.mean(losses) if losses else 0.0, rel=1e-9, abs=1e-12
    )


@pytest.mark.parametrize("loss", [dice, lovasz])
def test_gradients_are_those_of_differences(loss):
    logits, labels = batch(3, (2, 3, 3, 4))
    logits.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, labels), logits)
