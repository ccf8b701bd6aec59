"""Pictures are read upright, in RGB and 8 bits, whatever their kind."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.pictures import BAND_ROWS, decode_picture, picture_size, read_picture, to_rgb
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


def png(
    size: tuple[int, int], bits: int, color_type: int, data: bytes, *chunks: tuple[bytes, bytes]
) -> bytes:
    """A PNG file of one strip of raw bytes, by the definition of the format; `data` has the filter bytes."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", *size, bits, color_type, 0, 0, 0))
    between = b"".join(chunk(*c) for c in chunks)
    return b"\x89PNG\r\n\x1a\n" + header + between + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def jpeg(values: tuple[int, ...], *, adobe: int | None = None, exif: bytes = b"") -> bytes:
    """A JPEG file of 8 x 8 equal pixels, by the definition of the format; all but the first coefficients are 0.

    Args:
        values: what is stored, a number for each component.
        adobe: the colour transform in Adobe's segment: 0 none, 1 YCbCr, 2 YCCK; None: no such segment.
        exif: the content of an EXIF segment.
    """

    def segment(marker: int, content: bytes) -> bytes:
        return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content

    file = b"\xff\xd8"
    if exif:
        file += segment(0xE1, exif)
    if adobe is not None:
        file += segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, adobe))
    parts = range(1, len(values) + 1)
    file += segment(0xDB, b"\0" + b"\1" * 64)
    file += segment(
        0xC0, struct.pack(">BHHB", 8, 8, 8, len(values)) + b"".join(bytes([i, 0x11, 0]) for i in parts)
    )
    file += segment(0xC4, b"\0" + bytes([0, 0, 0, 12] + [0] * 12) + bytes(range(12)))  # 12 codes of 4 bits
    file += segment(0xC4, b"\x10" + bytes([1] + [0] * 15) + b"\0")  # 1 bit: no further coefficients
    file += segment(0xDA, bytes([len(values)]) + b"".join(bytes([i, 0]) for i in parts) + b"\0\x3f\0")
    code = ""
    for value in values:
        first = 8 * (value - 128)
        length = abs(first).bit_length()
        code += f"{length:04b}"
        code += f"{first if first > 0 else first + (1 << length) - 1:0{length}b}" if length else ""
        code += "0"
    code += "1" * (-len(code) % 8)
    content = int(code, 2).to_bytes(len(code) // 8, "big")
    return file + content.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def tiff(
    order: str, photometric: int, bits: tuple[int, ...], pixels: bytes, tags: dict | None = None
) -> bytes:
    """An uncompressed TIFF file of two pixels in a row, by the definition of the format; `tags` add or replace."""
    entries: dict[int, tuple[int, ...]] = {
        256: (2,),
        257: (1,),
        258: bits,
        259: (1,),
        262: (photometric,),
        273: (8,),
        277: (len(bits),),
        278: (1,),
        279: (len(pixels),),
    }
    entries |= tags or {}
    pixels += b"\0" * (len(pixels) % 2)
    where = 8 + len(pixels) + 2 + 12 * len(entries) + 4
    directory, behind = struct.pack(f"{order}H", len(entries)), b""
    for tag, numbers in sorted(entries.items()):
        content = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(content) > 4:
            content, behind = struct.pack(f"{order}I", where + len(behind)), behind + content
        directory += struct.pack(f"{order}HHI", tag, 3, len(numbers)) + content.ljust(4, b"\0")
    start = {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(f"{order}I", 8 + len(pixels))
    return start + pixels + directory + b"\0\0\0\0" + behind


def decoded(file: bytes) -> list:
    return decode_picture(io.BytesIO(file), "picture").tolist()


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


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("order", "start"), [("<", b"II*\0"), (">", b"MM\0*")])
def test_exif_bytes_by_hand(order, start, orientation):
    """Four pixels, two rows: A B above C D; where A and B show, by the table of the EXIF standard."""
    tag = struct.pack(f"{order}IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)
    file = png((2, 2), 8, 0, b"\0\x0a\x0b\0\x0c\x0d", (b"eXIf", start + tag))
    shown = {1: "ABCD", 2: "BADC", 3: "DCBA", 4: "CDAB", 5: "ACBD", 6: "CADB", 7: "DBCA", 8: "BDAC"}[
        orientation
    ]
    picture = decode_picture(io.BytesIO(file), "picture")
    assert "".join("ABCD"[value - 10] for value in picture[..., 0].ravel()) == shown
    in_jpeg = decode_picture(io.BytesIO(jpeg((7,), exif=b"Exif\0\0" + start + tag)), "picture")
    assert (in_jpeg == 7).all()


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
    # a TIFF that says its EXIF tags stand where its pixels are: Pillow warns, and the user hears nothing
    assert decoded(tiff("<", 1, (8,), b"\1\2", {34665: (8,)})) == [[[1] * 3, [2] * 3]]


def reread(image: Image.Image, kind: str = "PNG", **options) -> np.ndarray:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return decode_picture(stream, "picture")


def test_sixteen_bit_grey_is_scaled_not_saturated():
    values = np.array([[0, 128, 129, 257, 1000, 32768, 65535]], np.uint16)
    expected = np.floor(values / 257 + 0.5).astype(np.uint8)
    for kind in ("PNG", "TIFF", "PPM"):
        picture = reread(Image.fromarray(values), kind)
        assert (picture == expected[..., None]).all(), kind


GREY = [[[0, 0, 0], [255, 255, 255]]]
PALETTE = (b"PLTE", bytes([1, 2, 3, 9, 8, 7]))


@pytest.mark.parametrize(
    ("bits", "color_type", "row", "chunks", "expected"),
    [
        (1, 0, b"\x40", [], GREY),
        (2, 0, b"\x60", [], [[[85] * 3, [170] * 3]]),
        (4, 0, b"\x1f", [], [[[17] * 3, [255] * 3]]),
        (8, 0, b"\x01\xfe", [], [[[1] * 3, [254] * 3]]),
        (16, 0, b"\x00\x81\xff\xff", [], [[[1] * 3, [255] * 3]]),
        (8, 2, bytes([1, 2, 3, 4, 5, 6]), [], [[[1, 2, 3], [4, 5, 6]]]),
        (8, 2, bytes([1, 2, 3, 4, 5, 6]), [(b"tRNS", b"\0\1\0\2\0\3")], [[[1, 2, 3], [4, 5, 6]]]),
        (16, 2, bytes.fromhex("0000 00ff 1234 ffff fe00 8001"), [], [[[0, 0, 18], [255, 254, 128]]]),
        (1, 3, b"\x40", [PALETTE], [[[1, 2, 3], [9, 8, 7]]]),
        (2, 3, b"\x10", [PALETTE], [[[1, 2, 3], [9, 8, 7]]]),
        (4, 3, b"\x01", [PALETTE], [[[1, 2, 3], [9, 8, 7]]]),
        (8, 3, b"\x00\x01", [PALETTE], [[[1, 2, 3], [9, 8, 7]]]),
        (8, 3, b"\x00\x01", [PALETTE, (b"tRNS", b"\x00\x80")], [[[1, 2, 3], [9, 8, 7]]]),
        (8, 4, b"\x05\xff\x07\x00", [], [[[5] * 3, [7] * 3]]),
        (16, 4, bytes.fromhex("abcd ffff ffff 0000"), [], [[[0xAB] * 3, [255] * 3]]),
        (8, 6, bytes([1, 2, 3, 255, 4, 5, 6, 0]), [], [[[1, 2, 3], [4, 5, 6]]]),
        (
            16,
            6,
            bytes.fromhex("1234 00ff ffff 0000 8001 0000 fe00 ffff"),
            [],
            [[[18, 0, 255], [128, 0, 254]]],
        ),
    ],
)
def test_every_kind_of_png_by_hand(bits, color_type, row, chunks, expected):
    """16-bit colour keeps its upper 8 bits, 16-bit grey is rounded; alpha is left out, whatever it is."""
    assert decoded(png((2, 1), bits, color_type, b"\0" + row, *chunks)) == expected


@pytest.mark.parametrize(
    ("values", "adobe", "expected"),
    [
        ((77,), None, [77, 77, 77]),
        ((200, 128, 128), None, [200, 200, 200]),
        ((76, 85, 255), None, [254, 0, 0]),  # 76 + 1.402 * 127, ...
        ((76, 85, 255), 0, [76, 85, 255]),  # RGB
        ((255, 255, 255, 255), 0, [255, 255, 255]),  # inverted: 255 is no ink
        ((255, 0, 0, 255), 0, [255, 0, 0]),  # magenta and yellow
        ((255, 255, 255, 55), 0, [55, 55, 55]),  # black, to 200 of 255
        ((255, 0, 0, 255), None, [255, 0, 0]),  # without the segment: as Adobe stores it
        ((0, 128, 128, 255), 2, [255, 255, 255]),  # YCCK
        ((255, 128, 128, 255), 2, [0, 0, 0]),
    ],
)
def test_every_kind_of_jpeg_by_hand(values, adobe, expected):
    assert decoded(jpeg(values, adobe=adobe)) == [[expected] * 8] * 8


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("photometric", "bits", "values", "tags", "expected"),
    [
        (1, (8,), [5, 250], {}, [[5] * 3, [250] * 3]),
        (0, (8,), [5, 250], {}, [[250] * 3, [5] * 3]),  # white is 0
        (1, (16,), [129, 65535], {}, [[1] * 3, [255] * 3]),
        (1, (1,), [0x40], {}, GREY[0]),
        (0, (1,), [0x80], {}, GREY[0]),
        (1, (8, 8), [5, 0, 7, 255], {338: (2,)}, [[5] * 3, [7] * 3]),
        (1, (8, 8), [5, 255, 7, 255], {338: (1,)}, [[5] * 3, [7] * 3]),
        (2, (8, 8, 8), [1, 2, 3, 4, 5, 6], {}, [[1, 2, 3], [4, 5, 6]]),
        (
            2,
            (8, 8, 8),
            [1, 4, 2, 5, 3, 6],
            {284: (2,), 273: (8, 10, 12), 279: (2,) * 3},
            [[1, 2, 3], [4, 5, 6]],
        ),
        (2, (8, 8, 8, 8), [1, 2, 3, 0, 4, 5, 6, 255], {338: (2,)}, [[1, 2, 3], [4, 5, 6]]),
        (2, (16, 16, 16), [0, 255, 0x1234, 65535, 0xFE00, 0x8001], {}, [[0, 0, 18], [255, 254, 128]]),
        (
            3,
            (8,),
            [0, 1],
            {320: (256,) + (0x900,) * 255 + (512,) * 256 + (768,) * 256},
            [[1, 2, 3], [9, 2, 3]],
        ),
        (5, (8, 8, 8, 8), [0, 255, 255, 0, 0, 0, 0, 200], {}, [[255, 0, 0], [55, 55, 55]]),
        (5, (16, 16, 16, 16), [0, 65535, 65535, 0, 0, 0, 0, 200 << 8], {}, [[255, 0, 0], [55, 55, 55]]),
    ],
)
def test_every_kind_of_tiff_by_hand(order, photometric, bits, values, tags, expected):
    pixels = struct.pack(f"{order}{len(values)}{'H' if bits[0] == 16 else 'B'}", *values)
    assert decoded(tiff(order, photometric, bits, pixels, tags)) == [expected]


@pytest.mark.parametrize(
    ("file", "rare"),
    [
        (
            tiff("<", 2, (8, 8, 8), b"\1" * 6, {254: (1,)}),
            "it begins with a preview, as cameras' raw files do",
        ),
        (tiff("<", 1, (8, 8, 8), b"\1" * 6, {284: (2,), 338: (0, 0)}), "it has 3 grey channels"),
        (tiff(">", 2, (16,) * 3, b"\1" * 12, {284: (2,)}), "it stores planes of 16 bits, uncompressed"),
        (tiff("<", 0, (8,), b"\1\2", {284: (2,)}), "it stores planes of 8 bits, uncompressed"),
        (tiff("<", 0, (16,), b"\1" * 4), "its white is 0 in 16 bits"),
        (tiff("<", 1, (12,), b"\1" * 3), "its white is 4095 in 12 bits"),
    ],
)
def test_a_tiff_that_would_come_out_wrong_is_refused(file, rare):
    with pytest.raises(PictureError) as caught:
        decode_picture(io.BytesIO(file), "a.tif")
    assert str(caught.value) == f"a.tif: is a TIFF of a kind that is not read ({rare}); convert it to PNG"


def test_a_bitmap_by_hand():
    """BMP stores the lowest row first, blue first."""
    rows = bytes([3, 2, 1, 0, 6, 5, 4, 0])
    header = struct.pack("<IiiHHIIiiII", 40, 1, 2, 1, 24, 0, len(rows), 0, 0, 0, 0)
    assert decoded(b"BM" + struct.pack("<IHHI", 62, 0, 0, 54) + header + rows) == [[[4, 5, 6]], [[1, 2, 3]]]


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        (b"P1 2 1 1 0", GREY),
        (b"P2 2 1 100 0 100", GREY),
        (b"P3 2 1 255 1 2 3 4 5 6", [[[1, 2, 3], [4, 5, 6]]]),
        (b"P4 2 1\n\x80", GREY),
        (b"P5 2 1 255\n\x01\xfe", [[[1] * 3, [254] * 3]]),
        (b"P5 2 1 65535\n\x00\x81\xff\xff", [[[1] * 3, [255] * 3]]),
        (b"P6 1 1 255\n\x01\x02\x03", [[[1, 2, 3]]]),
        (b"P6 1 1 65535\n\x00\x81\xff\xff\x00\x00", [[[1, 255, 0]]]),
    ],
)
def test_every_kind_of_ppm_by_hand(file, expected):
    assert decoded(file) == expected


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {"lossless": True, "exact": True}), ("TIFF", {})]
)
def test_colours_under_transparent_pixels_are_those_stored(kind, options):
    values = np.random.default_rng(0).integers(0, 256, (5, 6, 4), np.uint8)
    values[:2, :, 3] = 0
    assert (reread(Image.fromarray(values), kind, **options) == values[..., :3]).all()


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_the_first_frame_of_an_animation(kind):
    first, second = Image.new("RGB", (4, 4), (255, 0, 0)), Image.new("RGB", (4, 4), (0, 0, 255))
    options = {"lossless": True} if kind == "WEBP" else {}
    assert (reread(first, kind, save_all=True, append_images=[second], **options) == (255, 0, 0)).all()


