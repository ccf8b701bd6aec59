"""Shards are recognised, ours and others'; splits come from lists or names, classes from dataset.yaml or the masks."""

import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tar_files import pack

from fullconv.data.check import MOST_CHECKED, STRETCHES, check_samples, quick_part
from fullconv.data.dataset import open_dataset
from fullconv.data.layouts import webdataset
from fullconv.data.masks import encode_mask
from fullconv.data.samples import read_sample
from fullconv.data.shards.index import Shard
from fullconv.data.shards.samples import Roles, ShardSamples
from fullconv.errors import DataError, PictureError
from fullconv.labels import LabelSet

LABELS = LabelSet.from_names(["a", "b", "c"])


def picture(mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (4, 3)).save(stream, "JPEG")
    return stream.getvalue()


def pair(key: str, ids: int = 2, mask: str = "png") -> dict[str, bytes]:
    label_map = np.full((3, 4), ids, np.uint8)
    return {f"{key}.jpg": picture(), f"{key}.{mask}": encode_mask(label_map, LABELS)}


def shard(path: Path, *keys: str, mask: str = "png") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return pack(path, {name: content for key in keys for name, content in pair(key, mask=mask).items()})


def names(folder: Path) -> dict[str, list[str]]:
    return {
        split: [sample.name for sample in samples] for split, samples in open_dataset(folder).splits.items()
    }


def test_splits_by_the_names_of_shards(tmp_path):
    shard(tmp_path / "coco-train-000000.tar", "a", "b")
    shard(tmp_path / "coco-train-000001.tar", "c")
    shard(tmp_path / "coco-validation-000000.tar", "d")
    assert names(tmp_path) == {"train": ["a", "b", "c"], "val": ["d"]}
    dataset = open_dataset(tmp_path)
    assert (dataset.layout, dataset.layout_name) == ("3 tar shards", "webdataset")
    assert dataset.labels.names == ("class_0", "class_1", "class_2")
    assert dataset.labels.colors == LABELS.colors  # of the masks' palettes
    loaded, label_map = read_sample(dataset.split("val")[0], dataset.labels)
    assert (loaded.shape, label_map.tolist()) == ((3, 4, 3), [[2] * 4] * 3)
    assert check_samples(dataset.split("train"), dataset.labels, learnt=False).pixels_per_class == (0, 0, 36)


def test_splits_by_folders(tmp_path):
    shard(tmp_path / "train" / "0.tar", "a", mask="seg.png")
    shard(tmp_path / "valid" / "0.tar", "b", mask="mask.png")
    assert names(tmp_path) == {"train": ["a"], "val": ["b"]}


def test_no_split_in_the_names(tmp_path):
    shard(tmp_path / "000.tar", "a")
    assert names(tmp_path) == {"train": ["a"]}
    for index in range(1, 21):
        shard(tmp_path / f"{index:03d}.tar", f"{index}")
    found = names(tmp_path)
    assert {split: len(members) for split, members in found.items()} == {"train": 19, "val": 2}
    assert found == names(tmp_path)
    shard(tmp_path / "train-7.tar", "z")
    with pytest.raises(
        DataError,
        match=r"000\.tar: its name has no split in it, as those of other shards have; expected all or",
    ):
        open_dataset(tmp_path)


def test_what_is_no_sample_is_passed_over(tmp_path):
    pack(
        tmp_path / "train.tar",
        {"meta.json": b"{}", **pair("a"), "a.json": b"{}", "README": b"", "none.txt": b""},
    )
    assert names(tmp_path) == {"train": ["a"]}


def test_classes_by_a_list_or_dataset_yaml(tmp_path):
    shard(tmp_path / "train-0.tar", "a")
    (tmp_path / "classes.txt").write_text("x\ny\nz\n")
    assert open_dataset(tmp_path).labels.names == ("x", "y", "z")
    (tmp_path / "dataset.yaml").write_text("name: n\nclasses: [p, q, r]\n")
    assert (open_dataset(tmp_path).labels.names, open_dataset(tmp_path).name) == (("p", "q", "r"), "n")


def test_heads_extra_and_shades_by_dataset_yaml(tmp_path):
    files = {
        "a.jpg": picture(),
        "a.mask.jpg": picture(),
        "a.depth.jpg": picture("L"),
        "a.geo.png": pair("a")["a.png"],
    }
    pack(tmp_path / "train-0.tar", files)
    (tmp_path / "dataset.yaml").write_text(
        "classes: [x, y]\nmasks: {dark: y, light: x}\nextra: {folder: depth, range: [0, 9]}\n"
        "heads: [{name: geometric, masks: geo, classes: [p, q, r]}]\n"
    )
    dataset = open_dataset(tmp_path)
    (sample,) = dataset.split("train")
    assert dataset.heads[0].name == "geometric"
    assert dataset.num_channels == 4
    assert isinstance(dataset.split("train"), ShardSamples)
    assert read_sample(sample, dataset.labels)[1].tolist() == [[1] * 4] * 3


