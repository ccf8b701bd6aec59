"""What is written into dataset.yaml is what is read from it."""

from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.classes import read_description
from fullconv.data.descriptions import description_text
from fullconv.labels import CAMVID, CITYSCAPES, VOC, LabelSet

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_the_classes_that_come_with_the_package(tmp_path):
    for labels in (VOC, CAMVID, CITYSCAPES):
        path = tmp_path / "dataset.yaml"
        path.write_text(description_text("some set", labels), "utf-8")
        description = read_description(path)
        assert description.labels() == labels
        assert description.name == "some set"


@given(NAMES, st.lists(NAMES, min_size=1, max_size=4, unique=True), st.lists(st.integers(0, 300), max_size=2))
def test_any_name(tmp_path_factory, name, names, ignored):
    labels = LabelSet(tuple(names), LabelSet.from_names(names).colors, tuple(ignored))
    path = tmp_path_factory.getbasetemp() / "dataset.yaml"
    path.write_text(description_text(name, labels), "utf-8")
    description = read_description(path)
    assert (description.name, description.labels()) == (name, labels)


def test_names_that_yaml_takes_for_something_else(tmp_path):
    labels = LabelSet.from_names(["no", "1.5", "null", "a: b", "[x]", "'"])
    path = tmp_path / "dataset.yaml"
    path.write_text(description_text("yes", labels), "utf-8")
    assert read_description(path).labels() == labels
