"""Folders by split first: `train/images/` + `train/masks/`, or `train/` + `train_masks/`, and so on for val and test.

The other way round than twin trees, with the same names of folders and of masks.
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.folders import SPLIT_NAMES, two_folders, with_labels, without_ends
from fullconv.data.layouts.pairing import no_such_layout, paired
from fullconv.errors import DataError
from fullconv.labels import VOC

NAME = "nested"
LOOKS = "train/images/ + train/masks/ or train/ + train_masks/"

BESIDE = ("_masks", "_mask", "_labels", "_annotations", "annot", "_gt")
"""What is behind a split's name in that of the folder with its masks."""

TREES = ("train", "val", "test", *SPLIT_NAMES)


def detect(folder: Path) -> bool:
    return bool(_trees(folder))


def read(folder: Path) -> Dataset:
    trees = _trees(folder)
    if not trees:
        raise no_such_layout(folder, "pictures and masks in each split", LOOKS)
    splits = {}
    for tree, (pictures, masks) in trees.items():
        found = files_by_key(pictures)
        samples = paired(tree, found, without_ends(files_by_key(masks), found), f"{masks}/{{}}.png")
        if samples:
            splits[SPLIT_NAMES.get(tree, tree)] = samples
    if not splits:
        raise DataError(
            f"{folder}: no picture has a mask; expected {LOOKS}; give each mask its picture's name"
        )
    first, second = next(iter(trees.values()))
    layout = (
        f"splits with {first.name}/ + {second.name}/{' in each' if first.name not in TREES else ' and so on'}"
    )
    return with_labels(Dataset(folder.resolve().name, folder, layout, VOC, splits), [folder])


def _trees(folder: Path) -> dict[str, tuple[Path, Path]]:
    """The folders of pictures and of masks in each split that has both."""
    trees = {}
    for tree in TREES:
        pictures, masks = two_folders(folder / tree)
        beside = next((path for end in BESIDE if (path := folder / f"{tree}{end}").is_dir()), None)
        if pictures and masks:
            trees[tree] = (pictures, masks)
        elif beside and (folder / tree).is_dir():
            trees[tree] = (folder / tree, beside)
    return trees
