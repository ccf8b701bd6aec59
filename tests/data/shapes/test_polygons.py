"""Polygons and ellipses cover the pixels whose centres lie inside, by exact arithmetic on small fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.shapes import polygons
from fullconv.data.shapes.polygons import Patch, cut, fill_ellipse, fill_rings, near, turned
from fullconv.errors import DataError

eighths = st.integers(-24, 96).map(lambda number: number / 8)
rings = st.lists(st.tuples(eighths, eighths), min_size=3, max_size=9)


def whole(patch: Patch, size_hw: tuple[int, int]) -> np.ndarray:
    """A patch in its picture."""
    pixels = np.zeros(size_hw, bool)
    height, width = patch.pixels.shape
    pixels[patch.top : patch.top + height, patch.left : patch.left + width] = patch.pixels
    assert not height or pixels[patch.top : patch.top + height].shape[0] == height  # it lies in the picture
    return pixels


def is_inside(x: Fraction, y: Fraction, outlines: list[list[tuple[float, float]]]) -> bool:
    """Counts the edges that a ray to the left crosses, in fractions; upper ends count, lower ones do not."""
    odd = False
    for ring in outlines:
        for (ax, ay), (bx, by) in zip(ring, [*ring[1:], ring[0]], strict=True):
            if ay > by:
                ax, ay, bx, by = bx, by, ax, ay
            if ay <= y < by:
                crossing = Fraction(ax) + (y - Fraction(ay)) * (Fraction(bx) - Fraction(ax)) / (
                    Fraction(by) - Fraction(ay)
                )
                odd ^= crossing <= x
    return odd


@given(st.lists(rings, min_size=1, max_size=3), st.integers(1, 11), st.integers(1, 11))
def test_filled_are_the_pixels_whose_centres_are_inside(outlines, height, width):
    filled = whole(fill_rings([np.array(ring) for ring in outlines], (height, width)), (height, width))
    expected = [
        [
            is_inside(Fraction(2 * column + 1, 2), Fraction(2 * row + 1, 2), outlines)
            for column in range(width)
        ]
        for row in range(height)
    ]
    assert filled.tolist() == expected


@given(rings)
def test_neither_the_first_vertex_nor_the_direction_matters(ring):
    points = np.array(ring)
    filled = whole(fill_rings([points], (12, 12)), (12, 12))
    for other in (points[::-1], np.roll(points, 1, axis=0)):
        assert (whole(fill_rings([other], (12, 12)), (12, 12)) == filled).all()


def test_shapes_that_share_an_edge_share_no_pixel_and_leave_none():
    a, b, c, d = (0.0, 0.0), (9.0, 0.0), (9.0, 9.0), (0.0, 9.0)
    for middle in ((4.5, 4.5), (3.3, 7.7), (1.0, 4.0)):
        parts = [
            whole(fill_rings([np.array([p, q, middle])], (9, 9)), (9, 9))
            for p, q in ((a, b), (b, c), (c, d), (d, a))
        ]
        assert (np.sum(parts, axis=0) == 1).all()


def test_a_ring_in_a_ring_is_a_hole():
    outer, inner = np.array([[0, 0], [4, 0], [4, 4], [0, 4]]), np.array([[1, 1], [3, 1], [3, 3], [1, 3]])
    filled = fill_rings([outer, inner], (4, 4)).pixels.astype(int).tolist()
    assert filled == [[1, 1, 1, 1], [1, 0, 0, 1], [1, 0, 0, 1], [1, 1, 1, 1]]


def test_what_lies_outside_is_cut_off():
    square = np.array([[-5, -5], [50, -5], [50, 50], [-5, 50]])
    assert fill_rings([square], (3, 4)).pixels.tolist() == [[True] * 4] * 3
    assert not fill_rings([square + 60], (3, 4)).pixels.size
    assert not fill_rings([square - 60], (3, 4)).pixels.size
    assert not fill_rings([], (3, 4)).pixels.size
    assert not fill_rings([np.array([[1, 1], [2, 2]])], (3, 4)).pixels.any()  # no area


def test_long_outlines_are_worked_out_piece_by_piece(monkeypatch):
    rng = np.random.default_rng(0)
    ring = rng.uniform(0, 40, (200, 2))
    once = fill_rings([ring], (40, 40)).pixels
    monkeypatch.setattr(polygons, "MOST_CROSSINGS", 50)
    assert (fill_rings([ring], (40, 40)).pixels == once).all()


@given(
    st.tuples(eighths, eighths),
    st.tuples(st.floats(0.25, 12), st.floats(0.25, 12)),
    st.sampled_from([0.0, 30.0, 90.0, 200.0, -45.0]),
)
def test_ellipses_by_their_equation(center, radii, degrees):
    filled = whole(fill_ellipse(center, radii, degrees, (11, 13)), (11, 13))
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    for row in range(11):
        for column in range(13):
            dx, dy = column + 0.5 - center[0], row + 0.5 - center[1]
            along, across = dx * cos + dy * sin, dy * cos - dx * sin
            value = (along / radii[0]) ** 2 + (across / radii[1]) ** 2
            if abs(value - 1) > 1e-9:
                assert filled[row, column] == (value < 1)


def test_ellipses_without_area_and_outside_of_the_picture():
    assert not fill_ellipse((2, 2), (0, 3), 0, (5, 5)).pixels.any()
    assert not fill_ellipse((2, 2), (1e-200, 3), 0, (5, 5)).pixels.any()
    assert not fill_ellipse((-20, 2), (3, 3), 0, (5, 5)).pixels.size


def test_points_are_turned_clockwise_on_the_screen():
    assert np.allclose(turned(np.array([[2.0, 1.0]]), np.array([1.0, 1.0]), 90), [[1, 2]])


@pytest.mark.parametrize(("top", "left"), [(0, 0), (-1, -2), (3, 4), (-9, 0), (0, 99)])
def test_patches_are_cut_to_the_picture(top, left):
    pixels = np.random.default_rng(0).random((3, 5)) < 0.5
    expected = np.zeros((40, 150), bool)
    expected[20 + top : 23 + top, 20 + left : 25 + left] = pixels
    assert (whole(cut(pixels, top, left, (5, 7)), (5, 7)) == expected[20:25, 20:27]).all()


def test_points_far_outside_are_told():
    inside = np.array([[-7.0, 0.0], [14.0, 10.0]])
    assert near(inside, (5, 7), "a.json") is inside
    with pytest.raises(
        DataError, match=r"^a.json: got the point \(3, 10.5\), far outside of the picture of 5 x 7 \(height"
    ):
        near(np.array([[0.0, 0.0], [3.0, 10.5]]), (5, 7), "a.json")


def test_outlines_that_would_take_long_are_told():
    zigzag = np.array([[0.0, 0.0], [7.0, 5.0]] * 9000)
    with pytest.raises(
        DataError, match=r"^a.json: got an outline of 215988 pixels, expected at most 100140 in this picture"
    ):
        near(zigzag, (5, 7), "a.json")
