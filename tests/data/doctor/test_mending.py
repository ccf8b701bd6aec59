"""Mending goes into a new folder, whole or not at all, and changes what it says and nothing else."""

import hashlib
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.doctor import mending
from fullconv.data.doctor.diagnosis import diagnose
from fullconv.data.doctor.mending import mend
from fullconv.data.faults.planting import plant
from fullconv.data.masks import read_mask, write_mask
from fullconv.data.scenes import SCENES, draw_scene, write_scenes
from fullconv.errors import DataError, StorageError, UnknownNameError
from fullconv.labels import LabelSet

BAG = LabelSet.from_names(["background", "bag"])


def content(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def add_pair(root: Path, name: str, split: str = ".", shape: tuple[int, int] = (72, 96)) -> None:
    """A scene of its own for each name; 1 where there is any thing."""
    picture, label_map = draw_scene(1, int.from_bytes(name.encode()), shape)
    for folder in ("images", "masks"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(root / "images" / split / f"{name}.png")
    write_mask(root / "masks" / split / f"{name}.png", np.uint8(label_map % 255 > 0), BAG)  # pyright: ignore


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "scenes", 6, 3, size_hw=(72, 96))


def test_only_what_is_faulty_changes(scenes: Path, tmp_path: Path):
    plant(scenes, ["mask-jpeg", "empty-file"])
    before = content(scenes)
    mended = mend(diagnose(scenes), tmp_path / "mended", progress=lambda done, total: None)
    after = content(mended.folder)
    assert content(scenes) == before
    assert mended.folder == tmp_path / "mended"
    masks, pictures = "VOCdevkit/VOC2012/SegmentationClass", "VOCdevkit/VOC2012/JPEGImages"
    gone = {
        f"{folder}/train_000{index}.{end}"
        for folder, end in ((pictures, "jpg"), (masks, "png"))
        for index in (3, 4)
    }
    gone |= {f"{masks}/train_000{index}.jpg" for index in (0, 1)}
    assert before.keys() - after.keys() == gone & before.keys()
    assert after.keys() - before.keys() == {f"{masks}/train_000{index}.png" for index in (0, 1)}
    changed = {path for path in before.keys() & after.keys() if before[path] != after[path]}
    assert changed == {f"{masks}/train_0002.png", "VOCdevkit/VOC2012/ImageSets/Segmentation/train.txt"}
    assert [line.split(":")[0] for line in mended.lines()] == ["empty-file", "mask-jpeg"]
    assert [sample.name for sample in open_dataset(mended.folder).split("train")] == [
        f"train_000{index}" for index in (0, 1, 2, 5)
    ]


def test_a_sound_set_is_copied(scenes: Path, tmp_path: Path):
    mended = mend(diagnose(scenes), tmp_path / "mended")
    assert mended.done == {}
    assert content(mended.folder) == content(scenes)


@pytest.mark.parametrize("where", ["scenes", "scenes/inside", "."])
def test_never_in_place(scenes: Path, tmp_path: Path, where):
    before = content(tmp_path)
    with pytest.raises(DataError, match=r"lies in .*, or around it; expected a folder apart"):
        mend(diagnose(scenes), tmp_path / where)
    assert content(tmp_path) == before


def test_a_folder_that_holds_something_is_left_alone(scenes: Path, tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is not empty"):
        mend(diagnose(scenes), tmp_path / "full")
    with pytest.raises(DataError, match="exists and is not empty"):
        mend(diagnose(scenes), tmp_path / "full" / "mine.txt")
    assert (tmp_path / "full" / "mine.txt").read_text() == "mine"


def test_faults_that_are_not_mended_cannot_be_asked_for(scenes: Path, tmp_path: Path):
    for code in ("mask-sizes", "mask-ids", "mask-jpeg"):
        with pytest.raises(UnknownNameError, match="unknown fault for --also"):
            mend(diagnose(scenes), tmp_path / "mended", [code])


def test_other_layouts_are_to_be_converted_first(tmp_path: Path):
    with pytest.raises(DataError, match="convert it first: fullconv data convert"):
        mend(diagnose(tmp_path), tmp_path.with_name("mended"))


def test_a_full_disk_leaves_nothing(scenes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    diagnosis = diagnose(scenes)
    monkeypatch.setattr(mending.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 9, 1))  # pyright: ignore
    with pytest.raises(StorageError, match="GB are free; choose another disk"):
        mend(diagnosis, tmp_path / "mended")
    monkeypatch.undo()

    def fail(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(mending.shutil, "copy2", fail)
    with pytest.raises(StorageError, match="No space left on device"):
        mend(diagnosis, tmp_path / "mended")
    assert [path.name for path in tmp_path.iterdir()] == ["scenes"]


def test_twin_trees_lose_files_where_there_are_no_lists(tmp_path: Path):
    root = tmp_path / "twin"
    for split, names in {"train": "abcd", "val": "xyz"}.items():
        for name in names:
            add_pair(root, name, split)
    (root / "dataset.yaml").write_text("classes: [background, bag]\n")
    for folder in ("images", "masks"):
        shutil.copy(root / folder / "val" / "x.png", root / folder / "train" / "e.png")
    (root / "masks/train/a.png").write_bytes(b"")
    mended = mend(diagnose(root), tmp_path / "mended")
    assert list(mended.done) == ["empty-file", "same-across"]
    dataset = open_dataset(mended.folder)
    assert {split: [sample.name for sample in samples] for split, samples in dataset.splits.items()} == {
        "train": ["b", "c", "d"],
        "val": ["x", "y", "z"],
    }
    assert diagnose(mended.folder).findings == ()


def test_a_split_that_the_names_choose_is_written_down(tmp_path: Path):
    root = tmp_path / "flat"
    for number in range(30):
        add_pair(root, f"{number:02d}")
    (root / "dataset.yaml").write_text("classes: [background, bag]\n")
    dataset = open_dataset(root)
    (root / "masks" / f"{dataset.split('val')[0].name}.png").write_bytes(b"?")
    mended = open_dataset(mend(diagnose(root), tmp_path / "mended").folder)
    assert {split: [sample.name for sample in samples] for split, samples in mended.splits.items()} == {
        "train": [sample.name for sample in dataset.split("train")],
        "val": [sample.name for sample in dataset.split("val")[1:]],
    }


def test_extra_channels_and_heads_go_with_their_sample(tmp_path: Path):
    root = write_scenes(tmp_path / "scenes", 4, 2, size_hw=(72, 96), depth=True, geometry=True)
    (root / "VOCdevkit/VOC2012/JPEGImages/train_0001.jpg").write_bytes(b"")
    mended = mend(diagnose(root), tmp_path / "mended").folder
    assert not list(mended.rglob("*train_0001*"))
    assert {each.severity for each in diagnose(mended).findings} <= {"information"}
    head = root / "VOCdevkit/VOC2012/SegmentationGeometry/train_0002.png"
    Image.fromarray(np.full((72, 96), 9, np.uint8)).save(head)
    (ruin, *_) = [each for each in diagnose(root).findings if each.severity == "ruins"]
    assert {place.file for each in diagnose(root).findings for place in each.places} >= {str(head)}
    assert ruin.severity == "ruins"


def test_void_pixels_survive_a_shift(tmp_path: Path):
    root = write_scenes(tmp_path / "scenes", 4, 2, size_hw=(72, 96))
    true = {sample.name: read_mask(sample.mask, SCENES) for sample in open_dataset(root).split("train")}
    plant(root, ["mask-from-one"])
    for sample in open_dataset(mend(diagnose(root), tmp_path / "mended").folder).split("train"):
        assert (read_mask(sample.mask, SCENES) == true[sample.name]).all()


def test_black_and_white_masks_stay_black_and_white(tmp_path: Path):
    root = tmp_path / "flat"
    for name in ("a", "b", "c"):
        add_pair(root, name)
        path = root / "masks" / f"{name}.png"
        grey = np.asarray(Image.open(path)) * np.uint8(255)
        Image.fromarray(grey[::2, ::2] if name == "b" else grey).save(path)
    mended = mend(diagnose(root), tmp_path / "mended", ["mask-size"])
    assert list(mended.done) == ["mask-size"]
    stored = np.asarray(Image.open(mended.folder / "masks/b.png"))
    assert stored.shape == (72, 96)
    assert set(np.unique(stored)) == {0, 255}
    assert diagnose(mended.folder).survey.dataset == open_dataset(mended.folder)


def test_masks_of_other_proportions_stay(tmp_path: Path):
    root = tmp_path / "flat"
    for name in ("a", "b", "c"):
        add_pair(root, name)
    (root / "dataset.yaml").write_text("classes: [background, bag]\n")
    write_mask(root / "masks/b.png", np.eye(50, 96, dtype=np.uint8), BAG)
    mended = mend(diagnose(root), tmp_path / "mended", ["mask-size"])
    assert mended.done == {}
    assert [each.code for each in diagnose(mended.folder).findings if each.severity == "ruins"] == [
        "mask-size"
    ]
