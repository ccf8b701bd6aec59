"""Classes by name: where background, void and colours come from."""

from pathlib import Path

import pytest

from fullconv.data.named_classes import hex_color, id_elsewhere, id_of, named_labels
from fullconv.errors import DataError
from fullconv.labels import LabelSet


def test_background_is_added_in_front(tmp_path: Path):
    assert named_labels(tmp_path, ["cat", "dog"], "a.json").names == ("background", "cat", "dog")
    assert named_labels(tmp_path, ["cat", "dog"], "a.json", with_background=False).names == ("cat", "dog")


@pytest.mark.parametrize("name", ["background", "_background_", "Background", "__background__"])
def test_a_background_that_is_there_stays_where_it_is(tmp_path: Path, name):
    labels = named_labels(tmp_path, ["cat", name], "a.json")
    assert labels.names == ("cat", name)
    assert id_elsewhere(labels) == 1


@pytest.mark.parametrize("name", ["ignore", "__ignore__", "Void"])
def test_void_is_no_class(tmp_path: Path, name):
    labels = named_labels(tmp_path, ["cat", name], "a.json")
    assert labels.names == ("background", "cat")
    assert id_of(name, labels, "a.json") == 255


def test_dataset_yaml_goes_first(tmp_path: Path):
    (tmp_path / "dataset.yaml").write_text("classes: [{name: dog, color: [1, 2, 3]}, ignore]\n")
    labels = named_labels(tmp_path, ["cat", "dog", "dog"], "a.json")
    assert labels.names == ("dog", "ignore")
    assert labels.colors[0] == (1, 2, 3)
    assert id_of("ignore", labels, "a.json") == 1
    assert id_elsewhere(labels) == 255


def test_a_list_of_names_goes_before_the_file(tmp_path: Path):
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\ndog\ncat\n")
    assert named_labels(tmp_path, ["cat", "dog"], "a.json").names == ("_background_", "dog", "cat")


def test_colors(tmp_path: Path):
    given = {"cat": (9, 9, 9), "dog": (9, 9, 9), "cow": (0, 0, 0)}
    labels = named_labels(tmp_path, ["cat", "dog", "cow"], "a.json", given)
    assert labels.colors[:2] == ((0, 0, 0), (9, 9, 9))
    assert len(set(labels.colors)) == 4
    assert named_labels(tmp_path, ["background"], "a.json", {"background": (5, 6, 7)}).num_classes == 1
    assert (hex_color("#01fF00"), hex_color("#12345"), hex_color(None)) == ((1, 255, 0), None, None)


@pytest.mark.parametrize(
    ("names", "complaint"),
    [
        (["cat", "cat"], "^a.json: class name 'cat' is given twice; expected each once; rename one"),
        (
            [f"c{i}" for i in range(255)],
            "^a.json: got 256 classes; expected 1 to 255 with names; merge some of them",
        ),
        ([""], "^a.json: got a class without name; expected 1 to 255"),
    ],
)
def test_names_that_make_no_classes(tmp_path: Path, names, complaint):
    with pytest.raises(DataError, match=complaint):
        named_labels(tmp_path, names, "a.json")


def test_ids_by_name():
    labels = LabelSet(("sky", "car", "old"), ((1, 1, 1), (2, 2, 2), (3, 3, 3)), ignore_ids=(2,))
    assert [id_of(name, labels, "x") for name in ("sky", "car", "old", "ignore")] == [0, 1, 255, 255]
    assert id_of("background", labels, "x") == 255  # drawn, but no class: as what no shape covers
    assert id_of("_background_", LabelSet.from_names(["car", "background"]), "x") == 1
    with pytest.raises(
        DataError, match=r"^a.json: shapes\[1\]: got class 'cat', expected one of sky, car, old; correct the"
    ):
        id_of("cat", labels, "a.json: shapes[1]")
