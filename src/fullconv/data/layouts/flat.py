"""Flat folders: `images/` and `masks/`, with the lists `train.txt` and `val.txt` beside.

Without lists a tenth becomes `val`, chosen by the names' SHA-256.
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.folders import find_place, read_folders

NAME = "flat"


def detect(folder: Path) -> bool:
    return find_place(folder) is not None


def read(folder: Path) -> Dataset:
    return read_folders(folder)
