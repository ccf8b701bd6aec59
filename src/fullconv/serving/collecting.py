"""Pictures and their corrected masks, taken into a data folder that `fullconv train` reads.

The folder is a twin tree: images/{train,val}/NAME.jpg, masks/{train,val}/NAME.png and dataset.yaml. A NAME ends in the
first digits of the picture's SHA-256: the same picture never lies there twice, and never in both splits.
"""

import hashlib
import io
import re
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from fullconv.data.classes import find_description
from fullconv.data.descriptions import description_text
from fullconv.data.masks import encode_mask, grey_step
from fullconv.data.pictures import load_upright, open_header, to_rgb, upright_size
from fullconv.errors import ConfigError, DataError, InputError, StorageError
from fullconv.labels import IGNORE_INDEX, LabelSet
from fullconv.serving.settings import FORMATS, Settings
from fullconv.storage import clean, write_atomically, write_text_atomically
from fullconv.training.lock import taken

TRAIN, VAL = "train", "val"
VAL_EVERY, FIRST_VAL = 10, 2
"""The 2nd, 12th, 22nd, ... picture is for validation: with two of them a first training can begin."""

SUFFIXES = {
    "JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"
}  # fmt: skip
"""What Pillow calls a format -> how its files end; MPO is a JPEG with a second picture."""

TREES = ("images", "masks")
LISTS = ("train.txt", "val.txt")
DESCRIPTION = "dataset.yaml"
LOCK = ".collecting"
DIGITS = 8
OWN_NAME = re.compile(rf"-([0-9a-f]{{{DIGITS}}})$")


@dataclass(frozen=True)
class Saved:
    """Where a picture and its mask have gone.

    Attributes:
        name: of both files, without suffix.
        split: "train" or "val".
        replaced: whether the picture was there, so that its mask is now another one.
    """

    name: str
    split: str
    replaced: bool


class Collection:
    """A data folder that grows.

    Args:
        folder: is made where it is missing.
        labels: the model's classes.

    Raises:
        DataError: the folder holds something else, or other classes.
        ConfigError: it cannot be written, or another service writes there.
    """

    def __init__(self, folder: Path, labels: LabelSet) -> None:
        self.folder = folder
        self.labels = prepared(folder, labels)
        self.lock_file = claimed(folder)
        clean(folder)
        self.masks = own_files(folder / "masks")
        self.pictures = own_files(folder / "images")
        self.one_at_a_time = threading.Lock()

    def close(self) -> None:
        """Lets go of the folder."""
        self.lock_file.close()

    def count(self) -> dict[str, int]:
        """The pictures that were collected, by split."""
        there = [place.parent.name for place in self.pictures.values()]
        return {split: there.count(split) for split in (TRAIN, VAL)}

    def has(self, digest: str) -> bool:
        return digest in self.pictures

    def save(self, picture: bytes, mask: bytes, file_name: str, settings: Settings) -> Saved:
        """Takes a picture in, or another mask of one that is there.

        The mask is written first: a picture that is there has its mask, whatever happens in between.

        Args:
            picture: its file, which is kept as it is.
            mask: a PNG of class ids.
            file_name: what the picture was called.
            settings: the limits.

        Raises:
            PictureError: one of them cannot be read, or is too large.
            InputError: the mask has another size, or other ids.
            StorageError: the disk is full or may not be written; nothing has changed.
        """
        suffix, size_hw = checked_picture(picture, settings)
        content = encode_mask(read_ids(mask, size_hw, self.labels.num_classes, settings), self.labels)
        digest = digest_of(picture)
        with self.one_at_a_time:
            replaced = digest in self.pictures
            mask_place = self.masks.get(digest) or self.fresh_place(digest, file_name)
            split, name = mask_place.parent.name, mask_place.stem
            write_atomically(mask_place, content)
            if not replaced:
                picture_place = self.folder / "images" / split / f"{name}{suffix}"
                try:
                    write_atomically(picture_place, picture)
                except StorageError:
                    mask_place.unlink(missing_ok=True)
                    raise
                self.pictures[digest] = picture_place
            self.masks[digest] = mask_place
        return Saved(name, split, replaced)

    def fresh_place(self, digest: str, file_name: str) -> Path:
        split = VAL if (len(self.pictures) + 1) % VAL_EVERY == FIRST_VAL else TRAIN
        return self.folder / "masks" / split / f"{safe_stem(file_name)}-{digest}.png"


def digest_of(picture: bytes) -> str:
    return hashlib.sha256(picture).hexdigest()[:DIGITS]


def safe_stem(file_name: str) -> str:
    """A part of a file's name, of letters, digits, - and _.

    >>> safe_stem("../a/My photo (1).jpg"), safe_stem("街道.png"), safe_stem("...")
    ('My_photo_1', '街道', 'picture')
    """
    last = re.split(r"[/\\]", file_name)[-1]
    return re.sub(r"[^\w-]+", "_", last.rpartition(".")[0] or last)[:40].strip("_-") or "picture"


