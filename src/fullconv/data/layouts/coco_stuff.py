"""COCO stuff: regions without things, in JSON of the same form as the instances.

`annotations/stuff_train2017.json`, ...: the classes are the categories in the order of their ids. What no annotation covers
is void; in COCO's own files the category "other" covers the things.

Source: COCO, data format, https://cocodataset.org/#format-data.
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.coco import read_shapes
from fullconv.data.layouts.coco_files import find_files

NAME = "coco-stuff"


def detect(folder: Path) -> bool:
    return bool(find_files(folder, "stuff"))


def read(folder: Path) -> Dataset:
    return read_shapes(folder, "stuff", with_background=False)
