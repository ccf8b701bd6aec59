"""Shapes of COCO annotations, against pycocotools itself."""

import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from fullconv.data.documents import told
from fullconv.data.shapes import coco
from fullconv.data.shapes.coco import RunLengths, Segmentation, draw
from fullconv.errors import ConfigError, DataError

ADAPTER = TypeAdapter(Segmentation)
api = pytest.importorskip("pycocotools.mask")

outlines = st.lists(
    st.lists(st.floats(-7, 15, width=32), min_size=6, max_size=16).filter(
        lambda numbers: len(numbers) % 2 == 0
    ),
    min_size=1,
    max_size=3,
)


def theirs(segmentation: object, height: int, width: int) -> np.ndarray:
    """As `COCO.annToMask` does it."""
    runs = api.frPyObjects(segmentation, height, width)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pycocotools' own, with numpy 2
        return api.decode(api.merge(runs) if isinstance(runs, list) else runs).astype(bool)


@given(outlines, st.integers(8, 20), st.integers(8, 20))
def test_polygons_are_filled_as_pycocotools_fills_them(shape, height, width):
    shape = ADAPTER.validate_python(shape)
    assert (draw(shape, (height, width)).pixels == theirs(shape, height, width)).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32), st.booleans())
def test_run_lengths_of_both_kinds(height, width, seed, packed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    runs = api.encode(np.asfortranarray(mask.astype(np.uint8)))
    counts = runs["counts"].decode()
    if not packed:
        changes = np.flatnonzero(np.diff(mask.T.ravel().astype(int), prepend=0))
        counts = np.diff(changes, prepend=0, append=mask.size).tolist()
        assert (theirs({"size": [height, width], "counts": counts}, height, width) == mask).all()
    shape = ADAPTER.validate_python({"size": [height, width], "counts": counts})
    assert isinstance(shape, RunLengths)
    assert (draw(shape, (height, width)).pixels == mask).all()


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([[1, 2, 3, 4, 5]], "[0]: got 5 numbers, expected x and y of at least 3 points"),
        ([[1, 2, 3, 4]], "[0]: got 4 numbers, expected x and y of at least 3 points"),
        ([[1, 2, 3, 4, 5, 6], [1, 2, "x", 4, 5, 6]], "[1][2]: got 'x', expected a valid number"),
        ([[1, 2, 3, 4, 5, float("nan")]], "[0][5]: got nan, expected a finite number"),
        ([1, 2, 3, 4, 5, 6], "[0]: got 1, expected a valid list"),
        ("abc", "got 'abc', expected a valid list"),
        ({"counts": [1]}, "size: is missing; expected a value"),
        ({"size": [2, 2], "counts": [5, -1]}, "counts[1]: got -1, expected greater than or equal to 0"),
        (
            {"size": [2, 2], "counts": [10**30]},
            "counts[0]: got 1000000000000000000000000000000, expected less than",
        ),
        ({"size": [2, 2], "counts": None}, "counts: got None, expected a valid list"),
    ],
)
def test_what_is_no_shape(value, complaint):
    with pytest.raises(ValidationError) as caught:
        ADAPTER.validate_python(value)
    assert told(caught.value).startswith(complaint)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([[0, 0, 4, 0, 4, 4], [0, 0, 4, 0, 4, 400]], r"^\[1\]: got the point \(4, 400\), far outside"),
        (
            {"size": [4, 5], "counts": [20]},
            r"^.size: got \[4, 5\], expected \[5, 4\], the size of its picture",
        ),
        ({"size": [5, 4], "counts": [21]}, "^got runs of 21 pixels in all, expected 20"),
        ({"size": [5, 4], "counts": " "}, "letter 0 of the run lengths"),
    ],
)
def test_shapes_that_do_not_fit_the_picture(value, complaint):
    with pytest.raises(DataError, match=complaint):
        draw(ADAPTER.validate_python(value), (5, 4))


def test_outlines_that_would_need_much_memory(monkeypatch):
    monkeypatch.setattr(coco, "LONGEST_OUTLINE", 10)
    with pytest.raises(DataError, match=r"\[0\]: got an outline of 16 pixels, expected at most 10"):
        draw([[0, 0, 4, 0, 4, 4, 0, 4]], (5, 5))


def test_polygons_without_pycocotools(monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(ConfigError, match=r"pip install 'fullconv\[formats\]'"):
        draw([[0, 0, 4, 0, 4, 4]], (5, 5))
    assert draw(RunLengths(size=(2, 1), counts="02"), (2, 1)).pixels.all()  # run lengths need no package
