"""Data sets in every form and back: nothing is lost, or what is lost is told."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.convert import FORMS, WITH_POLYGONS, convert
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.masks import write_mask
from fullconv.data.samples import Sample, read_sample
from fullconv.data.scenes import write_scenes
from fullconv.data.sources import Member
from fullconv.data.writing.items import Style
from fullconv.errors import ConfigError, DataError, UnknownNameError
from fullconv.labels import LabelSet

pytest.importorskip("pycocotools")
pytest.importorskip("defusedxml")

WITH_BACKGROUND = LabelSet.from_names(["background", "cat", "dög & co"])
WITHOUT = LabelSet(("sky", "road", "car"), ((1, 2, 3), (4, 5, 6), (7, 8, 9)))
LATER = LabelSet.from_names(
    ["road", "background", "ignore"]
)  # the background is not first, and ignore is a class

LOSSLESS = [
    *((form, Style()) for form in FORMS if form != "yolo"),
    ("coco", Style(polygons=True)),
    ("labelme", Style(polygons=True)),
]
WAYS = [
    pytest.param(form, style, id=f"{form}-polygons" if style.polygons else form) for form, style in LOSSLESS
]


@st.composite
def label_maps(draw):
    """Label maps of odd sizes with noise, blocks, thin lines, holes, islands of one pixel and void."""
    height, width = draw(st.integers(1, 13)), draw(st.integers(1, 13))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    ids = [0, 1, 2, 255]
    label_map = rng.choice(ids, (height, width), p=rng.dirichlet([0.6] * 4)).astype(np.uint8)
    if draw(st.booleans()):
        label_map = np.kron(label_map, np.ones((3, 2), np.uint8))
    if draw(st.booleans()):
        label_map[label_map.shape[0] // 2] = draw(st.sampled_from(ids))
    return label_map


def make(root: Path, maps: dict[str, dict[str, np.ndarray]], labels: LabelSet) -> Dataset:
    """Twin trees; the pictures are as large as the masks, and no two alike."""
    for split, by_name in maps.items():
        for name, label_map in by_name.items():
            path = root / "images" / split / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", label_map.shape[::-1], (len(name), sum(map(ord, split)) % 256, 7)).save(path)
            write_mask(root / "masks" / split / f"{name}.png", label_map, labels)
    lines = [
        f"  - {{name: '{n}', color: {list(c)}}}" for n, c in zip(labels.names, labels.colors, strict=True)
    ]
    (root / "dataset.yaml").write_text("\n".join(["name: tiny", "classes:", *lines]), "utf-8")
    return open_dataset(root)


@pytest.mark.parametrize(("form", "style"), WAYS)
@settings(max_examples=6)
@given(
    st.lists(label_maps(), min_size=3, max_size=3),
    st.sampled_from([WITH_BACKGROUND, WITHOUT, LATER]),
)
def test_there_and_back(tmp_path_factory, form, style, maps, labels):
    root = tmp_path_factory.mktemp("sets")
    dataset = make(root / "old", {"train": {"a": maps[0], "b.1": maps[1]}, "val": {"a": maps[2]}}, labels)
    done = convert(dataset, root / "new", form, style)
    assert (done.changed, done.mean_iou, done.pixels) == (0, 1.0, sum(map(np.size, maps)))
    new = open_dataset(root / "new")
    assert (new.name, new.layout_name) == ("tiny", form)
    assert (new.labels.names, new.labels.colors) == (labels.names, labels.colors)
    names = {"train": ["a", "b.1"], "val": ["val_a"]}  # a name is there once in the whole set
    assert {split: [sample.name for sample in samples] for split, samples in new.splits.items()} == names
    for split, samples in dataset.splits.items():
        for old, name in zip(samples, names[split], strict=True):
            sample = next(sample for sample in new.split(split) if sample.name == name)
            assert (read_sample(sample, new.labels)[1] == read_sample(old, labels)[1]).all()
            assert isinstance(sample.picture, Path)
            assert isinstance(old.picture, Path)
            assert sample.picture.read_bytes() == old.picture.read_bytes()


@settings(max_examples=10)
@given(label_maps(), st.sampled_from([WITH_BACKGROUND, WITHOUT]))
def test_yolo_loses_void_to_the_background_alone(tmp_path_factory, label_map, labels):
    root = tmp_path_factory.mktemp("sets")
    dataset = make(root / "old", {"train": {"a": label_map}}, labels)
    done = convert(dataset, root / "new", "yolo")
    expected = np.where(label_map == 255, 0, label_map) if labels is WITH_BACKGROUND else label_map
    new = open_dataset(root / "new")
    assert (read_sample(new.split("train")[0], new.labels)[1] == expected).all()
    assert done.changed == (expected != label_map).sum() == done.void_lost
    assert done.mean_iou == 1.0


@pytest.mark.parametrize("form", WITH_POLYGONS)
def test_the_loss_of_simplified_polygons_is_measured(tmp_path: Path, form):
    dataset = open_dataset(write_scenes(tmp_path / "old", num_train=1, num_val=1))
    done = convert(dataset, tmp_path / "new", form, Style(polygons=True, tolerance=2.0))
    new = open_dataset(tmp_path / "new")
    pairs = [
        (read_sample(old, dataset.labels)[1], read_sample(new_sample, new.labels)[1])
        for split in ("train", "val")
        for old, new_sample in zip(dataset.split(split), new.split(split), strict=True)
    ]
    olds, news = (np.concatenate([pair[i].ravel() for pair in pairs]) for i in (0, 1))
    assert done.changed == (olds != news).sum() > 0
    assert done.pixels == olds.size
    ious = []
    for index in range(dataset.labels.num_classes):
        old, new_ = (olds == index), (news == index) & (olds != 255)
        if (old | new_).any():
            ious.append((old & new_).sum() / (old | new_).sum())
    assert done.mean_iou == pytest.approx(np.mean(ious))
    assert 0.8 < done.mean_iou < 1


def test_a_picture_in_several_splits_is_written_once(tmp_path: Path):
    make(
        tmp_path / "old",
        {"x": {"a": np.zeros((2, 2), np.uint8), "b": np.ones((2, 2), np.uint8)}},
        WITH_BACKGROUND,
    )
    found = open_dataset(tmp_path / "old")
    samples = found.split("x")
    splits = {"train": samples[:1], "val": samples[1:], "trainval": samples}
    dataset = Dataset("d", found.root, "", found.labels, splits)
    for form in FORMS:
        convert(dataset, tmp_path / form, form)
        new = open_dataset(tmp_path / form)
        names = {split: [sample.name for sample in many] for split, many in new.splits.items()}
        assert names == {"train": ["a"], "val": ["b"], "trainval": ["a", "b"]}
        inodes = {os.stat(str(sample.picture)).st_ino for many in new.splits.values() for sample in many}
        assert len(inodes) == 2


@pytest.mark.parametrize("form", FORMS)
def test_splits_and_classes_of_any_name(tmp_path: Path, form):
    labels = LabelSet.from_names(["_background_", "background", "ignore", "void", "_ignore_"])
    maps = {"everything": {"a": np.array([[0, 1, 2, 3, 4]], np.uint8)}}
    assert convert(make(tmp_path / "old", maps, labels), tmp_path / "new", form).changed == 0
    assert list(open_dataset(tmp_path / "new").splits) == ["everything"]


def test_pictures_are_linked_where_asked(tmp_path: Path):
    dataset = make(tmp_path / "old", {"train": {"a": np.zeros((2, 2), np.uint8)}}, WITH_BACKGROUND)
    old = dataset.split("train")[0].picture
    for link in (False, True):
        convert(dataset, tmp_path / f"{link}", "coco", link=link)
        assert (tmp_path / f"{link}/train/a.png").samefile(str(old)) == link


def test_pictures_are_copied_where_links_cannot_be(tmp_path: Path, monkeypatch):
    dataset = make(tmp_path / "old", {"train": {"a": np.zeros((2, 2), np.uint8)}}, WITH_BACKGROUND)
    samples = dataset.split("train")
    dataset = Dataset("d", dataset.root, "", dataset.labels, {"train": samples, "val": samples})

    def fail(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(os, "link", fail)
    convert(dataset, tmp_path / "new", "twin", link=True)
    assert (tmp_path / "new/images/val/a.png").read_bytes() == (
        tmp_path / "old/images/train/a.png"
    ).read_bytes()


def test_packed_pictures_and_odd_names(tmp_path: Path):
    label_map = np.array([[0, 1]], np.uint8)
    dataset = make(tmp_path / "old", {"train": {"a": label_map}}, WITH_BACKGROUND)
    sample = dataset.split("train")[0]
    Image.new("RGB", (2, 1)).save(tmp_path / "x.jpg")
    packed = Member(tmp_path / "x.jpg", "x", 0, (tmp_path / "x.jpg").stat().st_size)
    samples = (
        Sample("../a:b", packed, sample.mask),
        Sample("..", sample.picture, sample.mask),
        Sample("Ab", sample.picture, tmp_path / "old/masks/train/./a.png"),
        Sample("aB", packed, tmp_path / "old/masks/train/a.png"),
    )
    odd = Dataset("d", dataset.root, "", dataset.labels, {"train": samples})
    convert(odd, tmp_path / "new", "yolo")
    files = sorted(path.name for path in (tmp_path / "new/images/train").iterdir())
    assert files == ["Ab.png", "_a_b.jpg", "picture.png", "train_aB.jpg"] or files == [
        "Ab.png", "_a_b.jpg", "aB_2.jpg", "picture.png",
    ]  # fmt: skip


def test_what_is_left_out_is_told(tmp_path: Path):
    dataset = open_dataset(write_scenes(tmp_path / "old", num_train=1, num_val=1, depth=True, geometry=True))
    assert convert(dataset, tmp_path / "new", "voc").left_out == ("head geometry", "extra channels")


def test_progress_goes_up(tmp_path: Path):
    dataset = make(
        tmp_path / "old",
        {"train": {"a": np.zeros((2, 2), np.uint8), "b": np.zeros((2, 2), np.uint8)}},
        WITHOUT,
    )
    told: list[tuple[str, int, int]] = []
    convert(dataset, tmp_path / "new", "voc", progress=lambda *args: told.append(args))
    assert told == [("writing", 1, 2), ("writing", 2, 2), ("reading back", 1, 2), ("reading back", 2, 2)]


def test_a_failure_leaves_nothing(tmp_path: Path):
    dataset = make(
        tmp_path / "old",
        {"train": {"a": np.zeros((2, 2), np.uint8)}, "val": {"b": np.ones((2, 2), np.uint8)}},
        WITHOUT,
    )
    write_mask(tmp_path / "old/masks/val/b.png", np.zeros((3, 2), np.uint8), WITHOUT)
    for form in FORMS:
        with pytest.raises(
            DataError, match=r"b.png: is 3 x 2 \(height x width\), its picture 2 x 2; expected equal sizes"
        ):
            convert(dataset, tmp_path / "new", form)
        assert [path.name for path in tmp_path.iterdir()] == ["old"]


def test_wrong_requests(tmp_path: Path):
    dataset = make(tmp_path / "old", {"train": {"a": np.zeros((2, 2), np.uint8)}}, WITHOUT)
    with pytest.raises(UnknownNameError, match="unknown format 'koko'"):
        convert(dataset, tmp_path / "new", "koko")
    with pytest.raises(
        ConfigError, match="got polygons for cvat, which is written in pixels; expected yolo, coco, labelme"
    ):
        convert(dataset, tmp_path / "new", "cvat", Style(polygons=True))
    for taken in (tmp_path / "old", tmp_path / "old" / "dataset.yaml"):
        with pytest.raises(
            DataError, match="exists and is not empty; expected a new folder; choose another or remove it"
        ):
            convert(dataset, taken, "voc")
    (tmp_path / "empty").mkdir()
    assert convert(dataset, tmp_path / "empty", "voc").splits == {"train": 1}


@pytest.mark.slow
@pytest.mark.parametrize(("form", "style"), WAYS)
@pytest.mark.parametrize("name", ["camvid", "voc2012-animals"])
def test_real_data_there_and_back(tmp_path: Path, real_data: Path, name, form, style):
    found = open_dataset(real_data / name)
    few = {split: samples[::40] for split, samples in found.splits.items()}
    dataset = Dataset(found.name, found.root, found.layout, found.labels, few)
    assert convert(dataset, tmp_path / "new", form, style).changed == 0
