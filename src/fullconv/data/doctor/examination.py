"""Looking at one sample: its faults, and the facts by which samples are compared with each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.doctor.fingerprints import digest, fingerprint
from fullconv.data.doctor.outlines import outline_fit
from fullconv.data.doctor.solid import between_share
from fullconv.data.masks import UNCERTAIN, read_brightness, read_stored
from fullconv.data.pictures import TURNS, load_upright, open_file, open_header, orientation
from fullconv.data.samples import Parts, Sample, read_parts
from fullconv.data.sources import MaskFile, MaskSource
from fullconv.errors import InputError
from fullconv.labels import Head, LabelSet

BLANK = 8
"""A picture whose red, green and blue span no more than this shows nothing."""

FORMATS = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".gif": "GIF",
    ".ppm": "PPM",
    ".pgm": "PPM",
    ".pbm": "PPM",
    ".pnm": "PPM",
}
"""What a file's suffix says that it is."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a file, as its reader says it.

    Attributes:
        code: see `KINDS`.
        file: the file's name.
        text: the reader's line.
    """

    code: str
    file: str
    text: str


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself before its pixels.

    Attributes:
        format: as Pillow names it.
        traits: of "16-bit", "alpha", "cmyk" and "animated", those it has.
        orientation: the EXIF orientation that is still to be applied, 1 to 8.
        palette: the colours of a palette file, None without one; (256, 3) uint8 as bytes.
    """

    format: str
    traits: tuple[str, ...]
    orientation: int
    palette: bytes | None


@dataclass(frozen=True, slots=True)
class PictureFacts:
    """What is known of a picture that could be read.

    Attributes:
        size_hw: as it is shown.
        digest: equal for pictures of equal pixels alone.
        fingerprint: 32 bytes, see `fingerprints`; None where it shows next to nothing.
        grey: red, green and blue are the same.
        blank: it is of one colour.
    """

    size_hw: tuple[int, int]
    digest: bytes
    fingerprint: bytes | None
    grey: bool
    blank: bool


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """What is known of a mask that could be read.

    Attributes:
        digest: equal for label maps of equal ids alone.
        between: see `between_share`.
        fit: see `outline_fit`; None where it says nothing.
        turned_fit: the same for the mask turned by the picture's EXIF tag, where that fits its size.
    """

    digest: bytes
    between: float
    fit: float | None
    turned_fit: float | None


@dataclass(frozen=True, slots=True)
class Examined:
    """A sample, looked at.

    Attributes:
        sample: whose files they are.
        faults: in the order in which reading would stop at them.
        counts: of the first labelling and of each head, the pixels of each id found; None where the mask was refused.
        size_hw: the picture's, None where it was refused.
        uncertain: the part of a grey mask that is neither dark nor light.
        picture, mask: what is known beyond; None where that was not asked for, or where a file was refused.
        picture_header, mask_header: the same, for files that are pictures.
        stored: the pixels of each id in a mask that was refused for its ids.
    """

    sample: Sample
    faults: tuple[Fault, ...]
    counts: tuple[dict[int, int] | None, ...]
    size_hw: tuple[int, int] | None
    uncertain: float
    picture: PictureFacts | None = None
    mask: MaskFacts | None = None
    picture_header: Header | None = None
    mask_header: Header | None = None
    stored: dict[int, int] | None = None


def examine(
    sample: Sample, labels: LabelSet, heads: Sequence[Head] = (), *, thorough: bool = False
) -> Examined:
    """Reads all files of a sample, each once.

    Args:
        sample: with a mask for each of `heads`.
        labels: the classes.
        heads: the data set's further heads.
        thorough: gathers the facts of `PictureFacts`, `MaskFacts` and `Header` too.
    """
    faults: list[InputError] = []
    parts = read_parts(sample, labels, heads, faults.append)
    uncertain = _uncertain_part(sample) if parts.label_maps[0] is not None else 0.0
    found = tuple(_fault(error) for error in faults)
    counts = tuple(None if ids is None else _counts(ids) for ids in parts.label_maps)
    size_hw = None if parts.picture is None else parts.picture.shape[:2]
    if not thorough:
        return Examined(sample, found, counts, size_hw, uncertain)
    picture_header, mask_header = header_of(sample.picture), header_of(sample.mask)
    turn = 1 if picture_header is None else picture_header.orientation
    picture, mask = _facts(parts, turn)
    stored = _stored_ids(sample) if any(fault.code == "mask-ids" for fault in found) else None
    return Examined(
        sample, found, counts, size_hw, uncertain, picture, mask, picture_header, mask_header, stored
    )


