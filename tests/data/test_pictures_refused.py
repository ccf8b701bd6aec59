"""What is no picture, damaged, cut short or too large is refused in one line; nothing breaks."""

import io
import os
import struct
import threading
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.pictures import MAX_PIXELS, decode_picture, read_picture, to_rgb
from fullconv.errors import PictureError


def refusal(content: bytes, **limits: int) -> str:
    with pytest.raises(PictureError) as caught:
        decode_picture(io.BytesIO(content), "a.jpg", **limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def png(size: tuple[int, int], bits: int, color_type: int, data: bytes) -> bytes:
    """A PNG file of raw bytes; `data` has the filter bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, color_type, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def tiff_without_pixels(size: tuple[int, int]) -> bytes:
    """The header of an uncompressed grey TIFF file."""
    tags = {256: size[0], 257: size[1], 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: size[1], 279: 0}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<4sIH", b"II*\0", 8, len(tags)) + entries + b"\0" * 4


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def test_an_absent_file_and_a_folder(tmp_path: Path):
    (tmp_path / "a.jpg").write_bytes(b"")
    with pytest.raises(PictureError, match=r"none\.jpg: no such file; check the path"):
        read_picture(tmp_path / "none.jpg")
    with pytest.raises(PictureError, match="is a folder; expected a picture file"):
        read_picture(tmp_path)
    with pytest.raises(PictureError, match=r"a\.jpg/b\.jpg: cannot be read \(Not a directory\); check its"):
        read_picture(tmp_path / "a.jpg" / "b.jpg")


def test_what_is_no_picture():
    expected = "expected JPEG, PNG, WebP, BMP, TIFF, GIF or PPM"
    for content in (b"hello", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", b"BX", b"\0" * 99):
        assert refusal(content) == f"a.jpg: is not a picture; {expected}; convert or remove it"
    for content, kind in (
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "an HEIC picture"),
        (b"\0\0\0\x20ftypisom\0\0\2\0", "a video or a camera's raw file"),
        (b"<!DOCTYPE html><title>404 Not Found</title>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
    ):
        assert refusal(content) == f"a.jpg: is {kind}; {expected}; convert or replace it"
    assert refusal(b"") == "a.jpg: is empty (0 bytes); copy or export it again"


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (b"\xff\xd8\xff", "JPEG"),
        (b"\x89PNG\r\n\x1a\n", "PNG"),
        (b"RIFF\0\0\0\0WEBP", "WebP"),
        (b"BM\1", "BMP"),
        (b"MM\0*\0\0\0\x08", "TIFF"),
        (b"GIF89a", "GIF"),
        (png((1, 1), 3, 0, b""), "PNG"),  # 3 bits do not exist
    ],
)
def test_a_broken_header_is_named(start, kind):
    assert refusal(start) == (
        f"a.jpg: is a {kind} file that cannot be read: damaged, cut short or of a rare kind; copy it again, or "
        "convert it to PNG"
    )


def test_a_pipe_is_refused():
    reading, writing = os.pipe()
    os.close(writing)
    with (
        os.fdopen(reading, "rb") as stream,
        pytest.raises(PictureError, match="is a pipe or a device; expected"),
    ):
        decode_picture(stream, "-")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM", "MPO"])
def test_a_file_cut_short(kind):
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(stream, kind)
    message = refusal(stream.getvalue()[: len(stream.getvalue()) // 2])
    assert message.startswith("a.jpg: is ")
    assert "cut short" in message


def test_limits_on_bytes_pixels_and_sides(tmp_path: Path):
    advice = "reduce it or cut it into tiles"
    small = png((3, 2), 8, 0, b"\0\1\2\3" * 2)
    (tmp_path / "a.png").write_bytes(small)
    assert read_picture(tmp_path / "a.png", max_bytes=len(small), max_pixels=6, max_side=3).shape == (2, 3, 3)
    assert refusal(small, max_bytes=len(small) - 1) == (
        f"a.jpg: has {len(small)} bytes; at most {len(small) - 1} are read; {advice}"
    )
    assert refusal(small, max_pixels=5) == f"a.jpg: has 3 x 2 pixels; at most 5 are read; {advice}"
    assert refusal(small, max_side=2) == f"a.jpg: is 3 x 2 pixels; sides of at most 2 are read; {advice}"
    assert refusal(b"\0" * 2000, max_bytes=1999) == (
        f"a.jpg: has 2,000 bytes; at most 1,999 are read; {advice}"
    )


def test_a_small_file_that_claims_to_be_huge_is_refused_from_its_header():
    advice = "reduce it or cut it into tiles"
    assert refusal(png((30_000, 30_000), 8, 2, b"")) == (
        f"a.jpg: has 900,000,000 pixels; at most 178,956,970 are read; {advice}"
    )
    assert refusal(png((30_000, 30_000), 8, 2, b""), max_pixels=50_000_000) == (
        f"a.jpg: has 900,000,000 pixels; at most 50,000,000 are read; {advice}"
    )
    assert refusal(png((70_000, 10), 8, 2, b"")) == (
        f"a.jpg: is 70000 x 10 pixels; sides of at most 65,535 are read; {advice}"
    )
    # between Pillow's warning and its limit: no warning leaks
    assert "(image file is truncated" in refusal(png((12_000, 12_000), 8, 2, b""))
    assert "(image file is truncated" in refusal(tiff_without_pixels((12_000, 12_000)))
    assert 2 * (Image.MAX_IMAGE_PIXELS or 0) == MAX_PIXELS


def test_floating_point_and_wide_integers_are_refused():
    with pytest.raises(
        PictureError, match=r"^f.tif: holds floating-point values; expected 8 or 16 bits; convert it$"
    ):
        to_rgb(Image.new("F", (1, 1)), "f.tif")
    with pytest.raises(
        PictureError, match=r"^i.tif: its grey values exceed 16 bits; expected 0..65535; convert it$"
    ):
        to_rgb(Image.new("I", (1, 1), 70000), "i.tif")


def test_reading_in_threads_leaves_the_warning_filters_as_they_were(tmp_path: Path):
    path = tmp_path / "a.tif"
    Image.new("RGB", (40, 24)).save(path, exif=exif(6))
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [read_picture(path) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert warnings.filters == before


def sound_files() -> list[bytes]:
    """Small files of every kind that is read."""
    color = Image.fromarray(np.random.default_rng(0).integers(0, 256, (9, 13, 3), np.uint8))
    grey_16 = Image.fromarray(np.arange(117, dtype=np.uint16).reshape(9, 13) * 500)
    moving = {"save_all": True, "append_images": [color.transpose(Image.Transpose.ROTATE_180)]}
    files = []
    for image, kind, options in (
        (color, "JPEG", {"exif": exif(6)}),
        (color, "JPEG", {"progressive": True}),
        (color.convert("L"), "JPEG", {}),
        (color.convert("CMYK"), "JPEG", {}),
        (color, "MPO", moving),
        (color, "PNG", {"exif": exif(6)}),
        (color, "PNG", moving),
        (color.quantize(8), "PNG", {"transparency": 3}),
        (color.convert("LA"), "PNG", {}),
        (grey_16, "PNG", {}),
        (color, "WEBP", {"exif": exif(6)}),
        (color.convert("RGBA"), "WEBP", {"lossless": True}),
        (color, "WEBP", moving),
        (color, "GIF", moving),
        (color, "BMP", {}),
        (color.quantize(8), "BMP", {}),
        (color.convert("1"), "BMP", {}),
        (color, "TIFF", {"exif": exif(6)}),
        (color, "TIFF", {"compression": "tiff_lzw"}),
        (color, "TIFF", {"compression": "jpeg"}),
        (color.convert("1"), "TIFF", {"compression": "group4"}),
        (grey_16, "TIFF", {"compression": "tiff_deflate"}),
        (color.convert("CMYK"), "TIFF", {"big_tiff": True}),
        (color, "PPM", {}),
        (grey_16, "PPM", {}),
        (color.convert("1"), "PPM", {}),
    ):
        stream = io.BytesIO()
        image.save(stream, kind, **options)
        files.append(stream.getvalue())
    return [*files, b"P3 2 2 255 " + b"1 2 3 " * 4, b"P6 2 1 1000 " + b"\1\2" * 6]


def damage(file: bytes, files: list[bytes], rng: np.random.Generator) -> bytes:
    """One to three faults: bits turned, cut short, header bytes and numbers, parts of others, moved, lost, blank."""
    data = bytearray(file)
    for fault in rng.integers(0, 8, rng.integers(1, 4)):
        place = int(rng.integers(len(data)))
        length = int(rng.integers(1, 64))
        match fault:
            case 0:
                for i in rng.integers(0, len(data), rng.integers(1, 16)):
                    data[i] ^= 1 << int(rng.integers(8))
            case 1:
                del data[place + 1 :]
            case 2:
                for i in rng.integers(0, min(len(data), 200), 4):
                    data[i] = int(rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.integers(256)]))
            case 3:
                number = int(rng.choice([0, 1, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
                data[place : place + 4] = number.to_bytes(4, "big" if rng.random() < 0.5 else "little")
            case 4:
                other = files[rng.integers(len(files))]
                start, stop = sorted(rng.integers(0, len(other) + 1, 2))
                data[place : place + length] = other[start:stop]
            case 5:
                data[place:place] = data[: place + length][-length:]
            case 6:
                del data[place : min(place + length, len(data) - 1)]
            case 7:
                data[place : place + length] = bytes([int(rng.choice([0, 255]))]) * length
        data = data or bytearray(b"\0")
    return bytes(data)


def test_a_thousand_damaged_files_are_read_or_refused_but_never_break():
    files, rng = sound_files(), np.random.default_rng(0)
    num_read = 0
    for i in range(1000):
        data = damage(files[i % len(files)], files, rng)
        try:
            picture = decode_picture(io.BytesIO(data), "damaged", max_pixels=1_000_000)
        except PictureError as error:
            assert str(error).startswith("damaged: "), i  # noqa: PT017
            assert "\n" not in str(error), i  # noqa: PT017
        else:
            num_read += 1
            assert picture.dtype == np.uint8, i
            assert picture.ndim == 3, i
            assert picture.shape[2] == 3, i
    assert 100 < num_read < 900


def test_every_sound_file_is_read():
    for file in sound_files():
        assert decode_picture(io.BytesIO(file), "sound").dtype == np.uint8
