"""Picture and mask move together, labels stay labels, and all chance comes from the generator."""

import colorsys
import hashlib
import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.transforms import Recolor, TrainTransform

GREY = np.array([0.299, 0.587, 0.114])


def plain(crop_hw: tuple[int, int], **options) -> TrainTransform:
    """Geometry alone: the colours stay."""
    return TrainTransform(crop_hw, brightness=0, contrast=0, saturation=0, hue=0, **options)


def coordinates(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture whose red is the column and whose green is the row, and a mask of 8 x 8 squares, ids 1 to 99."""
    rows, columns = np.mgrid[:height, :width]
    picture = np.stack([columns, rows, np.zeros_like(rows)], -1).astype(np.uint8)
    return picture, (1 + (rows // 8 * 31 + columns // 8 * 7) % 99).astype(np.uint8)


@settings(max_examples=100, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    scale=st.floats(0.05, 4),
    seed=st.integers(0, 2**32),
)
def test_no_label_appears_that_was_not_there_but_void(size, crop, scale, seed):
    label_map = np.random.default_rng(seed).choice(np.array([3, 7, 100], np.uint8), size)
    picture = np.zeros((*size, 3), np.uint8)
    transform = TrainTransform(crop, scale=(scale, scale * 1.5))
    out, labels = transform(picture, label_map, np.random.default_rng(seed))
    assert out.shape == (3, *crop)
    assert labels.shape == crop
    assert out.dtype == labels.dtype == torch.uint8
    assert set(labels.unique().tolist()) <= {*np.unique(label_map).tolist(), 255}
    assert out.is_contiguous()
    assert labels.is_contiguous()


@settings(max_examples=60, deadline=None)
@given(scale=st.floats(0.3, 4), seed=st.integers(0, 2**32))
def test_picture_and_mask_stay_in_register(scale, seed):
    """Each result pixel says in its colour where it comes from: the mask must have the label of that place."""
    picture, label_map = coordinates(200, 240)
    out, labels = plain((64, 80), scale=(scale, scale))(picture, label_map, np.random.default_rng(seed))
    columns, rows = out[0].numpy(), out[1].numpy()  # rounded centres of the source area of each pixel
    shown = (labels != 255).numpy()
    # where a square's border is more than a pixel away in the source, rounding and filter width cannot matter
    clear = shown & (abs(rows % 8 - 3.5) < 2) & (abs(columns % 8 - 3.5) < 2)
    if scale < 1:  # filters that reach over the picture's border are bent there
        clear &= (rows > 8) & (rows < 191) & (columns > 8) & (columns < 231)
    assert clear.any()
    assert (label_map[rows[clear], columns[clear]] == labels.numpy()[clear]).all()


@settings(max_examples=15, deadline=None)
@given(scale=st.floats(0.3, 3), seed=st.integers(0, 2**32))
def test_the_crop_is_a_window_of_the_whole_resized_picture(scale, seed):
    """Resizing only what is seen gives the pixels that resizing everything would have given."""
    rng = np.random.default_rng(seed)
    picture, label_map = rng.integers(0, 256, (50, 70, 3), np.uint8), rng.integers(0, 9, (50, 70), np.uint8)
    size = (max(1, round(70 * scale)), max(1, round(50 * scale)))
    whole = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BILINEAR)).astype(int)
    crop_hw = (min(24, size[1]), min(30, size[0]))
    out, labels = plain(crop_hw, scale=(scale, scale), flip=0)(
        picture, label_map, np.random.default_rng(seed)
    )
    out = out.permute(1, 2, 0).numpy()
    windows = [
        (np.abs(whole[y : y + crop_hw[0], x : x + crop_hw[1]] - out).max(), (y, x))
        for y in range(size[1] - crop_hw[0] + 1)
        for x in range(size[0] - crop_hw[1] + 1)
    ]
    difference, (y, x) = min(windows)
    assert difference <= 2  # rounded once in each direction
    fits = np.zeros(crop_hw, bool)
    for nudge_y, nudge_x in itertools.product(
        (-1e-3, 1e-3), repeat=2
    ):  # a centre may lie on a source pixel's edge
        rows = ((y + np.arange(crop_hw[0]) + 0.5) * 50 / size[1] + nudge_y).astype(int)
        columns = ((x + np.arange(crop_hw[1]) + 0.5) * 70 / size[0] + nudge_x).astype(int)
        fits |= label_map[np.ix_(rows, columns)] == labels.numpy()
    assert fits.all()


def test_nearest_takes_the_pixel_under_the_centre():
    """Enlarged three times, each label fills its own three pixels; halved, the pixel right of the middle is taken."""
    row = np.arange(6, dtype=np.uint8)[None]
    picture = np.zeros((1, 6, 3), np.uint8)
    labels = plain((3, 18), scale=(3, 3), flip=0)(picture, row, np.random.default_rng(0))[1]
    assert labels[0].tolist() == np.repeat(np.arange(6), 3).tolist()
    labels = plain((1, 2), scale=(1 / 3, 1 / 3), flip=0)(picture, row, np.random.default_rng(0))[1]
    assert labels.tolist() == [[1, 4]]


def test_padding_is_void_and_filled_and_placed_at_random():
    picture, label_map = np.full((4, 6, 3), 200, np.uint8), np.ones((4, 6), np.uint8)
    transform = plain((10, 12), scale=(1, 1), fill=(1, 2, 3))
    places = set()
    for seed in range(60):
        out, labels = transform(picture, label_map, np.random.default_rng(seed))
        shown = labels == 1
        assert int(shown.sum()) == 24
        assert (labels[~shown] == 255).all()
        assert (out[:, shown] == 200).all()
        assert (out[:, ~shown] == torch.tensor([[1], [2], [3]])).all()
        places.add(tuple(shown.nonzero()[0].tolist()))
    assert {place[0] for place in places} == set(range(7))
    assert {place[1] for place in places} == set(range(7))


def test_colours_change_nothing_in_mask_and_padding():
    picture, label_map = coordinates(30, 40)
    strong = {"brightness": 0.9, "contrast": 0.9, "saturation": 0.9, "hue": 0.4}
    for seed in range(10):
        out, labels = TrainTransform((64, 64), **strong)(picture, label_map, np.random.default_rng(seed))
        same, same_labels = plain((64, 64))(picture, label_map, np.random.default_rng(seed))
        assert (labels == same_labels).all()
        padding = labels == 255
        assert (out[:, padding] == same[:, padding]).all()
        assert (out[:, ~padding] != same[:, ~padding]).any()


def test_flip_mirrors_both():
    picture, label_map = coordinates(40, 40)
    out, labels = plain((40, 40), scale=(1, 1), flip=1)(picture, label_map, np.random.default_rng(0))
    assert (out.permute(1, 2, 0).numpy() == picture[:, ::-1]).all()
    assert (labels.numpy() == label_map[:, ::-1]).all()
    flips = [
        bool(plain((40, 40), scale=(1, 1))(picture, label_map, np.random.default_rng(seed))[0][0, 0, 0])
        for seed in range(200)
    ]
    assert 70 < sum(flips) < 130


@settings(max_examples=30, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    seed=st.integers(0, 2**32),
)
def test_a_flipped_crop_is_the_mirror_image_padding_and_all(size, crop, seed):
    rng = np.random.default_rng(seed)
    picture, label_maps = rng.integers(0, 256, (*size, 5), np.uint8), rng.integers(0, 9, (2, *size), np.uint8)
    ahead, mirrored = (
        TrainTransform(crop, flip=flip)(picture, label_maps, np.random.default_rng(seed)) for flip in (0, 1)
    )
    for one, other in zip(ahead, mirrored, strict=True):
        assert torch.equal(one.flip(-1), other)


def test_the_scale_is_log_uniform():
    """Halving is as likely as doubling: the median of 0.5 .. 2 is 1."""
    label_map = np.ones((32, 32), np.uint8)
    transform = plain((64, 64), scale=(0.5, 2))
    picture = np.zeros((32, 32, 3), np.uint8)
    sides = [
        int((transform(picture, label_map, np.random.default_rng(s))[1] == 1).sum()) ** 0.5
        for s in range(1000)
    ]
    assert min(sides) == 16
    assert max(sides) == 64
    assert abs(np.log2(sides).mean() - 5) < 0.06  # 3.3 standard errors


def test_the_same_generator_gives_the_same_result_and_nothing_global_is_touched():
    picture, label_map = coordinates(50, 60)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    transform = TrainTransform((32, 32))
    first = transform(picture, label_map, np.random.default_rng(5))
    again = transform(picture, label_map, np.random.default_rng(5))
    other = transform(picture, label_map, np.random.default_rng(6))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])
    assert (np.random.get_state()[1] == before).all()
    assert torch.equal(torch.get_rng_state(), torch_before)


def recolored(picture: np.ndarray, recolor: Recolor) -> np.ndarray:
    image = Image.fromarray(picture)
    return np.asarray(image.convert("RGB", recolor.matrix(image)))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).integers(90, 150, (16, 16, 3), np.uint8)  # no clipping


def test_colours_without_strength_stay(noise):
    assert (recolored(noise, Recolor(1, 1, 1, 0, (0, 1, 2, 3))) == noise).all()


def test_brightness_contrast_and_saturation_by_their_definitions(noise):
    expected = noise * 1.2
    assert np.abs(recolored(noise, Recolor(1.2, 1, 1, 0, (3, 2, 1, 0))) - expected).max() <= 0.51
    mean_grey = (noise @ GREY).mean()
    expected = mean_grey + 1.3 * (noise - mean_grey)
    assert (
        np.abs(recolored(noise, Recolor(1, 1.3, 1, 0, (0, 1, 2, 3))) - expected).max() <= 1
    )  # the mean is sampled
    grey = (noise @ GREY)[..., None]
    expected = grey + 0.4 * (noise - grey)
    assert np.abs(recolored(noise, Recolor(1, 1, 0.4, 0, (0, 1, 2, 3))) - expected).max() <= 0.51


def test_colours_change_one_after_another(noise):
    mean_grey = (noise * 1.3 @ GREY).mean()
    expected = mean_grey + 0.5 * (noise * 1.3 - mean_grey)
    assert np.abs(recolored(noise, Recolor(1.3, 0.5, 1, 0, (0, 1, 2, 3))) - expected).max() <= 1


def test_hue_turns_colours_and_keeps_grey(noise):
    grey = np.full((8, 8, 3), 130, np.uint8)
    assert (recolored(grey, Recolor(1, 1, 1, 0.3, (0, 1, 2, 3))) == 130).all()
    turned = recolored(noise, Recolor(1, 1, 1, 0.25, (0, 1, 2, 3)))
    assert np.abs((turned @ GREY) - (noise @ GREY)).max() < 1.5
    assert (turned != noise).any()
    reddish = np.full((8, 8, 3), (160, 110, 110), np.uint8)
    red, green, blue = recolored(reddish, Recolor(1, 1, 1, 1 / 3, (0, 1, 2, 3)))[0, 0] / 255
    assert abs(colorsys.rgb_to_hsv(red, green, blue)[0] - 1 / 3) < 0.12  # from red to about green


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    crop=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    num_extra=st.sampled_from([1, 3]),
    num_heads=st.integers(1, 3),
    seed=st.integers(0, 2**32),
)
def test_more_channels_and_more_heads_change_nothing_in_the_others(size, crop, num_extra, num_heads, seed):
    rng, transform = np.random.default_rng(seed), TrainTransform(crop)
    picture = rng.integers(0, 256, (*size, 3 + num_extra), np.uint8)
    label_maps = rng.integers(0, 9, (num_heads, *size), np.uint8)
    out, labels = transform(picture, label_maps, np.random.default_rng(seed))
    assert (out.shape, labels.shape) == ((3 + num_extra, *crop), (num_heads, *crop))
    assert out.is_contiguous()
    assert labels.is_contiguous()
    for index, label_map in enumerate(label_maps):
        rgb, alone = transform(np.ascontiguousarray(picture[..., :3]), label_map, np.random.default_rng(seed))
        assert torch.equal(out[:3], rgb)
        assert torch.equal(labels[index], alone)
    for channel in range(
        3, 3 + num_extra
    ):  # a grey picture of that channel alone, with its colours left alone
        grey = np.repeat(picture[..., channel, None], 3, axis=2)
        expected = plain(crop, fill=(128, 128, 128))(grey, label_maps[0], np.random.default_rng(seed))[0]
        assert torch.equal(out[channel], expected[0])


def test_extra_channels_stay_in_register_with_the_mask():
    """The depth of each pixel is 7 times its label: after any transform, away from outlines, still."""
    label_map = np.kron(np.random.default_rng(0).integers(0, 9, (6, 8)), np.ones((12, 12))).astype(np.uint8)
    picture = np.dstack([np.zeros((72, 96, 3), np.uint8), 7 * label_map])
    for seed in range(20):
        out, labels = TrainTransform((50, 60))(picture, label_map, np.random.default_rng(seed))
        shown = (labels != 255).numpy()
        error = np.abs(out[3].numpy().astype(int) - 7 * labels.numpy())[shown]
        assert (error == 0).mean() > 0.6
        assert (out[3].numpy()[~shown] == 128).all()


def test_three_channels_as_ever():
    """A resumed run must see the pictures that it would have seen: this is what the first release drew."""
    digest = hashlib.sha256()
    for seed in range(20):
        rng = np.random.default_rng(seed)
        picture = rng.integers(0, 256, (*rng.integers(20, 90, 2), 3), np.uint8)
        label_map = rng.integers(0, 5, picture.shape[:2], dtype=np.uint8)
        out, labels = plain((48, 40), scale=(1, 1))(picture, label_map, rng)
        digest.update(out.numpy().tobytes() + labels.numpy().tobytes() + rng.bytes(8))
    assert digest.hexdigest()[:16] == "ab62d734d3e67680"
