"""Which of several shapes a pixel shows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import Patch


def area(row: int, column: int, height: int, width: int, label: int, level: int = 0) -> Area:
    return Area(Patch(row, column, np.ones((height, width), bool)), label, level)


def test_the_smaller_is_on_top_whatever_the_order():
    large, small = area(0, 0, 3, 3, 1), area(1, 1, 1, 1, 2)
    expected = [[1, 1, 1, 9], [1, 2, 1, 9], [1, 1, 1, 9]]
    assert paint((3, 4), [large, small], 9).tolist() == expected
    assert paint((3, 4), [small, large], 9).tolist() == expected


def test_of_two_as_large_the_later_is_on_top():
    assert paint((1, 3), [area(0, 0, 1, 2, 1), area(0, 1, 1, 2, 2)], 0).tolist() == [[1, 2, 2]]
    assert paint((1, 3), [area(0, 1, 1, 2, 2), area(0, 0, 1, 2, 1)], 0).tolist() == [[1, 1, 2]]


def test_levels_go_before_sizes():
    assert paint((1, 3), [area(0, 0, 1, 1, 1), area(0, 0, 1, 3, 2, level=1)], 0).tolist() == [[2, 2, 2]]


@st.composite
def areas(draw):
    found = []
    for level in sorted(draw(st.lists(st.integers(-2, 2), max_size=8))):
        row, column = draw(st.integers(0, 5)), draw(st.integers(0, 6))
        height, width = draw(st.integers(0, 6 - row)), draw(st.integers(0, 7 - column))
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        found.append(
            Area(Patch(row, column, rng.random((height, width)) < 0.7), draw(st.integers(0, 255)), level)
        )
    return found


@given(areas())
def test_as_if_they_were_painted_from_the_largest_to_the_smallest(found):
    expected = np.full((6, 7), 255)
    order = sorted(range(len(found)), key=lambda i: (found[i].level, -found[i].patch.pixels.sum(), i))
    for index in order:
        patch = found[index].patch
        for row, column in zip(*np.nonzero(patch.pixels), strict=True):
            expected[patch.top + row, patch.left + column] = found[index].label
    assert paint((6, 7), found, 255).tolist() == expected.tolist()
