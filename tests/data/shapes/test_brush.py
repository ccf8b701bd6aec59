"""Strokes of Label Studio's brush, against a plain reading of their bits."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.shapes import brush
from fullconv.errors import DataError


def plain(packed: list[int]) -> list[int]:
    """All values of a stroke, read from its bits as text, as the format's document tells it."""
    bits = "".join(f"{byte:08b}" for byte in packed)
    at = 0

    def take(width: int) -> int:
        nonlocal at
        at += width
        return int(bits[at - width : at], 2)

    count, value_bits = take(32), take(5) + 1
    widths = [take(4) + 1 for _ in range(4)]
    values: list[int] = []
    while len(values) < count:
        repeated, width = take(1), widths[take(2)]
        length = take(width) + 1
        values += [take(value_bits)] * length if repeated else [take(value_bits) for _ in range(length)]
    return values


@given(st.integers(1, 17), st.integers(1, 17), st.integers(0, 2**32), st.sampled_from([0, 0.1, 0.5, 1]))
def test_a_mask_comes_back(height, width, seed, share):
    mask = np.random.default_rng(seed).random((height, width)) < share
    packed = brush.encode(mask)
    assert (brush.decode(bytes(packed), (height, width)) == mask).all()
    assert plain(packed) == np.repeat(np.where(mask, 255, 0).ravel(), 4).tolist()


def test_long_runs_are_split():
    mask = np.zeros((300, 301), bool)
    mask[:, :] = True
    assert brush.decode(bytes(brush.encode(mask)), (300, 301)).all()


@given(st.lists(st.integers(0, 255), min_size=6, max_size=6), st.integers(1, 5))
def test_single_values_are_read_wherever_they_begin(alphas, first):
    """Label Studio itself writes values one by one where a stroke's edge is soft."""
    values = [value for alpha in alphas for value in (7, 8, 9, alpha)]
    head = f"{len(values):032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16))
    blocks, rest = f"000{first - 1:03b}" + "".join(f"{value:08b}" for value in values[:first]), values[first:]
    blocks += f"010{len(rest) - 1:08b}" + "".join(f"{value:08b}" for value in rest)
    blocks = blocks.replace("010", "010", 1)
    text = head + blocks
    text += "0" * (-len(text) % 8)
    packed = [int(text[at : at + 8], 2) for at in range(0, len(text), 8)]
    assert plain(packed) == values
    assert brush.decode(bytes(packed), (2, 3)).ravel().tolist() == [alpha > 0 for alpha in alphas]


@pytest.mark.parametrize("keep", [0, 3, 6, 8])
def test_strokes_that_are_cut_short(keep):
    packed = bytes(brush.encode(np.eye(5, dtype=bool)))
    with pytest.raises(DataError, match="cut short"):
        brush.decode(packed[:keep], (5, 5))


def test_strokes_of_another_size_or_with_too_much():
    packed = bytes(brush.encode(np.eye(5, dtype=bool)))
    with pytest.raises(DataError, match="got 100 values of 8 bits, expected 96 of 8 for 4 x 6 pixels"):
        brush.decode(packed, (4, 6))
    with pytest.raises(DataError, match="hold more than 4 values"):
        brush.decode(packed[:3] + bytes([4]) + packed[4:7] + b"\xff" * 9, (1, 1))
