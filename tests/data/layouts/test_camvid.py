"""CamVid in its three forms: SegNet's, and Cambridge's colours with all classes or in 11 groups."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import camvid, camvid32
from fullconv.data.layouts.camvid_raw import GROUP_OF, split_of
from fullconv.data.samples import read_sample
from fullconv.errors import DataError
from fullconv.labels import CAMVID

COLORS = {
    "Sky": (128, 128, 128),
    "Bridge": (0, 128, 64),
    "Void": (0, 0, 0),
    "Child": (192, 128, 64),
    "Car": (64, 0, 128),
}
"""Some of Cambridge's colours, as its label_colors.txt has them."""


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def make_segnet(root: Path) -> Path:
    for split, names in {"train": ["a", "b"], "val": ["c"], "test": ["d"]}.items():
        lines = []
        for name in names:
            save(root / split / f"{name}.png", np.zeros((3, 4, 3), np.uint8))
            save(root / f"{split}annot" / f"{name}.png", np.arange(12, dtype=np.uint8).reshape(3, 4))
            lines.append(f"/SegNet/CamVid/{split}/{name}.png /SegNet/CamVid/{split}annot/{name}.png")
        (root / f"{split}.txt").write_text("\n".join(reversed(lines)) + "\n")
    return root


@pytest.mark.parametrize("place", [".", "CamVid"])
def test_segnets_camvid(tmp_path: Path, place):
    make_segnet(tmp_path / place)
    dataset = open_dataset(tmp_path)
    assert (dataset.layout_name, dataset.labels) == ("camvid", CAMVID)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["b", "a"],
        "val": ["c"],
        "test": ["d"],
    }
    label_map = read_sample(dataset.split("val")[0], dataset.labels)[1]
    assert label_map.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 255]]


def test_segnets_camvid_without_lists(tmp_path: Path):
    make_segnet(tmp_path)
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    shutil.rmtree(tmp_path / "testannot")
    assert {split: len(samples) for split, samples in open_dataset(tmp_path).splits.items()} == {
        "train": 2,
        "val": 1,
    }
    shutil.rmtree(tmp_path / "valannot")
    shutil.rmtree(tmp_path / "train")
    (tmp_path / "train").mkdir()
    with pytest.raises(DataError, match="holds no pairs; expected train/, trainannot/"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not SegNet's CamVid; expected train/"):
        camvid.read(tmp_path / "train")


def test_other_sets_in_the_form_of_segnets(tmp_path: Path):
    for name, pixels in (
        ("train", np.zeros((1, 2, 3), np.uint8)),
        ("trainannot", np.array([[[9, 9, 9], [0, 0, 0]]], np.uint8)),
    ):
        save(tmp_path / name / "a.png", pixels)
    (tmp_path / "label_colors.txt").write_text("0 0 0 background\n9 9 9 bag\n")
    dataset = open_dataset(tmp_path)
    assert (dataset.layout_name, dataset.labels.names) == ("nested", ("background", "bag"))
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[1, 0]]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "train/a.png",
            "line 1 is 'train/a.png'; expected a picture's path and its mask's, with a blank between",
        ),
        (
            "x/../../a.png trainannot/a.png",
            "line 1 is 'x/../../a.png trainannot/a.png'; expected a picture's",
        ),
        (
            "/S/train/z.png /S/trainannot/a.png",
            "line 1 names {}/train/z.png, which is not there; unpack the set",
        ),
    ],
)
def test_lists_of_segnet_that_are_not_understood(tmp_path: Path, line, message):
    make_segnet(tmp_path)
    (tmp_path / "train.txt").write_text(line)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path}/train.txt: {message.format(tmp_path)}")


def make_raw(root: Path, names: list[str], kaggle: bool = False) -> Path:
    colors = np.array([list(COLORS.values())], np.uint8)
    for name in names:
        pictures, masks = (
            ("train", "train_labels") if kaggle else ("701_StillsRaw_full", "LabeledApproved_full")
        )
        save(root / pictures / f"{name}.png", np.zeros((1, 5, 3), np.uint8))
        save(root / masks / f"{name}_L.png", colors)
    return root


