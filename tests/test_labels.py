"""Class names, colours and the void id."""

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from fullconv.errors import DataError
from fullconv.labels import CAMVID, CITYSCAPES, IGNORE_INDEX, VOC, VOID_COLOR, LabelSet, voc_color

NAMES = st.lists(st.text("ab é_", min_size=1), min_size=1, max_size=40, unique=True)


@given(NAMES)
def test_from_names_keeps_the_names_and_gives_each_its_own_colour(names):
    labels = LabelSet.from_names(names)
    assert labels.names == tuple(names)
    assert labels.num_classes == len(names) == len(set(labels.colors))
    assert labels.ignore_ids == ()


def test_the_colour_rule_gives_every_8_bit_id_its_own_colour():
    colors = [voc_color(index) for index in range(256)]
    assert len(set(colors)) == 256
    assert all(value in range(256) for color in colors for value in color)


def test_the_voc_palette_is_the_published_one():
    published = {
        "background": (0, 0, 0),
        "aeroplane": (128, 0, 0),
        "bicycle": (0, 128, 0),
        "bottle": (128, 0, 128),
        "bus": (0, 128, 128),
        "car": (128, 128, 128),
        "cat": (64, 0, 0),
        "person": (192, 128, 128),
        "pottedplant": (0, 64, 0),
        "tvmonitor": (0, 64, 128),
    }
    palette = dict(zip(VOC.names, VOC.colors, strict=True))
    assert {name: palette[name] for name in published} == published
    assert VOC.num_classes == 21
    assert VOC.names.index("cat") == 8
    assert VOC.names.index("dog") == 12
    assert voc_color(IGNORE_INDEX) == VOID_COLOR == (224, 224, 192)


def test_camvid_and_cityscapes_are_in_the_order_of_their_ids():
    assert CAMVID.num_classes == 11
    assert CAMVID.ignore_ids == (11,)
    assert CAMVID.names[3] == "road"
    assert CAMVID.colors[10] == (0, 128, 192)
    assert CITYSCAPES.num_classes == 19
    assert CITYSCAPES.ignore_ids == ()
    palette = dict(zip(CITYSCAPES.names, CITYSCAPES.colors, strict=True))
    assert palette["traffic light"] == (250, 170, 30)
    assert (CITYSCAPES.names[0], CITYSCAPES.names[10], CITYSCAPES.names[18]) == ("road", "sky", "bicycle")


def test_camvid_is_the_data_set_on_disk(real_data):
    described = yaml.safe_load((real_data / "camvid" / "dataset.yaml").read_text())
    assert [entry["name"] for entry in described["classes"]] == list(CAMVID.names)
    assert [tuple(entry["color"]) for entry in described["classes"]] == list(CAMVID.colors)
    assert tuple(described["ignore"]) == CAMVID.ignore_ids


@pytest.mark.parametrize("labels", [VOC, CAMVID, CITYSCAPES])
def test_no_class_has_the_colour_of_void(labels):
    assert VOID_COLOR not in labels.colors


@pytest.mark.parametrize(
    ("names", "colors", "message"),
    [
        ((), (), "the class list is empty; expected at least one class"),
        (("a", "b"), ((0, 0, 0),), "got 2 class names and 1 colours; expected one colour each"),
        (("a", "a"), ((0, 0, 0), (1, 1, 1)), "class name a is given twice; expected each once"),
        (("a", "b"), ((9, 0, 0), (9, 0, 0)), r"class colour \(9, 0, 0\) is given twice; expected each once"),
        (("a",), ((0, 256, 0),), r"class a has the colour \(0, 256, 0\); expected \(R, G, B\), each 0..255"),
        (("a",), ((0, 0.5, 0),), r"class a has the colour \(0, 0.5, 0\); expected \(R, G, B\), each 0..255"),
        (("a",), ((0, 0),), r"class a has the colour \(0, 0\); expected \(R, G, B\), each 0..255"),
    ],
)
def test_contradictions_are_named(names, colors, message):
    with pytest.raises(DataError, match=f"^{message}$"):
        LabelSet(names, colors)


TEXTBOOK_COLORS = [
    (0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (128, 128, 128),
    (64, 0, 0), (192, 0, 0), (64, 128, 0), (192, 128, 0), (64, 0, 128), (192, 0, 128), (64, 128, 128),
    (192, 128, 128), (0, 64, 0), (128, 64, 0), (0, 192, 0), (128, 192, 0), (0, 64, 128),
]  # fmt: skip
TEXTBOOK_NAMES = [
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "diningtable", "dog", "horse", "motorbike", "person", "potted plant", "sheep", "sofa", "train", "tv/monitor",
]  # fmt: skip


def test_the_voc_classes_are_the_textbooks_table():
    """Source: Dive into Deep Learning, VOC_COLORMAP and VOC_CLASSES; it writes two of the names apart."""
    assert list(VOC.colors) == TEXTBOOK_COLORS
    assert list(VOC.names) == [name.replace(" ", "").replace("/", "") for name in TEXTBOOK_NAMES]


def test_the_textbooks_table_is_the_bit_rule_written_out():
    """The id in octal, digits of three bits: the lowest bit of each is red, the next green, from the top down."""
    for index, color in enumerate(TEXTBOOK_COLORS):
        digits = [int(digit) for digit in reversed(f"{index:03o}")]
        channels = [
            sum((digit >> channel & 1) * 128 >> place for place, digit in enumerate(digits))
            for channel in range(3)
        ]
        assert tuple(channels) == color == voc_color(index)
