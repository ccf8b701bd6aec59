"""Outlines traced from masks fill to the same masks, under our rule and under COCO's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from fullconv.data.shapes.outlines import bridged, simplified, trace
from fullconv.data.shapes.polygons import fill_rings

NEIGHBOURS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])


@st.composite
def masks(draw):
    """Masks of odd sizes: noise, blocks, thin lines, islands of a pixel, holes in holes."""
    height, width = draw(st.integers(1, 15)), draw(st.integers(1, 15))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    mask = rng.random((height, width)) < draw(st.sampled_from([0.05, 0.3, 0.5, 0.8, 1.0]))
    if draw(st.booleans()):
        mask = np.kron(mask, np.ones((3, 2), bool))
    return mask


def filled(rings: list[np.ndarray], size_hw: tuple[int, int]) -> np.ndarray:
    pixels, patch = np.zeros(size_hw, bool), fill_rings(rings, size_hw)
    height, width = patch.pixels.shape
    pixels[patch.top : patch.top + height, patch.left : patch.left + width] = patch.pixels
    return pixels


@given(masks())
def test_each_outline_fills_to_one_connected_part(mask):
    parts, count = ndimage.label(mask, NEIGHBOURS)  # pyright: ignore[reportGeneralTypeIssues]
    outlines = trace(mask)
    assert len(outlines) == count
    for rings in outlines:
        part = filled(rings, mask.shape)
        assert (part == (parts == parts[part][0])).all()


@given(masks())
def test_outer_rings_turn_clockwise_and_holes_the_other_way(mask):
    for rings in trace(mask):
        for index, ring in enumerate(rings):
            x, y = ring.T
            area = x @ np.roll(y, -1) - y @ np.roll(x, -1)
            assert (area > 0) == (index == 0)
            steps = np.diff(ring, axis=0, append=ring[:1])
            assert ((steps == 0).sum(axis=1) == 1).all()  # along a row or a column, and never on the spot
            assert (
                (steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)
            ).all()  # a turn at each vertex


@given(masks())
def test_bridged_rings_fill_to_the_same_pixels(mask):
    for rings in trace(mask):
        assert (filled([bridged(rings)], mask.shape) == filled(rings, mask.shape)).all()


@given(masks())
def test_bridged_rings_fill_to_the_same_pixels_in_coco(mask):
    api = pytest.importorskip("pycocotools._mask")
    from fullconv.data.shapes.runs import from_counts, unpack

    height, width = mask.shape
    for rings in trace(mask):
        runs = api.frPyObjects([bridged(rings).ravel().astype(float).tolist()], height, width)[0][
            "counts"
        ].decode()
        assert (
            filled(rings, mask.shape) == from_counts(unpack(runs), mask.size).reshape(width, height).T
        ).all()


def test_no_outline_of_nothing():
    assert trace(np.zeros((3, 4), bool)) == []


def test_a_hole_in_an_island_in_a_hole():
    mask = np.ones((7, 7), bool)
    mask[1:6, 1:6] = False
    mask[2:5, 2:5] = True
    mask[3, 3] = False
    outlines = trace(mask)
    assert [len(rings) for rings in outlines] == [2, 2]
    assert [ring.min() for rings in outlines for ring in rings] == [0, 1, 2, 3]


def distance(points: np.ndarray, ring: np.ndarray) -> np.ndarray:
    """Of points from the nearest edge of a ring."""
    ends = np.roll(ring, -1, axis=0)
    line = (ends - ring)[None].astype(float)
    offset = points[:, None] - ring[None]
    along = np.clip((offset * line).sum(-1) / np.maximum((line**2).sum(-1), 1e-12), 0, 1)
    return np.sqrt(((offset - along[..., None] * line) ** 2).sum(-1)).min(1)


@given(masks(), st.sampled_from([0.5, 0.75, 1.0, 3.0]))
def test_simplified_rings_stay_near(mask, tolerance):
    for rings in trace(mask):
        for ring in rings:
            simple = simplified(ring, tolerance)
            assert 3 <= len(simple) <= len(ring)
            assert {tuple(point) for point in simple.tolist()} <= {tuple(point) for point in ring.tolist()}
            assert (distance(ring, simple) <= tolerance + 1e-9).all()


def test_a_staircase_becomes_a_line():
    mask = np.tril(np.ones((40, 40), bool))
    [[ring]] = trace(mask)
    assert len(ring) > 80
    assert len(simplified(ring, 0.75)) < 10
    assert simplified(ring, 0) is ring
