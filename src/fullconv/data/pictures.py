"""Picture files as arrays: upright, in RGB, 8 bits.

One reader serves training, prediction and serving, so that all of them see the same pixels. A picture stands
as a browser shows it: turned by its EXIF orientation tag and by nothing else. Alpha is left out: the colours
are those stored.
"""

import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image

from fullconv.errors import PictureError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm")
)
"""Files with these ends are taken where a folder is searched; what a file is, its first bytes say."""

MAX_PIXELS = 178_956_970
"""The most pixels that are decoded (half a gigabyte of RGB); Pillow itself stops here."""

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_picture(path: Path | str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Reads a picture file.

    Grey, palette, 1-bit, 16-bit and CMYK pictures become RGB; of an animation the first frame is read.

    Args:
        path: a JPEG, PNG, WebP, BMP, TIFF, GIF or PPM file.
        max_pixels: larger pictures are refused, before they are decoded.

    Returns:
        (H, W, 3) uint8 RGB, EXIF orientation applied.

    Raises:
        PictureError: the file is absent, no picture, damaged or too large.
    """
    with open_file(path) as stream:
        return decode_picture(stream, str(path), max_pixels)


def decode_picture(stream: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> np.ndarray:
    """`read_picture` for a stream of bytes; `name` is what errors call it.

    >>> import io
    >>> stream = io.BytesIO()
    >>> Image.new("L", (4, 2), 7).save(stream, "PNG")
    >>> decode_picture(stream, "grey.png").shape
    (2, 4, 3)
    """
    return to_rgb(load_upright(open_header(stream, name, max_pixels), name), name)


def picture_size(path: Path | str) -> tuple[int, int]:
    """The (height, width) that `read_picture` would give, read from the header alone.

    Raises:
        PictureError: the file is absent, no picture or too large.
    """
    with open_file(path) as stream:
        image = open_header(stream, str(path))
        width, height = image.size
        return (width, height) if orientation(image) >= 5 else (height, width)


def open_file(path: Path | str) -> BinaryIO:
    """Opens a file for reading, or says in one line why not."""
    try:
        return Path(path).open("rb")
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise PictureError(f"{path}: is a folder; expected a picture file") from None
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from None


def open_header(stream: BinaryIO, name: str, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """Reads a picture's header, and checks format and size before any pixel is decoded."""
    try:
        with _quiet():
            image = Image.open(stream, formats=FORMATS)
    except Image.DecompressionBombError:
        raise PictureError(_too_large(name, f"more than {MAX_PIXELS:,}", max_pixels)) from None
    except Exception:  # a damaged header can make Pillow raise nearly any type
        if stream.seek(0, 2) == 0:
            raise PictureError(f"{name}: is empty (0 bytes); copy or export it again") from None
        raise PictureError(
            f"{name}: is not a picture; expected JPEG, PNG, WebP, BMP, TIFF, GIF or PPM; convert or remove it"
        ) from None
    if image.width * image.height > max_pixels:
        raise PictureError(_too_large(name, f"{image.width} x {image.height}", max_pixels))
    # browsers turn by the EXIF tag alone; Pillow would turn a TIFF by XMP as well
    for key in ("xmp", "XML:com.adobe.xmp"):
        image.info.pop(key, None)
    return image


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8, that is still to be applied to a picture whose header has been read.

    Only what stands before the pixels counts. Pillow turns TIFF pictures by itself, size and all, so theirs
    is 1.
    """
    data = image.info.get("exif")
    if image.format == "TIFF" or not data:
        return 1
    exif = Image.Exif()
    try:
        with _quiet():
            exif.load(data)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata never stops a picture, as in browsers
        return 1
    return value if value in _TURNS else 1


def load_upright(image: Image.Image, name: str) -> Image.Image:
    """Decodes a picture whose header has been read, and turns it upright."""
    turn = _TURNS.get(orientation(image))
    try:
        # decoding is outside the lock of _quiet, so that threads decode side by side; only TIFF warns while
        # it decodes
        with _quiet() if image.format == "TIFF" else nullcontext():
            image.load()
    except Exception as error:  # a damaged file can make Pillow raise nearly any type
        reason = " ".join(str(error).split()) or type(error).__name__
        raise PictureError(f"{name}: is damaged or cut short ({reason}); copy or export it again") from None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image, name: str = "picture") -> np.ndarray:
    """A Pillow image of any mode as (H, W, 3) uint8 RGB; 16-bit grey is scaled by 1/257: white stays white.

    >>> to_rgb(Image.new("CMYK", (1, 1), (0, 0, 0, 255))).tolist()
    [[[0, 0, 0]]]
    """
    if image.mode.startswith("I"):
        grey = np.asarray(image)
        if grey.min() < 0 or grey.max() > 65535:
            raise PictureError(f"{name}: its grey values exceed 16 bits; expected 0..65535; convert it")
        return np.repeat(((grey.astype(np.int32) + 128) // 257).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == "F":
        raise PictureError(f"{name}: holds floating-point values; expected 8 or 16 bits; convert it")
    if "transparency" in image.info:  # Pillow warns when it converts around a transparent colour
        image = image.copy()
        del image.info["transparency"]
    return np.array(image.convert("RGB"))


def _too_large(name: str, size: str, max_pixels: int) -> str:
    limit = min(max_pixels, MAX_PIXELS)
    return f"{name}: has {size} pixels; at most {limit:,} are read; reduce it or cut it into tiles"


_quiet_lock = threading.Lock()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings about odd headers from the user; locked, as threads share the filters."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