def _stored_ids(sample: Sample) -> dict[int, int] | None:
    if isinstance(sample.mask, MaskSource):
        return None
    pixels, _ = read_stored(sample.mask)
    return _counts(pixels)


def _fault(error: InputError) -> Fault:
    file, _, _ = str(error).partition(": ")
    return Fault(error.code or "unreadable", file, str(error))


def _counts(label_map: np.ndarray) -> dict[int, int]:
    counts = np.bincount(label_map.ravel())
    return {int(index): int(counts[index]) for index in np.flatnonzero(counts)}


def _uncertain_part(sample: Sample) -> float:
    if sample.shades is None or isinstance(sample.mask, MaskSource):
        return 0.0
    grey = read_brightness(sample.mask)
    return float(((grey >= UNCERTAIN[0]) & (grey < UNCERTAIN[1])).mean())


def _facts(parts: Parts, turn: int) -> tuple[PictureFacts | None, MaskFacts | None]:
    picture, label_map = parts.picture, parts.label_maps[0]
    grey, picture_facts, mask_facts = None, None, None
    if picture is not None:
        grey = Image.fromarray(picture).convert("L")
        marks = fingerprint(grey)
        few = picture[::4, ::4].reshape(-1, 3)
        picture_facts = PictureFacts(
            size_hw=picture.shape[:2],
            digest=digest(picture),
            fingerprint=None if marks is None else marks.tobytes(),
            grey=bool((few == few[:, :1]).all()),
            blank=bool((np.ptp(few, axis=0) <= BLANK).all())
            and bool((np.ptp(picture, axis=(0, 1)) <= BLANK).all()),
        )
    if label_map is not None:
        fit = turned = None
        if grey is not None and label_map.shape == grey.size[::-1]:
            fit = outline_fit(grey, label_map)
            if turn != 1 and (lying := turned_by(label_map, turn)).shape == label_map.shape:
                turned = outline_fit(grey, lying)
        mask_facts = MaskFacts(digest(label_map), between_share(label_map), fit, turned)
    return picture_facts, mask_facts


def turned_by(label_map: np.ndarray, orientation: int) -> np.ndarray:
    """A label map (H, W), turned as a picture of this EXIF orientation is to stand upright."""
    if orientation == 1:
        return label_map
    return np.asarray(Image.fromarray(label_map).transpose(TURNS[orientation]))


def header_of(path: MaskFile) -> Header | None:
    """What a file says of itself; None where it is no picture file or cannot be read."""
    if isinstance(path, MaskSource):
        return None
    try:
        with open_file(path) as stream:
            image = open_header(stream, str(path))
            facts = image.format or "", _traits(image), orientation(image)
            return Header(*facts, _palette(image, str(path)))
    except (InputError, OSError):
        return None


def _traits(image: Image.Image) -> tuple[str, ...]:
    stored = str([tile.args for tile in getattr(image, "tile", [])])
    has = {
        "16-bit": image.mode.startswith("I") or ";16" in stored,
        "alpha": image.mode in ("RGBA", "LA", "PA", "La") or "transparency" in image.info,
        "cmyk": image.mode == "CMYK",
        "animated": bool(getattr(image, "is_animated", False)),
    }
    return tuple(trait for trait, there in has.items() if there)


def _palette(image: Image.Image, name: str) -> bytes | None:
    if image.mode != "P":
        return None
    load_upright(image, name)  # Pillow decodes a picture to tell its palette
    colors = image.getpalette("RGB")
    return None if colors is None else bytes(colors).ljust(768, b"\0")


def suffix_lies(path: MaskFile, header: Header | None) -> bool:
    """Whether a file's suffix says another format than it is."""
    if header is None or not isinstance(path, Path) or path.suffix.lower() not in FORMATS:
        return False
    return FORMATS[path.suffix.lower()] != {"MPO": "JPEG"}.get(header.format, header.format)
