"""Pictures are read upright, in RGB and 8 bits, or refused in one line."""

import io
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.pictures import MAX_PIXELS, decode_picture, picture_size, read_picture, to_rgb
from fullconv.errors import PictureError

# What a viewer shows of stored pixels A, by the definition of the tag: where the 0th row and the 0th column lie
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a.swapaxes(0, 1)[::-1],
}
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def corners(height: int = 24, width: int = 40) -> np.ndarray:
    """Red, green, blue and white quarters, so that each of the eight turns differs."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2] = (255, 0, 0)
    picture[: height // 2, width // 2 :] = (0, 255, 0)
    picture[height // 2 :, : width // 2] = (0, 0, 255)
    picture[height // 2 :, width // 2 :] = (255, 255, 255)
    return picture


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("suffix", "options"),
    [("jpg", {"quality": 95, "subsampling": 0}), ("png", {}), ("webp", {"lossless": True}), ("tif", {})],
)
def test_each_exif_orientation_is_applied(tmp_path: Path, suffix, options, orientation):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(corners()).save(path, exif=exif(orientation), **options)
    expected = UPRIGHT[orientation](corners())
    picture = read_picture(path)
    assert picture.shape == expected.shape
    assert np.abs(picture.astype(int) - expected).max() < 16  # JPEG's loss
    assert picture_size(path) == expected.shape[:2]


def test_orientation_6_by_hand(tmp_path: Path):
    """A phone held upright stores its left edge as the top row: the stored top left shows at the top right."""
    Image.fromarray(corners()).save(tmp_path / "a.png", exif=exif(6))
    assert read_picture(tmp_path / "a.png")[0, -1].tolist() == [255, 0, 0]


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_is_ignored(tmp_path: Path, orientation):
    Image.fromarray(corners()).save(tmp_path / "a.png", exif=exif(orientation))
    assert (read_picture(tmp_path / "a.png") == corners()).all()


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_orientation_in_xmp_is_ignored_as_in_browsers(tmp_path: Path, suffix):
    path = tmp_path / f"a.{suffix}"
    options = {"tiffinfo": {700: XMP}} if suffix == "tif" else {"xmp": XMP}
    if suffix == "png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.decode())
        options = {"pnginfo": info}
    Image.fromarray(corners()).save(path, **options)
    with Image.open(path) as image:
        assert image.getexif().get(274) == 6  # Pillow by itself would turn it
    assert read_picture(path).shape[:2] == picture_size(path) == (24, 40)


def test_damaged_exif_does_not_stop_a_picture(tmp_path: Path):
    Image.fromarray(corners()).save(tmp_path / "a.png", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert read_picture(tmp_path / "a.png").shape == (24, 40, 3)


def reread(image: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return decode_picture(stream, "picture")


def test_grey_and_alpha_and_one_bit():
    assert reread(Image.new("L", (2, 1), 77)).tolist() == [[[77] * 3] * 2]
    assert reread(Image.new("LA", (2, 1), (77, 3))).tolist() == [[[77] * 3] * 2]
    assert reread(Image.new("RGBA", (1, 1), (10, 20, 30, 0))).tolist() == [[[10, 20, 30]]]
    assert reread(Image.new("1", (1, 1), 1)).tolist() == [[[255, 255, 255]]]


def test_sixteen_bit_grey_is_scaled_not_saturated():
    values = np.array([[0, 128, 129, 257, 1000, 32768, 65535]], np.uint16)
    expected = np.floor(values / 257 + 0.5).astype(np.uint8)
    for kind in ("PNG", "TIFF", "PPM"):
        picture = reread(Image.fromarray(values), kind)
        assert (picture == expected[..., None]).all(), kind


def test_palette_with_transparency():
    image = Image.new("P", (2, 1), 1)
    image.putpalette([0, 0, 0, 9, 8, 7])
    assert reread(image, transparency=b"\x00\x80").tolist() == [[[9, 8, 7]] * 2]
    assert reread(Image.new("RGB", (1, 1), (1, 2, 3)), transparency=(1, 2, 3)).tolist() == [[[1, 2, 3]]]


def test_cmyk_jpeg():
    picture = reread(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=95)
    assert np.abs(picture.astype(int) - (255, 0, 0)).max() < 6


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation(kind):
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (reread(first, kind, save_all=True, append_images=[second], **options) == (255, 0, 0)).all()


def test_a_phone_picture_of_two_frames(tmp_path: Path):
    """MPO, a JPEG with a second picture behind it, is what many phones write under the name .jpg."""
    Image.fromarray(corners()).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))], exif=exif(6)
    )
    assert read_picture(tmp_path / "a.jpg").shape == (40, 24, 3)


def test_what_is_read_can_be_written_to():
    reread(Image.new("RGB", (2, 2)))[0, 0] = 1
    reread(Image.new("L", (2, 2)))[0, 0] = 1


def test_floating_point_and_wide_integers_are_refused():
    with pytest.raises(
        PictureError, match=r"^f.tif: holds floating-point values; expected 8 or 16 bits; convert it$"
    ):
        to_rgb(Image.new("F", (1, 1)), "f.tif")
    with pytest.raises(
        PictureError, match=r"^i.tif: its grey values exceed 16 bits; expected 0..65535; convert it$"
    ):
        to_rgb(Image.new("I", (1, 1), 70000), "i.tif")


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV", "RGBX", "RGBa", "PA", "I;16B"])
def test_every_other_mode_becomes_rgb(mode):
    assert to_rgb(Image.new(mode, (3, 2))).shape == (2, 3, 3)


def test_an_absent_file_and_a_folder(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(PictureError, match=r"none\.jpg: no such file; check the path"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="is a folder; expected a picture file"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match=r"a\.jpg/b\.jpg: cannot be read \(Not a directory\); check its"):
        read_picture(tmp_path / "a.jpg" / "b.jpg")


def test_what_is_no_picture(tmp_path: Path):
    for content in (
        b"hello",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
    ):
        (tmp_path / "a.jpg").write_bytes(content)
        with pytest.raises(
            PictureError, match=r"a\.jpg: is not a picture; expected JPEG, PNG, WebP, BMP, TIFF, GIF or"
        ):
            read_picture(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(PictureError, match=r"a\.jpg: is empty \(0 bytes\); copy or export it again"):
        picture_size(tmp_path / "a.jpg")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM"])
def test_a_file_cut_short(kind):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind)
    cut = io.BytesIO(stream.getvalue()[: len(stream.getvalue()) // 2])
    with pytest.raises(PictureError) as caught:
        decode_picture(cut, "half.x")
    assert str(caught.value).startswith("half.x: is ")
    assert "\n" not in str(caught.value)


def test_a_picture_that_is_too_large_is_refused_from_its_header():
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    def png(width: int, height: int) -> io.BytesIO:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return io.BytesIO(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b""))

    with pytest.raises(PictureError) as caught:
        decode_picture(png(60000, 60000), "huge.png")
    assert str(caught.value) == (
        "huge.png: has more than 178,956,970 pixels; at most 178,956,970 are read; reduce it or cut it into tiles"
    )
    with pytest.raises(PictureError) as caught:
        decode_picture(png(1001, 1000), "large.png", max_pixels=1_000_000)
    assert str(caught.value) == (
        "large.png: has 1001 x 1000 pixels; at most 1,000,000 are read; reduce it or cut it into tiles"
    )
    with pytest.raises(
        PictureError, match="cut short"
    ):  # between Pillow's warning and its limit: no warning leaks
        decode_picture(png(12000, 12000), "cut.png")
    assert 2 * (Image.MAX_IMAGE_PIXELS or 0) == MAX_PIXELS


def test_reading_in_threads_leaves_the_warning_filters_as_they_were(tmp_path: Path):
    path = tmp_path / "a.tif"
    Image.fromarray(corners()).save(path)
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_picture(path) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


SOUND = {kind: io.BytesIO() for kind in ("JPEG", "PNG", "WEBP", "TIFF", "GIF")}
for kind, stream in SOUND.items():
    Image.fromarray(corners(9, 13)).save(stream, kind, exif=exif(6))


@settings(max_examples=300, deadline=None)
@given(
    kind=st.sampled_from(sorted(SOUND)),
    changes=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
    length=st.floats(0.2, 1),
)
def test_a_damaged_file_is_read_or_refused_but_never_breaks(kind, changes, length):
    data = bytearray(SOUND[kind].getvalue())
    for place, value in changes:
        data[int(place * len(data))] = value
    stream = io.BytesIO(bytes(data[: int(length * len(data))]))
    try:
        picture = decode_picture(stream, "damaged", max_pixels=1_000_000)
    except PictureError as error:
        assert str(error).startswith("damaged: ")  # noqa: PT017
        assert "\n" not in str(error)  # noqa: PT017
    else:
        assert picture.dtype == np.uint8
        assert picture.ndim == 3
