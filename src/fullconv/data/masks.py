"""Mask files: a class id for each pixel.

Three kinds are read:

- single channel (grey, 1 to 16 bits): the values are ids;
- palette (as in PASCAL VOC): the indices are ids, and the colours are for the eye;
- colour-coded (RGB, alpha ignored): each colour is looked up among the class colours.

A palette file whose indices do not all fit the classes, but whose used colours are all class colours, is read
by its colours: programs that save a colour-coded picture with a palette number the colours as they please.
Where the indices fit and the colours are those of other classes, one of the two is wrong, and that is an
error.

255 always means void, and so do `LabelSet.ignore_ids` and, in colour-coded files, the colour (224, 224, 192).
What is neither a class nor void is an error; nothing becomes background in silence.

Grey pictures in which brightness alone tells two classes apart, JPEGs among them, are a fourth kind; they are
read so only where the data set says so (`Shades`).
"""

import io
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.pictures import load_upright, open_file, open_header, read_picture
from fullconv.data.sources import MaskFile, MaskSource, Packed
from fullconv.errors import DataError, InputError
from fullconv.labels import IGNORE_INDEX, VOID_COLOR, Color, LabelSet
from fullconv.storage import write_atomically

MIDDLE = 128
"""The brightness from which on a pixel of a grey mask is light."""

UNCERTAIN = (64, 192)
"""Grey from the first to before the second is neither dark nor light."""

MOST_UNCERTAIN = 0.03
"""The part of a grey mask's pixels that may be so; JPEG's loss at outlines makes less than a thousandth."""


@dataclass(frozen=True)
class Shades:
    """What brightness means in masks that are grey pictures of two classes.

    Attributes:
        dark: the id of pixels darker than 128.
        light: the id of the others.
    """

    dark: int
    light: int


def read_mask(path: MaskFile | str, labels: LabelSet, shades: Shades | None = None) -> np.ndarray:
    """Reads a mask file of any of the kinds in the module's docstring.

    Args:
        path: a PNG, or another file without loss; with `shades` any picture; or what draws the mask itself.
        labels: the classes; at most 255 of them.
        shades: the mask is a grey picture, and this says what is dark there and what light.

    Returns:
        (H, W) uint8, ids 0..K-1 or 255, EXIF orientation applied.

    Raises:
        PictureError: the file cannot be read.
        DataError: it holds an id or a colour that is neither a class nor void, or it is a JPEG.
    """
    if labels.num_classes > IGNORE_INDEX:
        raise DataError(f"{path}: got {labels.num_classes} classes; expected at most 255; merge some of them")
    if isinstance(path, MaskSource):
        return path.read(labels)
    if shades is not None:
        return np.where(read_brightness(path) < MIDDLE, np.uint8(shades.dark), np.uint8(shades.light))
    pixels, palette = read_stored(path)
    return ids_of_stored(pixels, palette, labels, path)


def ids_of_stored(
    pixels: np.ndarray, palette: np.ndarray | None, labels: LabelSet, path: Path | str | Packed
) -> np.ndarray:
    """The label map that a mask file means by what it stores.

    Args:
        pixels, palette: as `read_stored` gives them.
        labels: the classes; at most 255 of them.
        path: what errors call the file.

    Returns:
        (H, W) uint8, ids 0..K-1 or 255.

    Raises:
        DataError: an id or a colour is neither a class nor void.
    """
    num_classes = labels.num_classes
    if pixels.ndim == 3:
        return _ids_of_colors(pixels, labels, path)
    counts = np.bincount(pixels.ravel())
    found = np.flatnonzero(counts).tolist()
    void = {IGNORE_INDEX, *labels.ignore_ids}
    ids = {index: index for index in found if index < num_classes and index not in void}
    unknown = [index for index in found if index >= num_classes and index not in void]
    by_color = _ids_by_palette(palette, found if unknown else list(ids), labels)
    if unknown and by_color is None:
        also = f" (and {len(unknown) - 1} more such ids)" if len(unknown) > 1 else ""
        raise DataError(
            f"{path}: id {unknown[0]} on {counts[unknown[0]]} pixels{also} is none of the {num_classes} "
            f"classes; expected 0..{num_classes - 1}, or 255 for void; add the class to dataset.yaml "
            "or list the id there under ignore:",
            "mask-ids",
        )
    if unknown and by_color is not None:
        ids = by_color
    elif by_color is not None and by_color != ids:
        index = next(index for index in ids if by_color[index] != index)
        other = by_color[index]
        name = labels.names[other] if other < num_classes else "void"
        raise DataError(
            f"{path}: id {index} has the colour of {name!r}, id {other}; expected ids and palette to agree; "
            "correct the colours in dataset.yaml or, if the ids are wrong, save the mask as RGB",
            "mask-palette",
        )
    table = np.full(counts.size, IGNORE_INDEX, np.uint8)
    for index, label in ids.items():
        table[index] = label
    return table[pixels]