def prepared(folder: Path, labels: LabelSet) -> LabelSet:
    """The classes that the folder says it has; where it says nothing yet, it is told the model's."""
    if labels.num_classes > IGNORE_INDEX:
        raise DataError(
            f"{folder}: the model has {labels.num_classes} classes; at most 255 fit a data set's masks"
        )
    found = find_description(folder)
    if found is None:
        if any((folder / tree).exists() for tree in TREES):
            raise DataError(
                f"{folder}: holds pictures, but no {DESCRIPTION} with their classes; write one (fullconv data describe), "
                "or collect into another folder"
            )
        begin(folder, labels)
        return labels
    path, description = found
    if not description.classes or description.masks or description.heads or description.extra:
        raise DataError(
            f"{path}: asks for more than a mask of class ids; expected a name and classes; collect into another folder"
        )
    own = description.labels()
    if own.names != labels.names:
        raise DataError(
            f"{path}: {difference(own, labels)}; expected the model's classes; collect into another folder"
        )
    loose = [path.name for path in (folder / "images").glob("*.*") if path.is_file()]
    lists = [name for name in LISTS if (folder / name).exists()]
    if loose or lists:
        raise DataError(
            f"{folder}: has {(lists or loose)[0]}, so that pictures in images/{TRAIN}/ would not be found; expected "
            "images/train/ and images/val/ alone; collect into another folder"
        )
    return own


def difference(own: LabelSet, labels: LabelSet) -> str:
    if own.num_classes != labels.num_classes:
        return f"has {own.num_classes} classes, the model {labels.num_classes}"
    index = next(index for index in range(own.num_classes) if own.names[index] != labels.names[index])
    return f"class {index} is {own.names[index]!r}, the model's {labels.names[index]!r}"


def begin(folder: Path, labels: LabelSet) -> None:
    try:
        write_text_atomically(
            folder / DESCRIPTION, description_text(folder.resolve().name or "collected", labels)
        )
    except StorageError as error:
        raise ConfigError(str(error)) from None


def claimed(folder: Path) -> BinaryIO:
    """The file whose lock keeps a second service out, for as long as it is open."""
    try:
        file = (folder / LOCK).open("a+b")
    except OSError as error:
        raise ConfigError(
            f"{folder}: cannot be written ({error.strerror}); collect into another folder"
        ) from None
    if not taken(file):
        file.close()
        raise ConfigError(
            f"{folder}: another service collects there; stop it, or collect into another folder"
        )
    return file


def own_files(tree: Path) -> dict[str, Path]:
    """What was collected in a tree before: digest -> file."""
    found = {}
    for split in (TRAIN, VAL):
        for path in sorted((tree / split).glob("*.*")):
            own = OWN_NAME.search(path.stem)
            if own:
                found[own[1]] = path
    return found


def checked_picture(picture: bytes, settings: Settings) -> tuple[str, tuple[int, int]]:
    """How its file's name ends, and its upright (height, width); it was decoded, so that training will not fail on it."""
    image = open_header(
        io.BytesIO(picture),
        "image",
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_side=settings.max_side,
        formats=FORMATS,
    )
    suffix, size_hw = SUFFIXES[image.format or ""], upright_size(image)
    to_rgb(load_upright(image, "image"), "image")
    return suffix, size_hw


def read_ids(mask: bytes, size_hw: tuple[int, int], num_classes: int, settings: Settings) -> np.ndarray:
    """The label map of a PNG, (H, W) uint8: ids of classes, or 255.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> mask = encode_mask(np.array([[0, 1, 255]], np.uint8), labels)
    >>> read_ids(mask, (1, 3), labels.num_classes, Settings())
    array([[  0,   1, 255]], dtype=uint8)
    """
    image = open_header(
        io.BytesIO(mask),
        "mask",
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_side=settings.max_side,
        formats=("PNG",),
    )
    height, width = size_hw
    if upright_size(image) != size_hw:
        raise InputError(
            f"mask: is {image.width} x {image.height} pixels; expected {width} x {height}, as the picture stands upright"
        )
    if image.mode not in ("P", "L"):
        raise InputError(f"mask: has colour mode {image.mode}; expected a byte for each pixel, its class id")
    step = grey_step(image)
    ids = np.asarray(load_upright(image, "mask")) // step
    beyond = ids[(ids >= num_classes) & (ids != IGNORE_INDEX)]
    if beyond.size:
        raise InputError(
            f"mask: id {beyond[0]} on {(ids == beyond[0]).sum()} pixels is no class; expected 0..{num_classes - 1}, or 255"
        )
    return ids
