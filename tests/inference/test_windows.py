"""Covering windows: every pixel is seen, and what the windows say is averaged."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

import fullconv
from fullconv.errors import InputError
from fullconv.inference.windows import AveragedWindows, averaged_logits, covering_windows

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
windows = st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda n: (32 * n[0], 32 * n[1]))


class Given(nn.Module):
    """Logits from a function of the picture."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, pictures):
        return self.function(pictures)


@given(sizes, windows)
def test_windows_cover_every_pixel_and_stay_inside(size_hw, window_hw):
    count = np.zeros(np.maximum(size_hw, window_hw), int)
    corners = covering_windows(size_hw, window_hw)
    for top, left in corners:
        assert top >= 0
        assert left >= 0
        piece = count[top : top + window_hw[0], left : left + window_hw[1]]
        assert piece.shape == window_hw
        piece += 1
    assert count.min() >= 1
    assert len(set(corners)) == len(corners)
    fewest = [-(-size // window) for size, window in zip(size_hw, window_hw, strict=True)]
    assert len(corners) == fewest[0] * fewest[1]


@given(sizes, windows)
def test_windows_are_evenly_spread(size_hw, window_hw):
    tops = sorted({top for top, _ in covering_windows(size_hw, window_hw)})
    gaps = np.diff(tops)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert tops[0] == 0
    assert len(tops) == 1 or tops[-1] == size_hw[0] - window_hw[0]


@given(sizes, windows)
def test_size_and_constant_logits_are_kept(size_hw, window_hw):
    constant = torch.tensor([1.25, -3.0, 0.5])
    model = Given(lambda x: constant[None, :, None, None].expand(x.shape[0], 3, *x.shape[2:]))
    logits = averaged_logits(model, torch.randn(1, 3, *size_hw), window_hw)
    assert logits.shape == (1, 3, *size_hw)
    torch.testing.assert_close(logits, constant[None, :, None, None].expand_as(logits))


@given(sizes, windows)
def test_a_model_of_single_pixels_sees_no_windows(size_hw, window_hw):
    pictures = torch.randn(2, 3, *size_hw, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(averaged_logits(nn.Identity(), pictures, window_hw), pictures)


def test_the_mean_is_taken_before_the_softmax():
    calls = iter([0.0, 4.0])
    model = Given(lambda x: torch.full((1, 1, *x.shape[2:]), next(calls)))
    logits = averaged_logits(model, torch.zeros(1, 3, 32, 48), (32, 32))
    assert logits[0, 0, 5].tolist() == [0.0] * 16 + [2.0] * 16 + [4.0] * 16


def test_one_window_is_the_whole_picture():
    torch.manual_seed(3)
    model = fullconv.build_model("fcn32s", backbone="mobilenetv3_small_050", num_classes=4).eval()
    pictures = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        want = model(pictures)
        assert torch.equal(AveragedWindows(model, (64, 96))(pictures), want)
        larger = averaged_logits(model, pictures[:, :, :50, :70], (64, 96))
        padded = nn.functional.pad(pictures[:, :, :50, :70], (0, 26, 0, 14))
        assert torch.equal(larger, model(padded)[:, :, :50, :70])


def test_brute_force():
    torch.manual_seed(4)
    model = nn.Conv2d(3, 2, 7, padding=3).double()
    pictures = torch.randn(1, 3, 71, 45, dtype=torch.float64)
    want, count = torch.zeros(1, 2, 71, 45, dtype=torch.float64), torch.zeros(71, 45)
    with torch.no_grad():
        for top in (0, 20, 39):
            for left in (0, 13):
                want[:, :, top : top + 32, left : left + 32] += model(
                    pictures[:, :, top : top + 32, left : left + 32]
                )
                count[top : top + 32, left : left + 32] += 1
        assert covering_windows((71, 45), (32, 32)) == [(t, x) for t in (0, 20, 39) for x in (0, 13)]
        torch.testing.assert_close(averaged_logits(model, pictures, (32, 32)), want / count)


@pytest.mark.parametrize("window_hw", [(33, 32), (0, 32), (32, -32)])
def test_other_sides_are_refused(window_hw):
    with pytest.raises(InputError, match="multiples of 32"):
        covering_windows((100, 100), window_hw)
    with pytest.raises(InputError, match="multiples of 32"):
        AveragedWindows(nn.Identity(), window_hw)
