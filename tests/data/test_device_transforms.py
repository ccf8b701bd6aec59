"""On the device, a crop is what the loader's own transform makes of it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.device_transforms import cut, recolored, resampling, varied
from fullconv.data.transforms import Recolor, Span, TrainTransform

CPU = torch.device("cpu")


def both_ways(transform: TrainTransform, picture: np.ndarray, label_map: np.ndarray, seed: int):
    """What the loader makes of a sample, and what the device makes of its part."""
    expected = transform(picture, label_map, np.random.default_rng(seed))
    variation = transform.draw(label_map.shape[-2:], np.random.default_rng(seed))
    part = cut(picture, transform.labels_of(label_map, variation), variation, 7)
    pictures, labels, indices = varied([part], transform, CPU)
    assert indices.tolist() == [7]
    return expected, (pictures[0], labels[0]), part


@settings(max_examples=150, deadline=None)
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.floats(0.1, 4),
    num_extra=st.sampled_from([0, 0, 1, 3]),
    num_heads=st.sampled_from([None, 1, 3]),
    seed=st.integers(0, 2**32),
)
def test_geometry_is_the_loaders(size, crop, scale, num_extra, num_heads, seed):
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (*size, 3 + num_extra), np.uint8)
    shape = size if num_heads is None else (num_heads, *size)
    label_map = rng.integers(0, 9, shape, dtype=np.uint8)
    transform = TrainTransform(crop, (scale, scale * 1.5), brightness=0, contrast=0, saturation=0, hue=0)
    expected, got, _ = both_ways(transform, picture, label_map, seed)
    assert got[0].shape == expected[0].shape
    assert got[0].dtype == got[1].dtype == torch.uint8
    assert (got[0].int() - expected[0].int()).abs().max() <= 2  # Pillow rounds after either direction
    assert torch.equal(got[1], expected[1])


@settings(max_examples=40, deadline=None)
@given(size=st.tuples(st.integers(8, 60), st.integers(8, 60)), seed=st.integers(0, 2**32))
def test_colours_are_the_loaders(size, seed):
    rng = np.random.default_rng(seed)
    picture, label_map = rng.integers(0, 256, (*size, 3), np.uint8), np.zeros(size, np.uint8)
    expected, got, _ = both_ways(TrainTransform((40, 50)), picture, label_map, seed)
    assert (
        got[0].int() - expected[0].int()
    ).abs().max() <= 6  # up to two levels before, times 1.3, 1.3 and 1.3


@pytest.mark.parametrize("size", [(16, 16), (13, 21), (5, 7)])
def test_recolouring_is_pillows(size):
    rng = np.random.default_rng(1)
    for _ in range(20):
        picture = rng.integers(0, 256, (*size, 3), np.uint8)
        recolor = Recolor(*rng.uniform(0.5, 1.5, 3), rng.uniform(-0.2, 0.2), tuple(rng.permutation(4)))
        image = Image.fromarray(picture)
        expected = np.asarray(image.convert("RGB", recolor.matrix(image))).astype(int)
        got = recolored(torch.from_numpy(picture).permute(2, 0, 1).float(), recolor)
        assert np.abs(got.permute(1, 2, 0).numpy() - expected).max() <= 1


def test_only_what_is_seen_is_sent():
    rng = np.random.default_rng(0)
    picture, label_map = rng.integers(0, 256, (400, 600, 3), np.uint8), np.zeros((400, 600), np.uint8)
    _, _, part = both_ways(TrainTransform((32, 48), scale=(1, 1)), picture, label_map, 0)
    assert part.picture.shape[1] <= 32 + 2
    assert part.picture.shape[2] <= 48 + 2


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 50), size=st.integers(1, 50))
def test_resampling_is_pillows_filter(length, size):
    row = np.random.default_rng(length).random(length, np.float32)
    expected = np.asarray(Image.fromarray(row[None]).resize((size, 1), Image.Resampling.BILINEAR))[0]
    weights = resampling(Span(slice(0, size), 0.0, float(length)), length, CPU)
    np.testing.assert_allclose(weights.numpy() @ row, expected, atol=2e-6)
