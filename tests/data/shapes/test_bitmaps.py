"""Masks as PNG in base64."""

import base64
import io
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.shapes import bitmaps
from fullconv.errors import DataError, PictureError

MASK = np.array([[True, False, True], [False, False, True]])


def text_of(image: Image.Image, **options: object) -> str:
    stream = io.BytesIO()
    image.save(stream, "PNG", **options)
    return base64.b64encode(stream.getvalue()).decode()


@given(st.integers(1, 19), st.integers(1, 19), st.integers(0, 2**32), st.booleans())
def test_a_mask_comes_back(height, width, seed, deflated):
    mask = np.random.default_rng(seed).random((height, width)) < 0.5
    assert (bitmaps.decode(bitmaps.encode(mask, deflated=deflated), mask.size) == mask).all()


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_what_is_not_black_is_inside(mode):
    grey = MASK.astype(np.uint16) * 300 if mode == "I;16" else MASK.astype(np.uint8)
    image = Image.fromarray(grey if mode != "1" else MASK)
    if mode == "P":
        image.putpalette([9, 9, 9, 8, 8, 8])
    if mode == "RGB":
        image = Image.merge("RGB", [image, Image.new("L", image.size), Image.new("L", image.size)])
    assert (bitmaps.decode(text_of(image), 6) == MASK).all()


@pytest.mark.parametrize("mode", ["LA", "RGBA", "P"])
def test_what_is_not_transparent_is_inside(mode):
    alpha = Image.fromarray(MASK.astype(np.uint8) * 90)
    if mode == "P":  # as Supervisely's own tools write it
        image = Image.fromarray(MASK.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        text = base64.b64encode(zlib.compress(base64.b64decode(text_of(image, transparency=0)))).decode()
    else:
        image = Image.new(mode, (3, 2))
        image.putalpha(alpha)
        text = text_of(image)
    assert (bitmaps.decode(text, 6) == MASK).all()


def test_a_bitmap_of_supervisely_s_documents():
    """The string in the documentation of supervisely's Bitmap.data_2_base64."""
    text = (
        "eJzrDPBz5+WS4mJgYOD19HAJAtLMIMwIInOeqf8BUmwBPiGuQPr///9Lb86/C2QxlgT5BTM4PLuRBuTwebo4hlTMSa44sKHhISMDuxpTYrr03F6gDIOn"
        "q5/LOqeEJgDM5ht6"
    )
    assert bitmaps.decode(text, 9).astype(int).tolist() == [[1, 1, 1], [1, 0, 1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("no base64!", "is not base64"),
        ("é", "is not base64"),
        ("", "neither a PNG nor a deflated one|is empty"),
        (base64.b64encode(b"hello").decode(), "neither a PNG nor a deflated one"),
        (base64.b64encode(zlib.compress(bytes(10**7))).decode(), "inflates to more than"),
        (base64.b64encode(zlib.compress(b"hello")).decode(), "its bitmap: is not a picture"),
        (text_of(Image.new("1", (50, 50))), "its bitmap: has 50 x 50 pixels; at most 6 are read"),
        (text_of(Image.new("1", (3, 2)))[:60], "its bitmap: "),
    ],
)
def test_texts_that_hold_no_mask(text, complaint):
    with pytest.raises((DataError, PictureError), match=complaint):
        bitmaps.decode(text, 6)