@pytest.mark.parametrize("place", [".", "CamVid"])
def test_colours_with_the_classes_that_are_built_in(tmp_path: Path, place):
    make_raw(tmp_path / place, ["0006R0_f00930", "0016E5_07959", "Seq05VD_f00000"])
    dataset = open_dataset(tmp_path)
    assert (dataset.layout_name, dataset.labels.num_classes) == ("camvid32", 31)
    assert {split: len(samples) for split, samples in dataset.splits.items()} == {
        "train": 1,
        "val": 1,
        "test": 1,
    }
    label_map = read_sample(dataset.split("train")[0], dataset.labels)[1][0]
    names = [dataset.labels.names[index] if index != 255 else "Void" for index in label_map]
    assert names == list(COLORS)


@pytest.mark.parametrize("by", ["name", "dataset.yaml"])
def test_the_11_groups(tmp_path: Path, by):
    make_raw(tmp_path, ["0006R0_f00930"])
    if by == "dataset.yaml":
        (tmp_path / "dataset.yaml").write_text("layout: camvid11\n")
    dataset = open_dataset(tmp_path if by == "dataset.yaml" else f"camvid11:{tmp_path}")
    assert dataset.labels == CAMVID
    label_map = read_sample(dataset.split("train")[0], dataset.labels)[1][0].tolist()
    names = [CAMVID.names[index] if index != 255 else "void" for index in label_map]
    assert names == ["sky", "building", "void", "pedestrian", "car"]


def test_every_class_has_its_group():
    assert len(GROUP_OF) == 31  # of Cambridge's 32 names all but Void
    assert set(GROUP_OF.values()) == set(range(11))


@pytest.mark.parametrize("listed", ["label_colors.txt", "class_dict.csv"])
def test_colours_of_a_list(tmp_path: Path, listed):
    make_raw(tmp_path, ["0006R0_f00930"], kaggle=True)
    if listed == "class_dict.csv":
        lines = ["name,r,g,b", *(f"{name},{','.join(map(str, color))}" for name, color in COLORS.items())]
    else:
        lines = [f"{' '.join(map(str, color))}\t{name}" for name, color in COLORS.items()]
    (tmp_path / listed).write_text("\n".join(lines))
    dataset = open_dataset(tmp_path)
    assert dataset.layout == "CamVid with 4 classes from colours"
    assert dataset.labels.names == ("Sky", "Bridge", "Child", "Car")
    assert read_sample(dataset.split("train")[0], dataset.labels)[1].tolist() == [[0, 1, 255, 2, 3]]


def test_a_class_of_no_group_can_be_read_alone(tmp_path: Path):
    make_raw(tmp_path, ["a"])
    (tmp_path / "label_colors.txt").write_text("1 2 3 Tram\n0 0 0 Void\n")
    assert open_dataset(tmp_path).labels.names == ("Tram",)
    with pytest.raises(
        DataError, match=r"label_colors\.txt: 'Tram' belongs to none of the 11 groups; read it with its own"
    ):
        open_dataset(tmp_path, "camvid11")


def test_nothing_that_fits(tmp_path: Path):
    make_raw(tmp_path, ["a"])
    (tmp_path / "LabeledApproved_full" / "a_L.png").unlink()
    with pytest.raises(DataError, match=r"no picture has a mask; expected X\.png and X_L\.png in 701"):
        open_dataset(tmp_path)
    with pytest.raises(DataError, match="is not Cambridge's CamVid; expected 701_StillsRaw_full/"):
        camvid32.read(tmp_path / "LabeledApproved_full")


def test_splits_are_segnets(real_data: Path):
    for split in ("train", "val"):
        names = (real_data / "camvid" / f"{split}.txt").read_text().split()
        assert {split_of(Path(name).stem) for name in names} == {split}
