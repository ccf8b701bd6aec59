"""Picture files as arrays: upright, in RGB, 8 bits.

One reader serves training, prediction and serving, so that all of them see the same pixels. A picture stands
as a browser shows it: turned by its EXIF orientation tag and by nothing else. Alpha is left out: the colours
are those stored, under transparent pixels too. Colour profiles and gamma are left out as well: the numbers are
those stored. docs/pictures.md lists what becomes of each kind of file.
"""

import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, TiffImagePlugin, TiffTags

from fullconv.data.sources import MAX_BYTES, Packed
from fullconv.errors import PictureError, PictureFormatError, PictureTooLargeError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
EXPECTED = "JPEG, PNG, WebP, BMP, TIFF, GIF or PPM"
SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".pnm")
)
"""Files with these ends are taken where a folder is searched; what a file is, its first bytes say."""

MAX_PIXELS = 178_956_970
"""The most pixels that are decoded (half a gigabyte of RGB); Pillow itself stops here."""

MAX_SIDE = 65_535
"""The longest side: what JPEG can hold."""

BAND_ROWS = 64
"""So many rows are converted at a time, as they fit the processor's cache; whole pictures take four times as long."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SUBFILE_TYPE = 254
"""The TIFF tag that is 1 where a picture is a reduced copy of another one in the file."""

_STARTS = (
    (0, b"\xff\xd8", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"GIF8", "GIF"),
)
"""Where the formats that are read have which bytes, and their names: a file that has them is broken or rare."""

_OTHER_STARTS = (
    (4, b"ftypheic", "an HEIC picture"),
    (4, b"ftypheix", "an HEIC picture"),
    (4, b"ftypmif1", "an HEIF picture"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a video or a camera's raw file"),
    (4, b"JXL ", "a JPEG XL picture"),
    (0, b"\xff\x0a", "a JPEG XL picture"),
    (4, b"jP  ", "a JPEG 2000 picture"),
    (0, b"%PDF", "a PDF"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML file"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<!doctype", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"version https://git-lfs", "a Git LFS pointer"),
    (0, b"PK\x03\x04", "a ZIP archive"),
)
"""The same for what is often met under a picture's name, and is not read."""

