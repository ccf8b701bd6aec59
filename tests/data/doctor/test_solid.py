"""Areas are told from pixels between them, and masks that were smoothed, scaled or compressed come back."""

import io
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.doctor.solid import MOST_LEFT, between_share, snap_colors, snap_ids, solid
from fullconv.data.masks import palette_of
from fullconv.data.scenes import SCENES, draw_scene
from fullconv.labels import LabelSet

AREAS = LabelSet.from_names([f"class_{index}" for index in range(8)])


def areas(seed: int = 0) -> np.ndarray:
    """(60, 80) uint8: coarse areas of ids 0..7, each at least 10 pixels wide."""
    return np.random.default_rng(seed).integers(0, 8, (6, 8), np.uint8).repeat(10, 0).repeat(10, 1)


@given(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 9))
def test_solid_against_looking_at_each_block(seed, height, width):
    values = np.random.default_rng(seed).integers(0, 2, (height, width))
    expected = np.zeros((height, width), bool)
    for row in range(height - 2):
        for column in range(width - 2):
            if len(np.unique(values[row : row + 3, column : column + 3])) == 1:
                expected[row : row + 3, column : column + 3] = True
    assert (solid(values) == expected).all()


@given(st.integers(0, 10_000))
def test_between_share_against_counting_step_by_step(seed):
    rng = np.random.default_rng(seed)
    ids = rng.choice([0, 1, 2, 5, 255], (12, 14)).astype(np.uint8)
    over = direct = 0
    for lines in (ids.tolist(), ids.T.tolist()):
        for line in lines:
            for left, middle, right in zip(line, line[1:], line[2:], strict=False):
                over += 255 not in (left, middle, right) and (left < middle < right or left > middle > right)
            for first, second in pairwise(line):
                direct += 255 not in (first, second) and abs(first - second) >= 2
    assert between_share(ids) == (over / (over + direct) if over >= 20 else 0.0)


def test_drawn_masks_have_nothing_between_and_scaled_ones_have():
    drawn = areas()
    small = Image.fromarray(drawn).resize((70, 50), Image.Resampling.BILINEAR)
    assert between_share(drawn) == 0.0
    assert between_share(np.asarray(small)) > 0.25


def test_scaled_ids_come_back():
    drawn = areas()
    sharp = np.asarray(Image.fromarray(drawn).resize((70, 52), Image.Resampling.NEAREST))
    smooth = np.asarray(Image.fromarray(drawn).resize((70, 52), Image.Resampling.BILINEAR))
    assert (smooth != sharp).mean() > 0.08
    snapped = snap_ids(smooth, AREAS)
    assert snapped.sure
    assert between_share(snapped.ids) < 0.1
    assert (snapped.ids != sharp).mean() < 0.06  # at an outline, the one side or the other
    assert set(np.unique(snapped.ids)) <= set(range(8))


def test_a_sound_mask_stays_as_it_is():
    """Lines of one pixel too, unless they lie between their neighbours."""
    drawn = areas()
    drawn[5, :] = 0
    drawn[:, 33] = 7
    for snapped in (snap_ids(drawn, AREAS), snap_colors(palette_of(AREAS)[drawn], AREAS)):
        assert (snapped.ids == drawn).mean() > 0.999
        assert not snapped.foreign.any()


def test_void_and_ignored_ids_stay_void():
    labels = LabelSet(AREAS.names, AREAS.colors, ignore_ids=(3, 9))
    drawn = areas()
    drawn[:20] = 9
    drawn[20:30] = 255
    snapped = snap_ids(drawn, labels)
    assert (snapped.ids[:30] == 255).all()
    assert not (snapped.ids == 3).any()


def test_an_area_of_an_unknown_id_is_foreign():
    drawn = areas()
    drawn[10:20, 10:20] = 99
    snapped = snap_ids(drawn, AREAS)
    assert snapped.foreign[10:20, 10:20].all()
    assert snapped.foreign.sum() == 100
    assert not snapped.sure
    assert (snapped.ids[10:20, 10:20] == 255).all()


def as_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


@pytest.mark.parametrize("quality", [95, 75])
def test_areas_come_back_from_jpeg(quality):
    drawn = areas()
    spoilt = as_jpeg(palette_of(AREAS)[drawn], quality)
    snapped = snap_colors(spoilt, AREAS, jpeg=True)
    assert (snapped.ids != drawn).mean() < 0.06
    assert snapped.left.mean() <= MOST_LEFT
    assert snap_colors(spoilt, AREAS).code == "mask-jpeg"  # when it was saved as PNG afterwards


def test_smooth_outlines_come_back():
    drawn = draw_scene(0, 0, (96, 128))[1]
    small = Image.fromarray(drawn).resize((96, 72), Image.Resampling.NEAREST)
    sharp = np.asarray(small.resize((128, 96), Image.Resampling.NEAREST))
    smooth = Image.fromarray(palette_of(SCENES)[np.asarray(small)]).resize(
        (128, 96), Image.Resampling.BILINEAR
    )
    snapped = snap_colors(np.asarray(smooth), SCENES)
    assert snapped.code == "mask-blended"
    assert snapped.sure
    assert (snapped.ids != sharp).mean() < 0.05


def test_colours_a_little_off_are_meant_for_the_class():
    drawn = areas()
    off = np.clip(palette_of(AREAS)[drawn].astype(int) + 5, 0, 255).astype(np.uint8)
    snapped = snap_colors(off, AREAS)
    assert snapped.code == "mask-colours"
    assert snapped.sure
    assert (snapped.ids == drawn).all()


def test_a_colour_of_its_own_is_foreign():
    drawn = areas()
    colors = palette_of(AREAS)[drawn].copy()
    colors[:10, :10] = (1, 255, 77)
    snapped = snap_colors(colors, AREAS)
    assert snapped.code == "mask-colours"
    assert snapped.foreign[:10, :10].all()
    assert not snapped.sure


def test_a_photograph_is_no_mask():
    picture = np.random.default_rng(0).integers(0, 256, (80, 90, 3), np.uint8)
    assert not snap_colors(picture, AREAS, jpeg=True).sure
    assert not snap_ids(picture[..., 0], AREAS).sure


def test_masks_smaller_than_a_block():
    assert not solid(np.zeros((2, 5), np.uint8)).any()
    assert snap_ids(np.array([[0, 1]], np.uint8), AREAS).ids.tolist() == [[0, 1]]
    assert snap_colors(np.zeros((1, 2, 3), np.uint8), AREAS).ids.shape == (1, 2)