def read_brightness(path: Path | str | Packed) -> np.ndarray:
    """The grey values of a mask that is a grey picture, of any format: (H, W) uint8."""
    return np.asarray(Image.fromarray(read_picture(path)).convert("L"))


def read_stored(path: Path | str | Packed) -> tuple[np.ndarray, np.ndarray | None]:
    """What a mask file stores, before any class list is applied.

    Returns:
        pixels: (H, W) uint8 or uint16 ids, or (H, W, 3) uint8 RGB.
        palette: (256, 3) uint8 RGB, or None without one.
    """
    with open_file(path) as stream:
        image = open_header(stream, str(path))
        if image.format in ("JPEG", "MPO"):
            raise DataError(
                f"{path}: is a JPEG, whose loss changes ids; expected PNG; export it again as PNG, or, if it "
                "shows two classes in black and white, say which is which in dataset.yaml: "
                "masks: {dark: NAME, light: NAME}",
                "mask-jpeg",
            )
        step = grey_step(image)
        image = load_upright(image, str(path))
    pixels = np.asarray(image)
    if image.mode in ("P", "PA"):
        palette = np.zeros((256, 3), np.uint8)
        colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
        palette[: len(colors)] = colors
        return pixels if image.mode == "P" else pixels[..., 0], palette
    if image.mode in ("RGB", "RGBA", "RGBX"):
        return pixels[..., :3], None
    if image.mode in ("1", "L", "LA"):
        pixels = pixels if image.mode != "LA" else pixels[..., 0]
        return pixels.astype(np.uint8) // step, None
    if image.mode.startswith("I") and pixels.min() >= 0 and pixels.max() <= 65535:
        return pixels.astype(np.uint16), None
    raise DataError(f"{path}: has colour mode {image.mode}; expected ids, a palette or RGB; save it as PNG")


def grey_step(image: Image.Image) -> int:
    """Pillow spreads 2-bit and 4-bit grey over 0..255: the step from one stored value to the next."""
    tiles = getattr(image, "tile", None)  # the plugin's; its arguments say how bits are stored
    return {"L;2": 85, "L;4": 17}.get(str(tiles[0].args), 1) if tiles else 1


def write_mask(path: Path | str, label_map: np.ndarray, labels: LabelSet) -> None:
    """Writes a label map as PNG, losslessly and whole or not at all.

    Args:
        path: its folder is made where it is missing.
        label_map: as in `encode_mask`.
        labels: the classes.
    """
    write_atomically(Path(path), encode_mask(label_map, labels, str(path)))


