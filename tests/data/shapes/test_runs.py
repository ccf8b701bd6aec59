"""Run lengths agree with pycocotools, both ways."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.shapes.runs import from_counts, pack, to_counts, unpack
from fullconv.errors import DataError

flags = st.lists(st.booleans(), max_size=60)


@given(flags)
def test_runs_give_the_mask_back(flat):
    pixels = np.array(flat, bool)
    counts = to_counts(pixels)
    assert counts.sum() == len(flat)
    assert (counts[1:] > 0).all()
    assert from_counts(counts, len(flat)).tolist() == flat


@given(st.lists(st.integers(0, 178_956_970), max_size=12))
def test_packed_runs_come_back(counts):
    assert unpack(pack(np.array(counts, np.int64))).tolist() == counts


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32))
def test_strings_are_those_of_coco(height, width, seed):
    api = pytest.importorskip("pycocotools._mask")
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    theirs = api.encode(np.asfortranarray(mask.astype(np.uint8))[..., None])[0]["counts"].decode()
    assert pack(to_counts(mask.T.ravel())) == theirs
    assert (mask == from_counts(unpack(theirs), mask.size).reshape(width, height).T).all()


@pytest.mark.parametrize(
    ("counts", "complaint"),
    [
        ([3, -1, 4], "got a run of -1 pixels, expected 0 or more"),
        ([3, 4], "got runs of 7 pixels in all, expected 6"),
        ([2**62, 2**62, 2**62], "got runs of 13835058055282163712 pixels in all, expected 6"),
        ([], "got runs of 0 pixels in all, expected 6"),
    ],
)
def test_runs_that_make_no_mask(counts, complaint):
    with pytest.raises(DataError, match=complaint):
        from_counts(counts, 6)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("02 ", "letter 2 of the run lengths is ' ', none of theirs"),
        ("0é", "letter 1"),
        ("0o", "cut short"),
        ("oooooooooooo0", "more than 40 bits"),
    ],
)
def test_strings_that_hold_no_runs(text, complaint):
    with pytest.raises(DataError, match=complaint):
        unpack(text)


def test_an_empty_string_holds_no_run():
    assert unpack("").tolist() == []
