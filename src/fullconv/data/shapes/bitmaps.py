"""Masks as PNG files within JSON, in base64: LabelMe's masks, and Supervisely's bitmaps, which are deflated once more."""

import base64
import binascii
import io
import zlib

import numpy as np
from PIL import Image

from fullconv.data.pictures import load_upright, open_header
from fullconv.errors import DataError

MOST_BYTES_PER_PIXEL = 8
"""No PNG of a mask is longer than this and its head: what inflates to more is no mask."""

HEAD_BYTES = 2**16


def decode(text: str, max_pixels: int) -> np.ndarray:
    """The mask in a text: (h, w) bool.

    Where the picture is partly transparent, inside is what is not; elsewhere what is not black.

    Args:
        text: base64 of a PNG, or of a deflated one.
        max_pixels: larger masks are refused before they are decoded.

    Raises:
        DataError: it is no base64, or inflates to too much.
        PictureError: it holds no picture that can be read.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise DataError(f"is not base64 ({error}); expected a PNG in base64") from None
    if not data.startswith(b"\x89PNG"):
        data = _inflate(data, MOST_BYTES_PER_PIXEL * max_pixels + HEAD_BYTES)
    stream = io.BytesIO(data)
    image = load_upright(open_header(stream, "its bitmap", max_pixels=max(1, max_pixels)), "its bitmap")
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))[..., 3] > 0
    pixels = np.asarray(image)
    return np.any(pixels.reshape(*pixels.shape[:2], -1), axis=2)


def encode(mask: np.ndarray, *, deflated: bool) -> str:
    """A mask as base64 of a PNG of 1 bit, black outside and white inside.

    Args:
        mask: (h, w) bool.
        deflated: once more, as Supervisely does; black is then transparent too.
    """
    stream = io.BytesIO()
    image = Image.fromarray(mask.astype(np.uint8))
    if deflated:
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(stream, "PNG", transparency=0, bits=1)
        return base64.b64encode(zlib.compress(stream.getvalue())).decode()
    Image.fromarray(mask).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def _inflate(data: bytes, max_bytes: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        content = stream.decompress(data, max_bytes)
    except zlib.error as error:
        raise DataError(f"is neither a PNG nor a deflated one ({error})") from None
    if stream.unconsumed_tail:
        raise DataError(
            f"inflates to more than {max_bytes:,} bytes; expected a mask no larger than the picture"
        )
    return content