def encode_mask(label_map: np.ndarray, labels: LabelSet, name: str = "the mask") -> bytes:
    """A label map as the bytes of a PNG.

    Args:
        label_map: (H, W) uint8, written with the class colours as palette (255 is cream); or uint16, written
            as 16-bit grey.
        labels: the classes.
        name: what errors call it.

    >>> encode_mask(np.zeros((2, 3), np.uint8), LabelSet.from_names(["background", "bag"]))[:4]
    b'\\x89PNG'
    """
    if label_map.ndim != 2 or label_map.dtype not in (np.uint8, np.uint16):
        got = f"got a label map {label_map.shape} of {label_map.dtype}"
        raise InputError(f"{name}: {got}; expected (H, W) of uint8 or uint16; convert it")
    image = Image.fromarray(np.ascontiguousarray(label_map))
    if label_map.dtype == np.uint8:
        image.putpalette(palette_of(labels)[:256].tobytes())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def labels_to_picture(label_map: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Paints a label map in the class colours, void in cream.

    Args:
        label_map: (H, W), ids 0..K-1 or 255.
        labels: the classes.

    Returns:
        (H, W, 3) uint8 RGB.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> labels_to_picture(np.array([[0, 1, 255]], np.uint8), labels).tolist()
    [[[0, 0, 0], [128, 0, 0], [224, 224, 192]]]
    """
    return palette_of(labels)[label_map]


def palette_of(labels: LabelSet) -> np.ndarray:
    """The colour of each id: (256, 3) uint8 RGB, or (K, 3) with more classes; what is no class is cream."""
    palette = np.full((max(256, labels.num_classes), 3), VOID_COLOR, np.uint8)
    palette[: labels.num_classes] = labels.colors
    return palette


def _class_of_color(labels: LabelSet) -> dict[Color, int]:
    """The id of each colour that a mask may hold; a class that has the void colour keeps it."""
    ids = {color: IGNORE_INDEX if i in labels.ignore_ids else i for i, color in enumerate(labels.colors)}
    return {VOID_COLOR: IGNORE_INDEX, **ids}


def _ids_by_palette(
    palette: np.ndarray | None, indices: list[int], labels: LabelSet
) -> dict[int, int] | None:
    """The id of each index by its colour, or None unless the colours differ and all are known."""
    if palette is None:
        return None
    by_color = _class_of_color(labels)
    colors = {index: tuple(palette[index].tolist()) for index in indices}
    if len(set(colors.values())) < len(colors) or not by_color.keys() >= set(colors.values()):
        return None
    return {index: by_color[color] for index, color in colors.items()}


@lru_cache(maxsize=2)
def _color_table(labels: LabelSet) -> np.ndarray:
    """(256 ** 3,) int16: the id at (R * 256 + G) * 256 + B, -1 where the colour means nothing."""
    table = np.full(256**3, -1, np.int16)
    for (red, green, blue), index in _class_of_color(labels).items():
        table[(red * 256 + green) * 256 + blue] = index
    return table


def _ids_of_colors(picture: np.ndarray, labels: LabelSet, path: Path | str | Packed) -> np.ndarray:
    red, green, blue = np.moveaxis(picture.astype(np.int32), 2, 0)
    codes = (red * 256 + green) * 256 + blue  # (H, W)
    ids = _color_table(labels)[codes]
    if (ids >= 0).all():
        return ids.astype(np.uint8)
    unknown, counts = np.unique(codes[ids < 0], return_counts=True)
    code = int(unknown[counts.argmax()])
    color = (code >> 16, code >> 8 & 255, code & 255)
    distances = ((np.array(labels.colors) - color) ** 2).sum(1)
    nearest = int(distances.argmin())
    apart = max(abs(own - other) for own, other in zip(color, labels.colors[nearest], strict=True))
    also = f" (and {len(unknown) - 1} more such colours)" if len(unknown) > 1 else ""
    remedy = "mend the mask or add the colour under classes: in dataset.yaml"
    if (red == green).all() and (green == blue).all():
        remedy = "if the grey values are class ids, save the mask with one channel instead of three"
    raise DataError(
        f"{path}: colour {color} on {counts.max()} pixels{also} belongs to no class; "
        f"the nearest is {labels.names[nearest]!r} {labels.colors[nearest]}, {apart} steps away; {remedy}",
        "mask-colours",
    )
