"""Faults of files, lists and pairs, and pictures of rare kinds."""

import struct
import zlib

import numpy as np
from PIL import Image, ImageOps

from fullconv.data.faults.ground import Ground, save_ids, save_jpeg


def layout(ground: Ground, names: list[str]) -> None:
    """The folder of the masks has a name that says nothing."""
    (ground.root / "SegmentationClass").rename(ground.root / "results")


def description(ground: Ground, names: list[str]) -> None:
    """dataset.yaml ends in the middle."""
    ground.yaml.write_text(ground.yaml.read_text()[:60])


def list_unreadable(ground: Ground, names: list[str]) -> None:
    """The list for val was saved in another encoding."""
    ground.list("val").write_bytes(b"\xff" + ground.list("val").read_bytes())


def listed_missing(ground: Ground, names: list[str]) -> None:
    """A list names pictures that are not there."""
    for name in names[:2]:
        ground.add("train", f"{name}_b")


def listed_twice(ground: Ground, names: list[str]) -> None:
    """A list names a picture twice."""
    ground.add("train", names[0])


def mask_missing(ground: Ground, names: list[str]) -> None:
    """Two masks were forgotten."""
    for name in names[:2]:
        ground.mask(name).unlink()


def picture_missing(ground: Ground, names: list[str]) -> None:
    """A picture was lost, and its name struck off the list."""
    ground.picture(names[0]).unlink()
    path = ground.list("train")
    path.write_text(path.read_text().replace(f"{names[0]}\n", ""))


def name_doubled(ground: Ground, names: list[str]) -> None:
    """A picture lies there as JPEG and as PNG."""
    Image.open(ground.picture(names[0])).save(ground.picture(names[0]).with_suffix(".png"))


def companion_missing(ground: Ground, names: list[str]) -> None:
    """dataset.yaml promises depth, and one file of it is missing."""
    _with_depth(ground)
    (ground.root / "Depth" / f"{names[0]}.png").unlink()


def extra_size(ground: Ground, names: list[str]) -> None:
    """One depth map is of half the size."""
    _with_depth(ground)
    path = ground.root / "Depth" / f"{names[0]}.png"
    Image.open(path).reduce(2).save(path)


def _with_depth(ground: Ground) -> None:
    (ground.root / "Depth").mkdir()
    for name in ground.train + ground.val:
        Image.open(ground.picture(name)).convert("L").save(ground.root / "Depth" / f"{name}.png")
    ground.yaml.write_text(ground.yaml.read_text() + "extra: {folder: Depth}\n")


def empty_file(ground: Ground, names: list[str]) -> None:
    """A picture and a mask of 0 bytes, as a full disk leaves them."""
    ground.picture(names[0]).write_bytes(b"")
    ground.mask(names[1]).write_bytes(b"")


def unreadable(ground: Ground, names: list[str]) -> None:
    """A picture cut short, a mask that is a web page, and a picture that a header says is 0 pixels wide."""
    content = ground.picture(names[0]).read_bytes()
    ground.picture(names[0]).write_bytes(content[: len(content) // 2])
    ground.mask(names[1]).write_text("<!DOCTYPE html><title>404 Not Found</title>")
    ground.picture(names[2]).write_bytes(_png_header(0, 96))


def too_large(ground: Ground, names: list[str]) -> None:
    """A picture that says it has 900 million pixels."""
    ground.picture(names[0]).write_bytes(_png_header(30_000, 30_000))


def _png_header(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (chunk, data)
    )


def wrong_suffix(ground: Ground, names: list[str]) -> None:
    """A PNG that is called .jpg."""
    picture = Image.fromarray(ground.pixels(names[0]))
    picture.save(ground.picture(names[0]), "PNG")


def not_taken(ground: Ground, names: list[str]) -> None:
    """A telephone's picture among the others."""
    (ground.root / "JPEGImages" / "IMG_0001.heic").write_bytes(b"\0\0\0\x18ftypheic")


def picture_turned(ground: Ground, names: list[str]) -> None:
    """A picture stored lying, with a tag that says so; its mask was drawn upright."""
    save_jpeg(ground.picture(names[0]), np.rot90(ground.pixels(names[0])).copy(), orientation=6)


def mask_turned(ground: Ground, names: list[str]) -> None:
    """Two pictures stored lying and upside down, whose masks were drawn as they are stored."""
    for name, quarters, orientation in ((names[0], 1, 6), (names[1], 2, 3)):
        save_jpeg(
            ground.picture(name), np.rot90(ground.pixels(name), quarters).copy(), orientation=orientation
        )
        save_ids(ground.mask(name), np.rot90(ground.label_map(name), quarters).copy())


def mask_size(ground: Ground, names: list[str]) -> None:
    """Masks at half their picture's size."""
    for name in names[:2]:
        save_ids(ground.mask(name), ground.label_map(name)[::2, ::2].copy())


def picture_blank(ground: Ground, names: list[str]) -> None:
    """A black frame."""
    save_jpeg(ground.picture(names[0]), np.zeros_like(ground.pixels(names[0])))


def picture_16_bit(ground: Ground, names: list[str]) -> None:
    """A picture of 16 bits."""
    grey = np.asarray(Image.fromarray(ground.pixels(names[0])).convert("L")).astype(np.uint16) * 257
    ground.picture(names[0]).unlink()
    Image.fromarray(grey).save(ground.picture(names[0]).with_suffix(".png"))


def picture_alpha(ground: Ground, names: list[str]) -> None:
    """A picture with transparent parts."""
    picture = Image.fromarray(ground.pixels(names[0])).convert("RGBA")
    picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    ground.picture(names[0]).unlink()
    picture.save(ground.picture(names[0]).with_suffix(".png"))


def picture_cmyk(ground: Ground, names: list[str]) -> None:
    """A picture from a print shop."""
    Image.fromarray(ground.pixels(names[0])).convert("CMYK").save(
        ground.picture(names[0]), "JPEG", quality=92
    )


def picture_animated(ground: Ground, names: list[str]) -> None:
    """An animation."""
    first = Image.fromarray(ground.pixels(names[0]))
    ground.picture(names[0]).unlink()
    first.save(
        ground.picture(names[0]).with_suffix(".gif"), save_all=True, append_images=[ImageOps.invert(first)]
    )


def picture_grey(ground: Ground, names: list[str]) -> None:
    """A grey picture among coloured ones."""
    Image.fromarray(ground.pixels(names[0])).convert("L").save(ground.picture(names[0]), "JPEG", quality=92)


def size_odd(ground: Ground, names: list[str]) -> None:
    """A picture five times as high and wide as the others."""
    picture = Image.fromarray(ground.pixels(names[0]))
    large = picture.width * 5, picture.height * 5
    save_jpeg(ground.picture(names[0]), np.asarray(picture.resize(large)))
    save_ids(ground.mask(names[0]), ground.label_map(names[0]).repeat(5, 0).repeat(5, 1))