_FROM_16_BITS = ((np.arange(65536) + 128) // 257).astype(np.uint8)
"""Round(value / 257): white stays white."""


def read_picture(
    path: Path | str | Packed,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    max_side: int = MAX_SIDE,
) -> np.ndarray:
    """Reads a picture file.

    Grey, palette, 1-bit, 16-bit and CMYK pictures become RGB; of an animation the first frame is read.

    Args:
        path: a JPEG, PNG, WebP, BMP, TIFF, GIF or PPM file, perhaps packed in another.
        max_bytes: longer files are refused, before they are read.
        max_pixels: larger pictures are refused, before they are decoded.
        max_side: higher or wider pictures are refused, before they are decoded.

    Returns:
        (H, W, 3) uint8 RGB, EXIF orientation applied.

    Raises:
        PictureError: the file is absent, no picture, of a rare kind, damaged, cut short or too large.
    """
    with open_file(path) as stream:
        return decode_picture(
            stream, str(path), max_bytes=max_bytes, max_pixels=max_pixels, max_side=max_side
        )


def decode_picture(
    stream: BinaryIO,
    name: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    max_side: int = MAX_SIDE,
    formats: Sequence[str] = FORMATS,
) -> np.ndarray:
    """`read_picture` for a stream of bytes that can be searched; `name` is what errors call it.

    `formats` are those of `FORMATS` that are read.

    >>> import io
    >>> stream = io.BytesIO()
    >>> Image.new("L", (4, 2), 7).save(stream, "PNG")
    >>> decode_picture(stream, "grey.png").shape
    (2, 4, 3)
    """
    image = open_header(
        stream, name, max_bytes=max_bytes, max_pixels=max_pixels, max_side=max_side, formats=formats
    )
    return to_rgb(load_upright(image, name), name)


def picture_size(path: Path | str | Packed) -> tuple[int, int]:
    """The (height, width) that `read_picture` would give, read from the header alone.

    Raises:
        PictureError: the file is absent, no picture or too large.
    """
    with open_file(path) as stream:
        return upright_size(open_header(stream, str(path)))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """The (height, width) of a picture whose header has been read, once it stands upright."""
    width, height = image.size
    return (width, height) if orientation(image) >= 5 else (height, width)


def open_file(path: Path | str | Packed) -> BinaryIO:
    """Opens a file for reading, or says in one line why not."""
    try:
        return Path(path).open("rb") if isinstance(path, Path | str) else path.open()
    except FileNotFoundError:
        raise PictureError(f"{path}: no such file; check the path") from None
    except IsADirectoryError:
        raise PictureError(f"{path}: is a folder; expected a picture file") from None
    except OSError as error:
        raise PictureError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from None


def open_header(
    stream: BinaryIO,
    name: str,
    *,
    max_bytes: int = MAX_BYTES,
    max_pixels: int = MAX_PIXELS,
    max_side: int = MAX_SIDE,
    formats: Sequence[str] = FORMATS,
) -> Image.Image:
    """Reads a picture's header, and checks length, format and size before any pixel is decoded."""
    max_pixels = min(max_pixels, MAX_PIXELS)
    _check_length(stream, name, max_bytes)
    try:
        with quiet():
            image = Image.open(stream, formats=FORMATS)
            # browsers turn by the EXIF tag alone; Pillow would turn a TIFF by XMP as well
            for key in ("xmp", "XML:com.adobe.xmp"):
                image.info.pop(key, None)
            if isinstance(image, TiffImagePlugin.TiffImageFile):
                # Pillow would parse, and warn about, these tags while it decodes: outside of quiet
                for group in TiffTags.TAGS_V2_GROUPS:
                    image.getexif().get_ifd(group)
    except Image.DecompressionBombError as error:
        found = re.search(r"(\d+) pixels", str(error))
        size = f"{int(found[1]):,}" if found else f"more than {MAX_PIXELS:,}"
        raise PictureTooLargeError(_too_many_pixels(name, size, max_pixels), "too-large") from None
    except Exception:  # a damaged header can make Pillow raise nearly any type
        raise _unreadable(stream, name) from None
    if image.format not in (*formats, "MPO"):  # MPO is what Pillow calls a JPEG with a second picture
        kinds = ", ".join(formats)
        raise PictureFormatError(f"{name}: is a {image.format} picture; expected {kinds}; convert it")
    width, height = image.size
    if width * height > max_pixels:
        raise PictureTooLargeError(_too_many_pixels(name, f"{width} x {height}", max_pixels), "too-large")
    if max(width, height) > max_side:
        raise PictureTooLargeError(
            f"{name}: is {width} x {height} pixels; sides of at most {max_side:,} are read; "
            "reduce it or cut it into tiles",
            "too-large",
        )
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        _check_tiff(image, name)
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
        with quiet():
            exif.load(data)
        value = exif.get(ExifTags.Base.Orientation, 1)
    except Exception:  # damaged metadata never stops a picture, as in browsers
        return 1
    return value if value in TURNS else 1


def load_upright(image: Image.Image, name: str) -> Image.Image:
    """Decodes a picture whose header has been read, and turns it upright."""
    turn = TURNS.get(orientation(image))
    # decoding is outside the lock of quiet, so that threads decode side by side, but for large TIFFs, of which
    # Pillow warns once more
    warns = image.format == "TIFF" and 2 * image.width * image.height > MAX_PIXELS
    try:
        with quiet() if warns else nullcontext():
            image.load()
    except Exception as error:  # a damaged file can make Pillow raise nearly any type
        # other types come from Pillow's own code and say nothing about the file
        reason = f" ({' '.join(str(error).split())})" if isinstance(error, OSError) else ""
        raise PictureError(f"{name}: is damaged or cut short{reason}; copy or export it again") from None
    return image if turn is None else image.transpose(turn)


def to_rgb(image: Image.Image, name: str = "picture") -> np.ndarray:
    """A Pillow image of any mode as (H, W, 3) uint8 RGB; 16-bit grey is scaled by 1/257: white stays white.

    >>> to_rgb(Image.new("CMYK", (1, 1), (0, 0, 0, 255))).tolist()
    [[[0, 0, 0]]]
    """
    width, height = image.size
    picture = np.empty((height, width, 3), np.uint8)
    for top in range(0, height, BAND_ROWS):
        bottom = min(top + BAND_ROWS, height)
        picture[top:bottom] = _band_as_rgb(image.crop((0, top, width, bottom)), name)
    return picture


def _band_as_rgb(band: Image.Image, name: str) -> np.ndarray:
    """(h, W, 3) uint8, or (h, W, 1) for 16-bit grey; `band` is changed."""
    if band.mode == "RGB":
        return np.asarray(band)
    if band.mode.startswith("I"):
        grey = np.asarray(band)
        if band.mode == "I" and (grey.min() < 0 or grey.max() > 65535):
            raise PictureFormatError(f"{name}: its grey values exceed 16 bits; expected 0..65535; convert it")
        return _FROM_16_BITS[grey][..., None]
    if band.mode == "F":
        raise PictureFormatError(f"{name}: holds floating-point values; expected 8 or 16 bits; convert it")
    if band.mode == "La":  # Pillow knows no shorter way
        band = band.convert("LA")
    band.info.pop("transparency", None)  # Pillow warns when it converts around a transparent colour
    return np.asarray(band.convert("RGB"))


def _check_length(stream: BinaryIO, name: str, max_bytes: int) -> None:
    try:
        num_bytes = stream.seek(0, 2)
    except OSError:
        raise PictureError(
            f"{name}: is a pipe or a device; expected a file; save the picture first"
        ) from None
    if num_bytes == 0:
        raise PictureError(f"{name}: is empty (0 bytes); copy or export it again", "empty-file")
    if num_bytes > max_bytes:
        raise PictureTooLargeError(
            f"{name}: has {num_bytes:,} bytes; at most {max_bytes:,} are read; reduce it or cut it into tiles",
            "too-large",
        )


def _check_tiff(image: TiffImagePlugin.TiffImageFile, name: str) -> None:
    """Refuses the kinds of TIFF that Pillow opens, but whose pixels it gets wrong without a word."""
    tags = image.tag_v2
    num_channels = tags.get(TiffImagePlugin.SAMPLESPERPIXEL, 1)
    bits = max(tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,)))
    photometric = tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION, 0)
    planes = tags.get(TiffImagePlugin.PLANAR_CONFIGURATION, 1) == 2
    raw = tags.get(TiffImagePlugin.COMPRESSION, 1) == 1
    if tags.get(_SUBFILE_TYPE) == 1:
        rare = "it begins with a preview, as cameras' raw files do"
    elif num_channels > 2 and photometric <= 1:
        rare = f"it has {num_channels} grey channels"
    elif planes and raw and (bits != 8 or photometric == 0):
        rare = f"it stores planes of {bits} bits, uncompressed"
    elif bits == 12 or (bits == 16 and photometric == 0):
        rare = f"its white is {0 if photometric == 0 else 4095} in {bits} bits"
    else:
        return
    raise PictureFormatError(f"{name}: is a TIFF of a kind that is not read ({rare}); convert it to PNG")


def _unreadable(stream: BinaryIO, name: str) -> PictureError:
    """Why a file's header could not be read, by its first bytes."""
    stream.seek(0)
    start = stream.read(32)
    for offset, mark, kind in _STARTS:
        if start[offset:].startswith(mark):
            return PictureError(
                f"{name}: is a {kind} file that cannot be read: damaged, cut short or of a rare kind; copy it "
                "again, or convert it to PNG"
            )
    for offset, mark, kind in _OTHER_STARTS:
        if start[offset:].startswith(mark):
            return PictureFormatError(f"{name}: is {kind}; expected {EXPECTED}; convert or replace it")
    return PictureError(f"{name}: is not a picture; expected {EXPECTED}; convert or remove it")


def _too_many_pixels(name: str, size: str, max_pixels: int) -> str:
    return f"{name}: has {size} pixels; at most {max_pixels:,} are read; reduce it or cut it into tiles"


_quiet_lock = threading.Lock()


@contextmanager
def quiet() -> Iterator[None]:
    """Keeps Pillow's warnings about odd headers from the user; locked, as threads share the filters."""
    with _quiet_lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
