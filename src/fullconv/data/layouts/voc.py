"""PASCAL VOC's devkit, 2007 to 2012, and what is kept in its form.

`JPEGImages/`, `SegmentationClass/`, and each list in `ImageSets/Segmentation/` is a split. The folder is the VOCdevkit,
its parent, or one year in it; of several years the newest is read. Without other word the classes are VOC's 21; 255,
the borders of things, is void.

Source: Everingham & Winn, The PASCAL Visual Object Classes Challenge 2012 Development Kit, sections 3 and 7
(http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/index.html).
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.layouts.folders import find_place, read_folders

NAME = "voc"


def detect(folder: Path) -> bool:
    place = find_place(folder)
    return place is not None and place.is_voc


def read(folder: Path) -> Dataset:
    return read_folders(folder)
