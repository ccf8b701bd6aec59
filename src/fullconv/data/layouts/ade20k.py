"""ADE20K, the 150 classes of the scene parsing challenge: `images/training/`, `annotations/training/`, ... `validation/`.

In the masks 1..150 are the classes, and 0, what is none of them, is void. The names are those of objectInfo150.txt,
the first of each class, or the same built in where there is no such file.

Source: Zhou et al. 2017; the challenge's development kit (https://github.com/CSAILVision/sceneparsing).
"""

from pathlib import Path

from fullconv.data.classes import read_lines
from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.ade20k_classes import ADE20K
from fullconv.data.layouts.pairing import first_folder, no_such_layout, paired
from fullconv.data.mapped import MappedMask
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet, voc_color

NAME = "ade20k"
LOOKS = "images/training/, annotations/training/ and objectInfo150.txt"

INFO, INSIDE = "objectInfo150.txt", "ADEChallengeData2016"
SPLITS = {"training": "train", "validation": "val"}


def detect(folder: Path) -> bool:
    root = _root(folder)
    return root is not None and (
        (root / INFO).is_file() or any((root / "images" / "training").glob("ADE_train_*"))
    )


def read(folder: Path) -> Dataset:
    root = _root(folder)
    if root is None:
        raise no_such_layout(folder, "ADE20K", LOOKS)
    labels = read_object_info(root / INFO) if (root / INFO).is_file() else ADE20K
    stored = LabelSet(("other", *labels.names), _other_color(labels))
    ids = bytes([IGNORE_INDEX, *range(labels.num_classes)])
    splits = {}
    for tree, split in SPLITS.items():
        if not (root / "images" / tree).is_dir() or not (root / "annotations" / tree).is_dir():
            continue
        masks = {
            key: MappedMask(path, stored, ids)
            for key, path in files_by_key(root / "annotations" / tree).items()
        }
        expected = f"{root}/annotations/{tree}/{{}}.png"
        found = paired(split, files_by_key(root / "images" / tree), masks, expected)
        if found:
            splits[split] = found
    if not splits:
        raise DataError(
            f"{root}: no picture in images/ has a mask in annotations/; give each its picture's name"
        )
    layout = f"ADE20K with {labels.num_classes} classes; 0 is void"
    return Dataset(folder.resolve().name, root, layout, labels, splits)


def read_object_info(path: Path) -> LabelSet:
    """The first name of each class: the last column of a table whose first line names its columns.

    Raises:
        DataError: the classes are not 1, 2, ..., or have no names of their own.
    """
    names = []
    for number, line in enumerate(read_lines(path)[1:], start=1):
        columns = [column.strip() for column in line.split("\t")]
        name = columns[-1].split(",")[0].strip()
        if len(columns) < 2 or columns[0] != str(number) or not name:
            raise DataError(
                f"{path}: line {number + 1} is {line[:60]!r}; expected {number}, ..., NAME with tabs between; copy it again"
            )
        names.append(name)
    if len(names) > IGNORE_INDEX - 1:
        raise DataError(f"{path}: names {len(names)} classes; expected at most 254")
    colors = ADE20K.colors if len(names) == ADE20K.num_classes else tuple(map(voc_color, range(len(names))))
    try:
        return LabelSet(tuple(names), colors)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def _root(folder: Path) -> Path | None:
    return first_folder(folder, INSIDE, "images/training", "annotations/training")


def _other_color(labels: LabelSet) -> tuple[tuple[int, int, int], ...]:
    """The classes' colours behind one that none of them has."""
    free = next(color for color in map(voc_color, range(256)) if color not in labels.colors)
    return (free, *labels.colors)
