"""CamVid with all classes that Cambridge's colours tell apart: 31, and void. See `camvid_raw`."""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.camvid_raw import has_camvid, read_raw

NAME = "camvid32"


def detect(folder: Path) -> bool:
    return has_camvid(folder)


def read(folder: Path) -> Dataset:
    return read_raw(folder, grouped=False)