def test_an_animated_png_with_a_still_of_its_own_shows_the_still():
    frames = [Image.new("RGB", (4, 4), color) for color in ("red", "blue", "green")]
    picture = reread(frames[0], save_all=True, append_images=frames[1:], default_image=True)
    assert (picture == (255, 0, 0)).all()


def test_the_first_frame_of_a_gif_that_does_not_fill_its_canvas():
    stream = io.BytesIO()
    Image.new("RGB", (2, 1), (9, 8, 7)).save(stream, "GIF")
    file = stream.getvalue()
    place = file.index(b",\0\0\0\0\2\0\1\0")
    wider = file[:6] + struct.pack("<HH", 4, 3) + file[10:place] + b",\1\0\1\0" + file[place + 5 :]
    picture = decode_picture(io.BytesIO(wider), "picture")
    assert picture.shape == (3, 4, 3)
    assert (picture[1, 1:3] == (9, 8, 7)).all()


def test_a_phone_picture_of_two_frames(tmp_path: Path):
    """MPO, a JPEG with a second picture behind it, is what many phones write under the name .jpg."""
    Image.fromarray(corners()).save(
        tmp_path / "a.jpg", "MPO", save_all=True, append_images=[Image.new("RGB", (9, 9))], exif=exif(6)
    )
    assert read_picture(tmp_path / "a.jpg").shape == (40, 24, 3)


def test_what_is_read_can_be_written_to():
    reread(Image.new("RGB", (2, 2)))[0, 0] = 1
    reread(Image.new("L", (2, 2)))[0, 0] = 1


@pytest.mark.parametrize("mode", ["YCbCr", "LAB", "HSV", "RGBX", "RGBa", "La", "PA", "I;16B"])
def test_every_other_mode_becomes_rgb(mode):
    assert to_rgb(Image.new(mode, (3, 2))).shape == (2, 3, 3)


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "CMYK", "RGBA"])
@pytest.mark.parametrize("height", [1, BAND_ROWS - 1, BAND_ROWS, BAND_ROWS + 1, 3 * BAND_ROWS + 5])
def test_bands_leave_no_seam(mode, height):
    noise = np.random.default_rng(height).integers(0, 256, (height, 7, 3), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    assert (to_rgb(image) == np.asarray(image.convert("RGB"))).all()
