"""Fingerprints tell the same picture, however it was saved, from others; the search misses no pair."""

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageEnhance, ImageOps

from fullconv.data.doctor import fingerprints
from fullconv.data.doctor.fingerprints import MIRROR, RADIUS, digest, distances, fingerprint, near_pairs
from fullconv.data.scenes import draw_scene


def scene(index: int) -> Image.Image:
    return Image.fromarray(draw_scene(3, index, (96, 128))[0])


def marks_of(picture: Image.Image) -> np.ndarray:
    marks = fingerprint(picture.convert("L"))
    assert marks is not None
    return marks


def as_jpeg(picture: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


def test_a_fingerprint_is_the_signs_of_low_frequencies():
    """Against the textbook's sum of cosines, for one frequency after the other."""
    picture = scene(0).convert("L")
    grey = np.asarray(picture.resize((64, 64), Image.Resampling.BOX), np.float64)
    places = np.arange(64)
    signs = np.zeros((16, 16), bool)
    for v in range(16):
        for u in range(16):
            waves = np.outer(
                np.cos(np.pi * v * (2 * places + 1) / 128), np.cos(np.pi * u * (2 * places + 1) / 128)
            )
            signs[v, u] = (grey * waves).sum() > 0
    signs[0, 0] = False
    bits = np.zeros(256, bool)
    bits[fingerprints._ORDER] = np.unpackbits(marks_of(picture).view(np.uint8)).astype(bool)
    assert int((bits != signs.ravel()).sum()) <= 1  # a sum may be 0 up to rounding


@pytest.mark.parametrize(
    "change",
    [
        lambda picture: as_jpeg(picture, 30),
        lambda picture: picture.reduce(2),
        lambda picture: picture.resize((picture.width * 2, picture.height), Image.Resampling.BILINEAR),
        lambda picture: ImageEnhance.Brightness(picture).enhance(0.8),
        lambda picture: picture.convert("L"),
    ],
)
def test_the_same_picture_saved_otherwise_is_near(change):
    for index in range(4):
        assert distances(marks_of(scene(index)), marks_of(change(scene(index)))) <= RADIUS // 2


def test_a_mirrored_picture_has_the_mirrored_fingerprint():
    for index in range(4):
        mirrored = marks_of(ImageOps.mirror(scene(index)))
        assert distances(mirrored, marks_of(scene(index)) ^ MIRROR) <= 2
        assert distances(mirrored, marks_of(scene(index))) > RADIUS


def test_other_pictures_are_far():
    marks = np.stack([marks_of(scene(index)) for index in range(8)])
    apart = distances(marks[:, None], marks[None])
    assert (apart[~np.eye(8, dtype=bool)] > 2 * RADIUS).all()


def test_a_picture_that_shows_nothing_has_none():
    assert fingerprint(Image.new("L", (50, 40), 128)) is None


def test_a_digest_tells_shapes_apart():
    zeros = np.zeros((2, 6), np.uint8)
    assert digest(zeros) == digest(np.zeros((2, 6), np.uint8))
    assert (
        len({digest(zeros), digest(zeros.reshape(3, 4)), digest(zeros + 1), digest(zeros.astype(bool))}) == 4
    )
    assert digest(np.arange(12, dtype=np.uint8).reshape(3, 4).T) == digest(
        np.ascontiguousarray(np.arange(12, dtype=np.uint8).reshape(3, 4).T)
    )


def flipped(marks: np.ndarray, bits: list[int]) -> np.ndarray:
    content = np.unpackbits(marks.view(np.uint8))
    content[bits] ^= 1
    return np.packbits(content).view(np.uint64)


@settings(max_examples=8)
@given(st.data())
def test_no_pair_within_the_radius_is_missed(data):
    """Whichever 31 bits differ; the far ones are as far as chance has it."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    pictures = rng.integers(0, 2**64, (6, 4), np.uint64)
    picture = data.draw(st.integers(0, 5))
    bits = data.draw(st.lists(st.integers(0, 255), max_size=RADIUS, unique=True))
    query, found, distance = near_pairs(flipped(pictures[picture], bits)[None], pictures)
    assert (query.tolist(), found.tolist(), distance.tolist()) == ([0], [picture], [len(bits)])


def test_the_search_finds_what_comparing_all_finds(monkeypatch):
    monkeypatch.setattr(fingerprints, "BLOCK", 100)  # many blocks
    rng = np.random.default_rng(1)
    pictures = rng.integers(0, 2**64, (300, 4), np.uint64)
    queries = np.stack(
        [
            flipped(pictures[index % 40], rng.choice(256, rng.integers(0, 60), replace=False).tolist())
            for index in range(200)
        ]
    )
    apart = distances(queries[:, None], pictures[None])
    expected = np.flatnonzero(apart.min(1) <= RADIUS)
    query, found, distance = near_pairs(queries, pictures)
    assert query.tolist() == expected.tolist()
    assert distance.tolist() == apart[expected, found].tolist()
    nearest = apart[expected].min(1)
    assert (distance[nearest < 16] == nearest[nearest < 16]).all()
    assert 50 < len(expected) < 200


def test_of_a_crowd_of_equal_pictures_each_finds_one(monkeypatch):
    monkeypatch.setattr(fingerprints, "CROWD", 20)
    pictures = np.repeat(np.random.default_rng(0).integers(0, 2**64, (1, 4), np.uint64), 300, axis=0)
    query, found, distance = near_pairs(pictures, pictures)
    assert len(query) == 300
    assert (distance == 0).all()
    assert (found == 0).all()  # the first of equal ones


def test_nothing_to_search():
    none, some = np.zeros((0, 4), np.uint64), np.zeros((2, 4), np.uint64)
    assert [part.tolist() for part in near_pairs(none, some)] == [[], [], []]
    assert [part.tolist() for part in near_pairs(some, none)] == [[], [], []]


def test_real_splits_hold_no_near_pictures(real_data: Path):
    marks = {
        split: np.stack(
            [marks_of(Image.open(path)) for path in sorted((real_data / "bag/images" / split).iterdir())]
        )
        for split in ("train", "val")
    }
    apart = distances(marks["val"][:, None], marks["train"][None])
    assert apart.min() > 2 * RADIUS
    assert len(near_pairs(marks["val"], marks["train"])[0]) == 0
