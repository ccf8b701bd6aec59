"""Twin trees: `images/train/`, `images/val/`, ... and `masks/train/`, `masks/val/`, ...

Each folder in the first tree is a split; a list `train.txt`, ... beside the trees chooses and orders its names.
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.folders import find_place, has_trees, read_folders

NAME = "twin"


def detect(folder: Path) -> bool:
    place = find_place(folder)
    return place is not None and has_trees(place)


def read(folder: Path) -> Dataset:
    return read_folders(folder)
