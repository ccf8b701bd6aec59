"""CamVid with Cambridge's colours in the usual 11 groups; by name only, as its files are camvid32's. See `camvid_raw`."""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.camvid_raw import read_raw

NAME = "camvid11"


def detect(folder: Path) -> bool:
    return False


def read(folder: Path) -> Dataset:
    return read_raw(folder, grouped=True)