def test_lists(tmp_path):
    shard(tmp_path / "0.tar", "a")
    shard(tmp_path / "1.tar", "b")
    entry = (
        '{"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": [{"url": "%s", "nsamples": 1}]}'
    )
    (tmp_path / "val.json").write_text(entry % "1.tar")
    (tmp_path / "train.json").write_text(entry % "0.tar")
    (tmp_path / "other.json").write_text("{}")
    assert names(tmp_path) == {"train": ["a"], "val": ["b"]}
    assert open_dataset(tmp_path).layout == "2 tar shards listed in train.json, val.json"
    (tmp_path / "1.tar").unlink()
    with pytest.raises(
        DataError,
        match=r"1\.tar: no such file; val\.json lists it; copy it there, or pack the data set again",
    ):
        open_dataset(tmp_path)


def test_tars_that_hold_no_pairs(tmp_path):
    pack(tmp_path / "archive.tar", {"readme.txt": b"", "notes.md": b""})
    with pytest.raises(
        DataError,
        match=r"its tar files hold no pictures; expected KEY\.jpg with KEY\.mask\.png; unpack other",
    ):
        open_dataset(tmp_path)
    pack(tmp_path / "archive.tar", {"VOC/JPEGImages/1.jpg": b"", "VOC/SegmentationClass/1.png": b""})
    with pytest.raises(
        DataError,
        match=r"archive\.tar: a sample has VOC/JPEGImages/1\.jpg; expected one picture and one mask",
    ):
        open_dataset(tmp_path)


def test_what_is_detected(tmp_path):
    assert not webdataset.detect(tmp_path)
    (tmp_path / ".hidden.tar").write_bytes(b"")
    assert not webdataset.detect(tmp_path)
    shard(tmp_path / "train" / "0.tar", "a")
    assert webdataset.detect(tmp_path)


def test_compressed_shards_are_refused(tmp_path):
    import gzip

    path = shard(tmp_path / "train-0.tar", "a")
    path.write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match=r"train-0\.tar: is compressed \(gzip\); expected a plain tar"):
        open_dataset(tmp_path)
    path.rename(tmp_path / "train-0.tar.gz")
    with pytest.raises(
        DataError, match=r"train-0\.tar\.gz: is compressed; expected plain tar shards, whose members can"
    ):
        open_dataset(tmp_path)


def test_a_damaged_picture_in_a_shard(tmp_path):
    path = shard(tmp_path / "train-0.tar", "a", "b")
    (tmp_path / "classes.txt").write_text("x\ny\nz\n")
    path.write_bytes(path.read_bytes().replace(b"\xff\xd8", b"\0\0"))
    dataset = open_dataset(tmp_path)
    with pytest.raises(PictureError, match=r"train-0\.tar:b\.jpg: is not a picture"):
        read_sample(dataset.split("train")[1], dataset.labels)


def test_too_many_masks_to_look_through(tmp_path, monkeypatch):
    monkeypatch.setattr(webdataset, "MOST_LOOKED_THROUGH", 2)
    shard(tmp_path / "train-0.tar", "a", "b", "c")
    with pytest.raises(
        DataError, match=r"nothing names the classes of its 3 masks; add a dataset\.yaml: classes"
    ):
        open_dataset(tmp_path)


class Told(ShardSamples):
    """Samples that are there by their numbers alone."""

    def __getitem__(self, index: Any) -> Any:
        return tuple(range(len(self))[index]) if isinstance(index, slice) else range(len(self))[index]


def test_the_quick_part():
    def of(number: int) -> ShardSamples:
        return Told([Shard(Path("a.tar"), number, 1, Path("a.idx"))], Roles())

    small, large = of(MOST_CHECKED), of(10**9)
    assert quick_part(small) is small
    part: list[Any] = list(quick_part(large))
    assert len(set(part)) == len(part) == MOST_CHECKED
    assert (part[0], part[-1]) == (0, 10**9 - 1)
    assert sum(second != first + 1 for first, second in pairwise(part)) == STRETCHES - 1
    files: Any = range(2 * MOST_CHECKED)
    assert quick_part(files) is files
