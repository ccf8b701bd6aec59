"""What score maps say about pixels, against full-size scores."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from fullconv.ops import score_map
from fullconv.ops.bilinear import Placement, upsample
from fullconv.ops.score_map import ScoreMap, normalized_entropy


def coarse(first_hw=(0, 0), size_hw=(37, 45)) -> tuple[ScoreMap, torch.Tensor]:
    torch.manual_seed(0)
    scores = torch.randn(5, 6, 7)
    placement_hw = (Placement(8, 0), Placement(8, 3.5))
    full = upsample(scores[None], placement_hw, (first_hw[0] + size_hw[0], first_hw[1] + size_hw[1]))[0]
    return ScoreMap(scores, placement_hw, size_hw, first_hw), full[:, first_hw[0] :, first_hw[1] :]


def test_logits_whole_and_in_strips():
    for first_hw in ((0, 0), (9, 17)):
        small, full = coarse(first_hw, (31, 20))
        torch.testing.assert_close(small.logits(), full)
        torch.testing.assert_close(small.logits(11, 14), full[:, 11:14])
        np.testing.assert_array_equal(small.labels(), full.argmax(0))


@pytest.mark.parametrize("step", [1, 2, 5, 40])
@pytest.mark.parametrize("first_hw", [(0, 0), (9, 17)])
def test_every_so_many_rows_and_columns(step, first_hw):
    small, full = coarse(first_hw, (31, 20))
    thin = small.thinned(step)
    torch.testing.assert_close(thin.logits(), full[:, ::step, ::step])
    torch.testing.assert_close(thin.confidence(), small.confidence()[::step, ::step])
    pixels = ScoreMap.of_pixels(full).cropped(3, 2, (7, 11))
    assert torch.equal(pixels.thinned(step).logits(), full[:, 3:10:step, 2:13:step])


def test_confidence_and_entropy(monkeypatch):
    small, full = coarse()
    monkeypatch.setattr(score_map, "STRIP", 5 * 45 * 4)  # strips of four rows
    softmax = full.softmax(0)
    torch.testing.assert_close(small.confidence(), softmax.max(0).values)
    want = entropy(softmax.numpy(), axis=0) / np.log(5)
    np.testing.assert_allclose(small.entropy(), want, atol=1e-5)
    assert small.entropy().dtype == torch.float32
    assert normalized_entropy(torch.zeros(7, 2)).tolist() == [1, 1]
    assert normalized_entropy(torch.zeros(1, 2)).tolist() == [0, 0]


def test_full_size_scores_and_windows_of_them():
    logits = torch.randn(3, 8, 9)
    whole = ScoreMap.of_pixels(logits)
    assert whole.size_hw == (8, 9)
    torch.testing.assert_close(whole.logits(2, 5), logits[:, 2:5])
    part = ScoreMap(logits, whole.placement_hw, (4, 5), (3, 2))
    torch.testing.assert_close(part.logits(), logits[:, 3:7, 2:7])
    np.testing.assert_array_equal(part.labels(), logits[:, 3:7, 2:7].argmax(0))


def test_heads():
    small, full = coarse()
    first, second = small.split([2, 3])
    torch.testing.assert_close(first.logits(), full[:2])
    torch.testing.assert_close(second.logits(), full[2:])
