"""The classes come from dataset.yaml, from a list of names, or from the masks."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.classes import Description, infer_labels, read_class_list, read_description
from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades, write_mask
from fullconv.errors import DataError
from fullconv.labels import LabelSet, voc_color


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "dataset.yaml"
    path.write_text(text, "utf-8")
    return path


def test_the_interface_example(tmp_path: Path):
    text = """
name: camvid
classes:                       # in id order
  - {name: sky, color: [128, 128, 128]}
  - {name: building, color: [128, 0, 0]}
ignore: [11]
"""
    description = read_description(write(tmp_path, text))
    assert description.name == "camvid"
    assert description.labels() == LabelSet(("sky", "building"), ((128, 128, 128), (128, 0, 0)), (11,))


def test_plain_names_get_voc_colours_that_no_other_class_has(tmp_path: Path):
    text = "classes: [sky, {name: road, color: [0, 0, 0]}, car, {name: tree}]"
    labels = read_description(write(tmp_path, text)).labels()
    assert labels.names == ("sky", "road", "car", "tree")
    assert labels.colors[1:] == ((0, 0, 0), voc_color(2), voc_color(3))
    assert len(set(labels.colors)) == 4


@given(st.lists(st.one_of(st.none(), st.integers(0, 254).map(voc_color)), min_size=1, max_size=255))
def test_any_mix_of_given_and_absent_colours_makes_a_label_set(colors):
    seen = set()
    unique = [None if color in seen else seen.add(color) or color for color in colors]
    entries = [{"name": f"c{i}", "color": color} for i, color in enumerate(unique)]
    labels = Description.model_validate({"classes": entries}).labels()
    assert all(given is None or given == got for given, got in zip(unique, labels.colors, strict=True))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "classes: [a, b",
            "line 1, is not YAML (expected ',' or ']', but got '<stream end>'); expected e.g. classes: [",
        ),
        ("- a\n- b\n", "got list, expected keys and values, e.g. classes: [{name: background"),
        ("", "got NoneType, expected keys and values"),
        ("name: x\n", "classes: Field required; expected e.g. classes: ["),
        ("classes: []\n", "classes: Tuple should have at least 1 item after validation, not 0; expected"),
        (
            "classes: [{name: a, colour: [0, 0, 0]}]",
            "classes.0.colour: Extra inputs are not permitted; expected",
        ),
        (
            "classes: [{name: a, color: [0, 0, 256]}]",
            "classes.0.color.2: Input should be less than or equal to 255; ex",
        ),
        (
            "classes: [yes, no]",
            "classes.0: Value error, got True, expected a name; put it in quotes; expected",
        ),
        ("classes: [a, a]", "class name a is given twice; expected each once"),
        (
            "classes: [{name: a, color: [1, 1, 1]}, {name: b, color: [1, 1, 1]}]",
            "class colour (1, 1, 1) is given twice",
        ),
        ("classes: [a]\nignore: [-1]", "ignore.0: Input should be greater than or equal to 0; expected"),
        (
            f"classes: [{', '.join(f'c{i}' for i in range(256))}]",
            "classes: Tuple should have at most 255 items",
        ),
    ],
)
def test_faults_of_dataset_yaml_are_one_line_with_the_place(tmp_path: Path, text, message):
    path = write(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_description(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_files_that_are_not_utf8(tmp_path: Path):
    (tmp_path / "dataset.yaml").write_bytes(b"name: stra\xdfe\n")
    with pytest.raises(
        DataError, match=r"dataset\.yaml: cannot be read \(.*\); expected a YAML file in UTF-8"
    ):
        read_description(tmp_path / "dataset.yaml")
    (tmp_path / "classes.txt").write_bytes(b"stra\xdfe\n")
    with pytest.raises(
        DataError, match=r"classes\.txt: cannot be read \(.*\); expected a text file in UTF-8"
    ):
        read_class_list(tmp_path / "classes.txt")


def test_a_class_list(tmp_path: Path):
    path = tmp_path / "labels.txt"
    path.write_bytes("\ufeff__ignore__\r\n_background_\r\nbag\r\n\r\n".encode())
    assert read_class_list(path) == LabelSet.from_names(["_background_", "bag"])
    path.write_text("\n")
    with pytest.raises(DataError, match=r"labels\.txt: the class list is empty; expected at least one class"):
        read_class_list(path)


def save(path: Path, pixels: list[list[int]]) -> Path:
    Image.fromarray(np.array(pixels, np.uint8 if max(map(max, pixels)) < 256 else np.uint16)).save(path)
    return path


def test_ids_of_grey_masks(tmp_path: Path):
    masks = [save(tmp_path / "a.png", [[0, 2]]), save(tmp_path / "b.png", [[1, 255]])]
    assert infer_labels(masks) == LabelSet.from_names(["class_0", "class_1", "class_2"])


def test_a_palette_keeps_its_colours(tmp_path: Path):
    labels = LabelSet(("a", "b", "c"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)))
    write_mask(tmp_path / "a.png", np.array([[0, 2, 1, 255]], np.uint8), labels)
    inferred = infer_labels([tmp_path / "a.png"])
    assert inferred.colors == labels.colors
    assert inferred.names == ("class_0", "class_1", "class_2")


def test_a_palette_without_distinct_colours_is_passed_over(tmp_path: Path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([9, 9, 9] * 3)
    image.save(tmp_path / "a.png")
    assert infer_labels([tmp_path / "a.png"]).colors == (voc_color(0), voc_color(1), voc_color(2))


def test_masks_that_cannot_tell_their_classes(tmp_path: Path):
    Image.new("RGB", (2, 2)).save(tmp_path / "rgb.png")
    with pytest.raises(DataError) as caught:
        infer_labels([tmp_path / "rgb.png"])
    assert str(caught.value) == (
        f"{tmp_path / 'rgb.png'}: is colour-coded, and nothing says which colour is which class; expected a "
        "dataset.yaml in the data set's folder, for example: classes: [{name: background, color: [0, 0, 0]}, "
        "{name: road, color: [128, 64, 128]}]"
    )
    with pytest.raises(
        DataError, match=r"hold id 0 alone \(255 is void\); expected at least two classes; a mask of two"
    ):
        infer_labels([save(tmp_path / "binary.png", [[0, 255]])])
    with pytest.raises(
        DataError, match=r"wide\.png: holds id 300; expected 0\.\.255; merge classes or mend the mask"
    ):
        infer_labels([save(tmp_path / "wide.png", [[0, 300]])])


def test_masks_extra_channels_and_heads(tmp_path: Path):
    text = """
