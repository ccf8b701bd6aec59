"""What public sets lack to be opened as they come: masks in another form, and the names of the classes."""

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fullconv.data.classes import read_lines
from fullconv.data.descriptions import description_text
from fullconv.data.masks import read_stored, write_mask
from fullconv.errors import DataError
from fullconv.labels import CAMVID, IGNORE_INDEX, LabelSet
from fullconv.storage import write_text_atomically

PETS = LabelSet.from_names(["background", "pet"])

STANFORD = LabelSet(
    ("sky", "tree", "road", "grass", "water", "building", "mountain", "foreground"),
    (
        (128, 128, 128),
        (129, 127, 38),
        (120, 69, 125),
        (53, 125, 34),
        (0, 11, 123),
        (118, 20, 12),
        (122, 81, 25),
        (241, 134, 51),
    ),
)
"""Source: mmsegmentation, demo/MMSegmentation_Tutorial.ipynb, which names and paints them so."""

LONGEST_TEXT = 1 << 24
"""Bytes of one text of regions; the longest has some 300 kB."""


def describe_camvid(folder: Path) -> None:
    """Names the 11 classes."""
    write_text_atomically(folder / "dataset.yaml", description_text("camvid", CAMVID))


def describe_coco_stuff(folder: Path) -> None:
    """Names the 182 ids; the masks count from 0, labels.txt from 1, as its 0 is void.

    Source: github.com/nightrome/cocostuff, README.md, "Caffe-compatible stuff-thing maps".
    """
    path = folder / "labels.txt"
    found = [re.fullmatch(r"(\d+): (.+)", line) for line in read_lines(path)]
    names = {int(line[1]): line[2] for line in found if line}
    if sorted(names) != list(range(183)):
        raise DataError(f"{path}: names {len(names)} ids; expected 0 to 182; download it again")
    labels = LabelSet.from_names([names[index] for index in range(1, 183)])
    path.unlink()  # its ids are not those of the masks
    write_text_atomically(folder / "dataset.yaml", description_text("coco-stuff", labels))


def mask_pets(folder: Path) -> None:
    """Makes masks of the trimaps, and lists of the split.

    Source: annotations/README: 1 is foreground, 2 background, 3 not classified, which is the animal's outline.
    """
    table = np.full(256, IGNORE_INDEX, np.uint8)
    table[1], table[2] = 1, 0
    trimaps = [
        path for path in sorted((folder / "annotations" / "trimaps").glob("*.png")) if path.name[0] != "."
    ]

    def convert(path: Path) -> None:
        ids, _ = read_stored(path)
        if ids.ndim != 2 or ids.max() > 255:
            raise DataError(f"{path}: is no trimap; expected ids 1 to 3; download it again")
        write_mask(folder / "masks" / path.name, table[ids], PETS)

    with ThreadPoolExecutor() as pool:
        list(pool.map(convert, trimaps))
    for split, name in (("train", "trainval"), ("test", "test")):
        names = [
            line.split()[0] for line in read_lines(folder / "annotations" / f"{name}.txt") if line[0] != "#"
        ]
        write_text_atomically(folder / f"{split}.txt", "\n".join(names) + "\n")
    write_text_atomically(folder / "dataset.yaml", description_text("oxford-pets", PETS))


def mask_stanford(folder: Path) -> None:
    """Makes masks of the texts of regions: a number for each pixel, negative where it is unknown.

    Source: iccv09Data/README.
    """

    def convert(path: Path) -> None:
        name = path.name.removesuffix(".regions.txt")
        write_mask(folder / "masks" / f"{name}.png", read_regions(path), STANFORD)

    with ThreadPoolExecutor() as pool:
        list(pool.map(convert, sorted((folder / "labels").glob("*.regions.txt"))))
    write_text_atomically(folder / "dataset.yaml", description_text("stanford-background", STANFORD))


def read_regions(path: Path) -> np.ndarray:
    """Reads a text of whole numbers, a line for each row of pixels.

    Returns:
        (H, W) uint8: ids of `STANFORD`, 255 where the number is negative.

    Raises:
        DataError: it holds something else.
    """
    fault = DataError(
        f"{path}: holds no regions; expected a line of ids -1 to 7 for each row; download it again"
    )
    if path.stat().st_size > LONGEST_TEXT:
        raise fault
    try:
        rows = [
            np.array(line.split(), np.int64) for line in path.read_text("ascii").splitlines() if line.strip()
        ]
        ids = np.stack(rows)
    except (ValueError, OverflowError):
        raise fault from None
    if ids.max(initial=0) >= STANFORD.num_classes:
        raise fault
    return np.where(ids < 0, IGNORE_INDEX, ids).astype(np.uint8)
