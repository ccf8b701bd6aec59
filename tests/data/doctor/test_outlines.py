"""A mask's outlines are told from another picture's."""

import numpy as np
from PIL import Image

from fullconv.data.doctor.outlines import outline_fit
from fullconv.data.scenes import draw_scene


def scene(index: int) -> tuple[Image.Image, np.ndarray]:
    picture, label_map = draw_scene(0, index, (96, 128))
    return Image.fromarray(picture).convert("L"), label_map


def fit(grey: Image.Image, label_map: np.ndarray) -> float:
    value = outline_fit(grey, label_map)
    assert value is not None
    return value


def test_the_own_mask_fits_best():
    for index in range(6):
        (grey, own), (_, other) = scene(index), scene(index + 1)
        assert fit(grey, own) > 1.4
        for foreign in (other, own[:, ::-1].copy(), own[::-1].copy(), np.roll(own, (9, 9), (0, 1))):
            assert fit(grey, foreign) < 0.9 * fit(grey, own)


def test_a_pixel_off_still_fits():
    grey, own = scene(0)
    assert fit(grey, np.roll(own, 1, 1)) > 0.9 * fit(grey, own)


def test_masks_without_outlines_say_nothing():
    grey, own = scene(0)
    assert outline_fit(grey, np.zeros_like(own)) is None
    few = np.zeros_like(own)
    few[40:44, 40:44] = 1
    assert outline_fit(grey, few) is None
    assert outline_fit(Image.new("L", (1, 1)), np.zeros((1, 1), np.uint8)) is None


def test_a_large_picture_fits_as_its_small_copy_does():
    grey, own = scene(2)
    large = grey.resize((grey.width * 4, grey.height * 4), Image.Resampling.NEAREST)
    assert abs(fit(large, own.repeat(4, 0).repeat(4, 1)) / fit(grey, own) - 1) < 0.35


def test_narrow_pictures_have_an_answer():
    """Smaller than the way to the side."""
    rng = np.random.default_rng(0)
    label_map = np.zeros((300, 16), np.uint8)
    label_map[:, 8:] = 1
    value = outline_fit(Image.fromarray(rng.integers(0, 255, (300, 16), np.uint8)), label_map)
    assert value is not None
    assert np.isfinite(value)
