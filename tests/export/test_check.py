"""What counts as the same, and what is said where it is not."""

import pytest
import torch

from fullconv.errors import RunError
from fullconv.export.check import SIZES_HW, agreement, checked, relative


def original(pictures):
    return torch.cat([pictures, pictures.flip(1)], dim=1)


def run_check(run, as_labels=False, sizes=(2, 4), precision="fp32"):
    return checked(run, original, 3, sizes, as_labels, precision)


def test_the_same_passes_and_is_told_in_figures():
    found = run_check(lambda pictures: [original(pictures) * 1.00001])
    assert [each.size_hw for each in found] == list(SIZES_HW)
    assert all(each.difference == pytest.approx(1e-5, rel=0.1) for each in found)
    assert all(each.agreement == 1.0 for each in found)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda x: [original(x) + 0.01], r"something else at 131 x 97 pixels: logits are off by"),
        (lambda x: [original(x)[:, :, :-1]], r"off by inf of the largest"),
        (lambda x: [original(x) * torch.nan], r"off by nan of the largest, more than 1e-04"),
        (lambda x: 1 / 0, r"does not run at 131 x 97 pixels \(division by zero\); nothing was written"),
    ],
)
def test_what_differs_is_refused(run, message):
    with pytest.raises(RunError, match=message):
        run_check(run)


def test_sizes_are_all_tried():
    def right_once(pictures):
        return [original(pictures) if pictures.shape[2] == 131 else original(pictures) * 2]

    with pytest.raises(RunError, match="75 x 203"):
        run_check(right_once)


def labels_of(logits):
    return [logits[:, :2].argmax(1), logits[:, 2:].argmax(1)]


def test_labels():
    found = run_check(lambda x: labels_of(original(x)), as_labels=True)
    assert [(each.difference, each.agreement) for each in found] == [(None, 1.0)] * 3

    def one_in_a_hundred(pictures):
        first, second = labels_of(original(pictures))
        first.view(-1)[::100] = 1 - first.view(-1)[::100]
        return [first, second]

    with pytest.raises(
        RunError, match=r"gives 99.\d\d % of the pixels the label that they have here; expected 99.99 %"
    ):
        run_check(one_in_a_hundred, as_labels=True)


def test_ties():
    logits = torch.tensor([[[[2.0, 2.0]], [[1.9999, 1.0]]]])
    labels = [torch.tensor([[[1, 1]]])]
    assert agreement(labels, logits, [2]) == 0.0
    assert agreement(labels, logits, [2], slack=1e-4) == 0.5


def test_relative():
    assert relative(torch.zeros(2), torch.zeros(2)) == 0.0
    assert relative(torch.zeros(3), torch.zeros(2)) == float("inf")
