"""Covering windows: every pixel is seen, and what the windows say is averaged."""

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fullconv
from fullconv.errors import InputError
from fullconv.inference.pixels import ArrayPixels
from fullconv.inference.windows import Layout, averaged_parts, evenly_spread, joined
from fullconv.ops.bilinear import Placement
from fullconv.ops.score_map import ScoreMap
from fullconv.preprocessing import Preprocessing

PLAIN = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

sizes = st.tuples(st.integers(1, 300), st.integers(1, 300))
layouts = st.builds(
    Layout,
    st.tuples(st.integers(1, 5), st.integers(1, 5)).map(lambda n: (32 * n[0], 32 * n[1])),
    st.sampled_from([0.0, 1 / 16, 0.5]),
    st.sampled_from(["mean", "gaussian"]),
)


def logits_of(function, picture: np.ndarray, layout: Layout) -> torch.Tensor:
    """(K, H, W), where a window's logits are a function of its (3, h, w) pixels in 0..1."""

    def engine(pictures):
        return [ScoreMap.of_pixels(function(pictures[0]))]

    return joined(averaged_parts(engine, ArrayPixels(picture), PLAIN, layout)).logits()


def noise(size_hw) -> np.ndarray:
    return np.random.default_rng(size_hw).integers(0, 256, (*size_hw, 3), np.uint8)


@given(sizes, layouts)
def test_windows_cover_every_pixel_and_stay_inside(size_hw, layout):
    window_hw = layout.window_hw
    count = np.zeros(np.maximum(size_hw, window_hw), int)
    tops, lefts = layout.starts(size_hw)
    for top, left in product(tops, lefts):
        assert min(top, left) >= 0
        piece = count[top : top + window_hw[0], left : left + window_hw[1]]
        assert piece.shape == window_hw
        piece += 1
    assert count.min() >= 1
    if layout.overlap == 0:
        fewest = [-(-size // window) for size, window in zip(size_hw, window_hw, strict=True)]
        assert [len(tops), len(lefts)] == fewest


@given(sizes, layouts)
def test_windows_are_evenly_spread_and_overlap_as_asked(size_hw, layout):
    tops, _ = layout.starts(size_hw)
    gaps = np.diff(tops)
    assert len(gaps) == 0 or gaps.max() - gaps.min() <= 1
    assert all(gap <= np.ceil(layout.window_hw[0] * (1 - layout.overlap)) for gap in gaps)
    assert tops[0] == 0
    assert len(tops) == 1 or tops[-1] == size_hw[0] - layout.window_hw[0]


@given(sizes, layouts)
def test_fitted_windows_are_as_many_and_no_larger(size_hw, layout):
    fitted = layout.fitted(size_hw)
    for axis, (starts, fitted_starts) in enumerate(
        zip(layout.starts(size_hw), fitted.starts(size_hw), strict=True)
    ):
        side = fitted.window_hw[axis]
        assert len(fitted_starts) == len(starts)
        assert side <= layout.window_hw[axis]
        if side > 32:  # with smaller ones, more would be needed
            assert len(evenly_spread(size_hw[axis], side - 32, layout.step(side - 32))) > len(starts)


@settings(max_examples=30, deadline=None)
@given(sizes, layouts)
def test_the_mean_is_that_of_full_size_logits(size_hw, layout):
    """From coarse scores, box by box, against sums over the whole picture in float64."""
    picture, half = noise(size_hw), Placement.half_pixel(8)

    def engine(pictures):
        scores = torch.nn.functional.avg_pool2d(pictures[0], 8).square()
        return [ScoreMap(scores, (half, half), pictures.shape[2:])]

    height, width = layout.window_hw
    padded = np.zeros((*np.maximum(size_hw, layout.window_hw), 3), np.uint8)
    padded[: size_hw[0], : size_hw[1]] = picture
    total, weight = torch.zeros(3, *padded.shape[:2], dtype=torch.float64), torch.zeros(padded.shape[:2])
    rows, columns = layout.weights_hw()
    for top, left in product(*layout.starts(size_hw)):
        place = (..., slice(top, top + height), slice(left, left + width))
        logits = engine(PLAIN.of_picture(padded[place[1:]]))[0].logits()
        total[place] += rows[:, None] * columns * logits.double()
        weight[place] += rows[:, None] * columns
    want = (total / weight)[:, : size_hw[0], : size_hw[1]].float()
    got = joined(averaged_parts(engine, ArrayPixels(picture), PLAIN, layout)).logits()
    torch.testing.assert_close(got, want)


@settings(max_examples=30, deadline=None)
@given(sizes, layouts, st.integers(0, 300))
def test_going_on_at_a_row_gives_the_same_boxes(size_hw, layout, from_row):
    def engine(pictures):
        return [ScoreMap.of_pixels(pictures[0])]

    source = ArrayPixels(noise(size_hw))
    want = [
        (box, part) for box, part in averaged_parts(engine, source, PLAIN, layout) if box.bottom > from_row
    ]
    got = list(averaged_parts(engine, source, PLAIN, layout, from_row))
    assert [box for box, _ in got] == [box for box, _ in want]
    for (_, one), (_, other) in zip(got, want, strict=True):
        assert torch.equal(one.logits(), other.logits())


@settings(max_examples=30, deadline=None)
@given(sizes, layouts)
def test_size_and_constant_logits_are_kept(size_hw, layout):
    constant = torch.tensor([1.25, -3.0, 0.5])
    logits = logits_of(lambda x: constant[:, None, None].expand(3, *x.shape[1:]), noise(size_hw), layout)
    torch.testing.assert_close(logits, constant[:, None, None].expand(3, *size_hw))


@settings(max_examples=30, deadline=None)
@given(sizes, layouts)
def test_every_window_lies_where_it_was_read(size_hw, layout):
    picture = noise(size_hw)
    want = torch.from_numpy(picture).permute(2, 0, 1) / 255
    torch.testing.assert_close(logits_of(lambda x: x, picture, layout), want)


def test_what_windows_say_is_weighted():
    numbers = iter([1.0, 3.0])
    picture = np.zeros((32, 48, 3), np.uint8)
    mean = logits_of(lambda x: torch.full((1, 32, 32), next(numbers)), picture, Layout((32, 32)))[0, 0]
    np.testing.assert_allclose(mean, [1.0] * 16 + [2.0] * 16 + [3.0] * 16)
    numbers = iter([1.0, 3.0])
    soft = logits_of(
        lambda x: torch.full((1, 32, 32), next(numbers)), picture, Layout((32, 32), weighting="gaussian")
    )[0, 0]
    assert soft[16] < 1.1  # near the middle of the first, at the end of the second
    assert soft[31] > 2.9
    assert soft.diff().min() > -1e-5
    np.testing.assert_allclose(soft[23] + soft[24], 4, atol=1e-5)


@pytest.mark.parametrize("window_hw", [(100, 64), (64, 0), (31, 32)])
def test_windows_of_other_sizes_are_refused(window_hw):
    with pytest.raises(InputError, match="multiples of 32"):
        Layout(window_hw)


def test_a_gaussian_has_fewer_seams_than_the_mean():
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="vgg11", num_classes=3)
    picture = noise((160, 224))
    whole = fullconv.Segmenter(model, precision="fp32").predict(picture).logits
    errors = []
    for overlap in ("mean", "gaussian"):
        tiled = fullconv.Segmenter(model, precision="fp32", tile=96, overlap=overlap).predict(picture).logits
        errors.append(float((tiled - whole).abs().mean()))
    assert errors[1] < errors[0]
