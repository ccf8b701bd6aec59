"""Class names and colours, and the one id that means "no class"."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fullconv.errors import DataError

if TYPE_CHECKING:
    import numpy as np

IGNORE_INDEX = 255
"""The label of a void pixel: it takes no part in loss or metrics."""

Color = tuple[int, int, int]


@dataclass(frozen=True)
class LabelSet:
    """The classes of a data set or model, in id order.

    Attributes:
        names: one name per class; class id = position.
        colors: one (R, G, B) per class, each 0..255, for display and for colour-coded masks.
        ignore_ids: ids found in mask files that mean void, besides 255, which always does.

    Raises:
        DataError: no class; a name or a colour missing or given twice; a colour that is none.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> labels.num_classes, labels.colors[1]
    (2, (128, 0, 0))
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...]
    ignore_ids: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.names:
            raise DataError("the class list is empty; expected at least one class")
        if not all(self.names):
            raise DataError("a class name is empty; expected a name for each class")
        if len(self.names) != len(self.colors):
            raise DataError(
                f"got {len(self.names)} class names and {len(self.colors)} colours; expected one colour each"
            )
        for name, color in zip(self.names, self.colors, strict=True):
            if len(color) != 3 or not all(value in range(256) for value in color):
                raise DataError(f"class {name} has the colour {color}; expected (R, G, B), each 0..255")
        for values, what in ((self.names, "class name"), (self.colors, "class colour")):
            twice = sorted({str(value) for value in values if values.count(value) > 1})
            if twice:
                raise DataError(f"{what} {twice[0]} is given twice; expected each once")

    @property
    def num_classes(self) -> int:
        return len(self.names)

    def shares(self, counts: "Sequence[int] | np.ndarray") -> dict[str, float]:
        """The share that each class has of pixels counted by id, largest first; absent classes are left out.

        >>> LabelSet.from_names(["a", "b", "c"]).shares([1, 3, 0])
        {'b': 0.75, 'a': 0.25}
        """
        total = float(sum(counts))
        order = sorted(range(self.num_classes), key=lambda index: -counts[index])
        return {self.names[index]: float(counts[index] / total) for index in order if counts[index]}

    @classmethod
    def from_names(cls, names: list[str] | tuple[str, ...]) -> "LabelSet":
        """Classes with colours from the VOC colour rule."""
        return cls(names=tuple(names), colors=tuple(voc_color(index) for index in range(len(names))))


@dataclass(frozen=True)
class Head:
    """A further labelling of the same pictures, such as geometric classes beside semantic ones.

    Attributes:
        name: what figures and files call it.
        labels: its classes.
    """

    name: str
    labels: LabelSet


def head_sizes(labels: "LabelSet", heads: Sequence[Head]) -> list[int]:
    """The number of classes of the first labelling and of each further head; a network's logits follow in this order."""
    return [labels.num_classes, *(head.labels.num_classes for head in heads)]


def voc_color(index: int) -> Color:
    """The colour of class `index` by PASCAL VOC's rule: the bits of the id, dealt to R, G, B from the top.

    Source: VOCdevkit, VOClabelcolormap.m.

    >>> [voc_color(i) for i in (0, 1, 15, 255)]
    [(0, 0, 0), (128, 0, 0), (192, 128, 128), (224, 224, 192)]
    """
    red = green = blue = 0
    for bit in range(8):
        red |= (index >> 0 & 1) << (7 - bit)
        green |= (index >> 1 & 1) << (7 - bit)
        blue |= (index >> 2 & 1) << (7 - bit)
        index >>= 3
    return red, green, blue


VOID_COLOR = voc_color(IGNORE_INDEX)
"""(224, 224, 192), the cream of VOC's borders."""

VOC = LabelSet.from_names(
    [
        "background",
        "aeroplane",
        "bicycle",
        "bird",
        "boat",
        "bottle",
        "bus",
        "car",
        "cat",
        "chair",
        "cow",
        "diningtable",
        "dog",
        "horse",
        "motorbike",
        "person",
        "pottedplant",
        "sheep",
        "sofa",
        "train",
        "tvmonitor",
    ]
)
"""The 21 classes of PASCAL VOC. Source: VOC 2012 development kit."""

CAMVID = LabelSet(
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign_symbol",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colors=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
    ignore_ids=(11,),
)
"""The 11 classes of CamVid as SegNet grouped them; id 11 is void. Source: Brostow, Fauqueur & Cipolla 2009;
Badrinarayanan, Kendall & Cipolla 2017."""

CITYSCAPES = LabelSet(
    names=(
        "road",
        "sidewalk",
        "building",
        "wall",
        "fence",
        "pole",
        "traffic light",
        "traffic sign",
        "vegetation",
        "terrain",
        "sky",
        "person",
        "rider",
        "car",
        "truck",
        "bus",
        "train",
        "motorcycle",
        "bicycle",
    ),
    colors=(
        (128, 64, 128),
        (244, 35, 232),
        (70, 70, 70),
        (102, 102, 156),
        (190, 153, 153),
        (153, 153, 153),
        (250, 170, 30),
        (220, 220, 0),
        (107, 142, 35),
        (152, 251, 152),
        (70, 130, 180),
        (220, 20, 60),
        (255, 0, 0),
        (0, 0, 142),
        (0, 0, 70),
        (0, 60, 100),
        (0, 80, 100),
        (0, 0, 230),
        (119, 11, 32),
    ),
)
"""The 19 scored classes of Cityscapes, in train ids. Source: mcordts/cityscapesScripts, helpers/labels.py."""
