"""Whatever keeps a data set from being opened is told, and all that is sound beside it is still there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.doctor.survey import is_learnt, is_measured, survey, without_doubles
from fullconv.data.masks import write_mask
from fullconv.errors import InputError
from fullconv.labels import LabelSet

BAG = LabelSet.from_names(["background", "bag"])
YAML = "classes: [background, bag]\n"


def add_pair(root: Path, name: str, split: str = ".") -> None:
    for folder in ("images", "masks"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), (name.__hash__() % 200, 9, 9)).save(root / "images" / split / f"{name}.png")
    write_mask(root / "masks" / split / f"{name}.png", np.array([[0, 1, 255, 0]] * 3, np.uint8), BAG)


@pytest.fixture
def twin(tmp_path: Path) -> Path:
    for split, names in {"train": "abc", "val": "de"}.items():
        for name in names:
            add_pair(tmp_path, name, split)
    (tmp_path / "dataset.yaml").write_text(YAML)
    return tmp_path


def codes(folder: Path | str) -> list[str]:
    """As a user meets them: what keeps it from being opened is never overlooked."""
    found = [each.code for each in survey(folder).findings]
    try:
        open_dataset(folder)
    except InputError:
        assert found
    return found


def names(folder: Path) -> dict[str, list[str]]:
    dataset = survey(folder).dataset
    assert dataset is not None
    return {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()}


def test_a_sound_set(twin: Path):
    surveyed = survey(twin)
    assert surveyed.findings == ()
    assert surveyed.dataset == open_dataset(twin)
    assert surveyed.knows_classes


def test_several_faults_at_once(twin: Path):
    (twin / "masks/train/a.png").unlink()
    (twin / "images/val/e.png").unlink()
    (twin / "images/train/b.jpg").write_bytes((twin / "images/train/c.png").read_bytes())
    (twin / "images/val/film.mp4").write_bytes(b"")
    found = {each.code: each for each in survey(twin).findings}
    assert list(found) == ["name-doubled", "mask-missing", "picture-missing", "not-taken"]
    assert names(twin) == {"train": ["b", "c"], "val": ["d"]}
    assert [place.file for place in found["mask-missing"].places] == [str(twin / "images/train/a.png")]
    assert [place.file for place in found["picture-missing"].places] == [str(twin / "masks/val/e.png")]
    assert not found["name-doubled"].fixable  # it is another picture
    assert "and other pixels than" in found["name-doubled"].places[0].note


def test_two_names_of_one_picture_can_be_mended(twin: Path):
    Image.open(twin / "images/train/b.png").save(twin / "images/train/b.bmp")
    (found,) = survey(twin).findings
    assert found.fixable
    assert "holds the same pixels as" in found.places[0].note
    (twin / "images/train/b.bmp").write_bytes(b"")
    assert not survey(twin).findings[0].fixable


def test_lists(twin: Path):
    (twin / "train.txt").write_text("a\nb\nb\nmissing.png\nc\n")
    (twin / "val.txt").write_bytes(b"\xff\xfe")
    found = {each.code: each for each in survey(twin).findings}
    assert list(found) == ["list-unreadable", "listed-missing", "listed-twice"]
    assert found["listed-missing"].places[0].file == f"{twin / 'train.txt'}: missing"
    assert found["listed-twice"].places[0].note == "'b' 2 times"
    assert names(twin) == {"train": ["a", "b", "c"], "val": ["d", "e"]}  # the folder stands in for the list
    (twin / "val.txt").write_text("\n\n")
    assert "list-unreadable" in codes(twin)


def test_lists_that_overlap(tmp_path: Path):
    for name in "abcd":
        add_pair(tmp_path, name)
    (tmp_path / "dataset.yaml").write_text(YAML)
    (tmp_path / "train.txt").write_text("a\nb\n")
    (tmp_path / "trainval.txt").write_text("a\nb\nc\nd\n")
    (tmp_path / "val.txt").write_text("c\nd\n")
    assert codes(tmp_path) == []  # trainval is no slip
    (tmp_path / "val.txt").write_text("b\nc\nd\n")
    (found,) = survey(tmp_path).findings
    assert (found.code, found.severity, len(found.places)) == ("in-two-splits", "harms", 1)
    (tmp_path / "val.txt").unlink()
    assert codes(tmp_path) == ["split-missing"]


def test_broken_descriptions(twin: Path):
    for text in ("classes: [", "classes: []", "classes: [a, a]", "clases: [a, b]", "[]", "\0"):
        (twin / "dataset.yaml").write_text(text)
        surveyed = survey(twin)
        assert [each.code for each in surveyed.findings] == ["description"]
        assert not surveyed.knows_classes
        assert names(twin) == {"train": ["a", "b", "c"], "val": ["d", "e"]}
    (twin / "dataset.yaml").unlink()
    (twin / "classes.txt").write_bytes(b"\xff")
    assert codes(twin) == ["description"]


def test_masks_that_nothing_describes(twin: Path):
    (twin / "dataset.yaml").unlink()
    assert codes(twin) == []
    assert survey(twin).knows_classes  # they are the ids
    for path in twin.glob("masks/*/*.png"):
        Image.open(path).convert("RGB").save(path)
    (found,) = survey(twin).findings
    assert (found.code, len(found.places)) == ("no-classes", 5)
    assert not survey(twin).knows_classes


def test_one_broken_mask_does_not_hide_the_others_classes(twin: Path):
    (twin / "dataset.yaml").unlink()
    (twin / "masks/train/a.png").write_bytes(b"")
    surveyed = survey(twin)
    assert surveyed.dataset is not None
    assert surveyed.dataset.labels.num_classes == 2
    assert surveyed.findings == ()  # found when it is read
    for path in twin.glob("masks/*/*.png"):
        write_mask(path, np.zeros((3, 4), np.uint8), BAG)
    assert codes(twin) == ["one-class"]


def test_black_and_white_masks_stay_so_with_a_broken_one_among_them(twin: Path):
    (twin / "dataset.yaml").unlink()
    for path in twin.glob("masks/*/*.png"):
        Image.fromarray(np.array([[0, 255, 255, 0]] * 3, np.uint8)).save(path)
    (twin / "masks/train/b.png").write_bytes(b"")
    dataset = survey(twin).dataset
    assert dataset is not None
    assert dataset.labels.names == ("background", "foreground")


def test_companions(twin: Path):
    (twin / "dataset.yaml").write_text(YAML + "extra: {folder: depth}\n")
    assert codes(twin) == ["companion-missing"]
    (twin / "depth" / "train").mkdir(parents=True)
    (twin / "depth" / "val").mkdir()
    for split, name in (("train", "a"), ("train", "b"), ("val", "d"), ("val", "e")):
        Image.new("L", (4, 3)).save(twin / "depth" / split / f"{name}.png")
    (found,) = survey(twin).findings
    assert [place.file for place in found.places] == [str(twin / "images/train/c.png")]
    assert names(twin) == {"train": ["a", "b"], "val": ["d", "e"]}


def test_what_is_no_data_set(tmp_path: Path):
    (tmp_path / "file.txt").write_text("")
    for folder in (
        tmp_path / "nothing",
        tmp_path / "file.txt",
        tmp_path,
        f"coco:{tmp_path}",
        f"xyz:{tmp_path}",
    ):
        surveyed = survey(folder)
        assert [each.code for each in surveyed.findings] == ["layout"]
        assert surveyed.dataset is None
        assert surveyed.findings[0].places[0].note
    (tmp_path / "images").mkdir()
    assert "masks/ is not" in survey(tmp_path).findings[0].places[0].note
    (tmp_path / "masks").mkdir()
    assert [each.code for each in survey(tmp_path).findings] == ["layout"]


def test_pictures_without_any_mask(twin: Path):
    for path in twin.glob("masks/*/*.png"):
        path.unlink()
    (found,) = survey(twin).findings
    assert (found.code, len(found.places)) == ("mask-missing", 5)


def test_another_layout_is_opened_or_told(tmp_path: Path):
    """dataset.yaml names a layout of shapes: two folders of the usual names are not taken for pictures and masks."""
    add_pair(tmp_path, "a")
    (tmp_path / "dataset.yaml").write_text("layout: siftflow\n")
    assert [each.code for each in survey(tmp_path).findings] == ["layout"]


@pytest.mark.parametrize(
    ("split", "learnt", "measured"),
    [
        ("train", True, False),
        ("train_sbd", True, False),
        ("trainval", False, False),
        ("val", False, True),
        ("test", False, True),
    ],
)
def test_what_splits_are_for(split, learnt, measured):
    assert (is_learnt(split), is_measured(split)) == (learnt, measured)


def test_each_sample_once(tmp_path: Path):
    for name in "abcde":
        add_pair(tmp_path, name)
    for split, names in {"train": "abc", "train_small": "a", "val": "de"}.items():
        (tmp_path / f"{split}.txt").write_text("\n".join(names))
    samples, splits = without_doubles(open_dataset(tmp_path))
    assert len(samples) == 5
    assert {split: [samples[index].name for index in members] for split, members in splits.items()} == {
        "train": ["a", "b", "c"],
        "train_small": ["a"],
        "val": ["d", "e"],
    }