classes: [background, bag]
masks: {dark: bag, light: background}
extra: {folder: hha, channels: 3}
heads:
  - {name: geometric, masks: masks_geometric, classes: [sky, {name: ground, color: [1, 2, 3]}], ignore: [0, 7]}
"""
    description = read_description(write(tmp_path, text))
    assert description.shades() == Shades(dark=1, light=0)
    assert description.extra is not None
    assert description.extra.form() == ExtraFormat(channels=3, range=None)
    (head,) = description.further_heads()
    assert head.name == "geometric"
    assert head.labels == LabelSet(("sky", "ground"), ((0, 0, 0), (1, 2, 3)), (0, 7))
    plain = read_description(write(tmp_path, "classes: [a]\nextra: {folder: depth, range: [0.5, 1e4]}"))
    assert plain.shades() is None
    assert plain.further_heads() == ()
    assert plain.extra is not None
    assert plain.extra.form() == ExtraFormat(channels=1, range=(0.5, 10000.0))


HEAD = "{name: a, masks: m, classes: [c]}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "masks: {dark: bag}",
            "masks.light: Field required; expected e.g. masks: {dark: bag, light: background}",
        ),
        (
            "masks: {dark: bag, light: sky}",
            "masks: got dark 'bag' and light 'sky'; expected the data set's two classes, and it has 'background', 'bag'; "
            "correct the names",
        ),
        (
            "masks: {dark: bag, light: bag}",
            "masks: got dark 'bag' and light 'bag'; expected the data set's two",
        ),
        (
            "extra: {range: [0, 9]}",
            "extra.folder: Field required; expected e.g. extra: {folder: depth, range",
        ),
        (
            "extra: {folder: d, range: [9, 9]}",
            "extra: Value error, got range [9.0, 9.0], expected two different",
        ),
        ("extra: {folder: d, range: [0, .inf]}", "extra.range.1: Input should be a finite number; expected"),
        ("extra: {folder: d, channels: 2}", "extra.channels: Input should be 1 or 3; expected e.g. extra: {"),
        (
            "heads: [{name: a, classes: [c]}]",
            "heads.0.masks: Field required; expected e.g. heads: [{name: geometric",
        ),
        (f"heads: [{HEAD}, {HEAD}]", "heads: name a is given twice; expected each once"),
        ("heads: [{name: a, masks: m, classes: [c, c]}]", "class name c is given twice; expected each once"),
    ],
)
def test_faults_beyond_the_classes(tmp_path: Path, text, message):
    path = write(tmp_path, f"classes: [background, bag]\n{text}\n")
    with pytest.raises(DataError) as caught:
        read_description(path)
    assert str(caught.value).startswith(f"{path}: {message}")
    assert "\n" not in str(caught.value)


def test_brightness_tells_two_classes_apart_and_no_more(tmp_path: Path):
    path = write(tmp_path, "classes: [a, b, c]\nmasks: {dark: a, light: b}")
    with pytest.raises(
        DataError, match="expected the data set's two classes, and it has 'a', 'b', 'c'; correct"
    ):
        read_description(path)
