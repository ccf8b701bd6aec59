"""Packing loses nothing, gives the same bytes each time, is whole or not at all, and goes on where it stopped."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fullconv.data.contents import Dataset
from fullconv.data.dataset import open_dataset
from fullconv.data.masks import Shades, write_mask
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.scenes import write_scenes
from fullconv.data.shards import writing
from fullconv.data.shards.catalog import read_catalog
from fullconv.data.shards.index import Shard, samples_in
from fullconv.data.shards.samples import ShardSamples, sample_name
from fullconv.data.shards.tar import entries
from fullconv.data.shards.writing import key_of, write_shards
from fullconv.data.sources import Member
from fullconv.errors import InputError, PictureError, StorageError
from fullconv.labels import LabelSet

BAG = LabelSet.from_names(["background", "bag"])


def made(folder: Path, names: dict[str, list[str]], suffix: str = "jpg") -> Dataset:
    rng = np.random.default_rng(0)
    splits = {}
    for split, members in names.items():
        samples = [Sample(name, folder / f"{name}.{suffix}", folder / f"{name}_mask.png") for name in members]
        for sample in samples:
            assert isinstance(sample.picture, Path)
            assert isinstance(sample.mask, Path)
            sample.picture.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8)).save(sample.picture)
            write_mask(sample.mask, rng.choice(np.array([0, 1, 255], np.uint8), (20, 24)), BAG)
        splits[split] = tuple(samples)
    return Dataset("bags", folder, "made", BAG, splits)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def assert_same_samples(ours: Sequence[Sample], theirs: Sequence[Sample], dataset: Dataset) -> None:
    assert [sample.name for sample in ours] == [sample.name for sample in theirs]
    for one, other in zip(ours, theirs, strict=True):
        first, second = (read_heads(sample, dataset.labels, dataset.heads) for sample in (one, other))
        assert np.array_equal(first[0], second[0])
        assert np.array_equal(first[1], second[1])


def test_all_comes_back(tmp_path):
    """Extra channels, further heads, classes, splits, order and names."""
    source = open_dataset(
        write_scenes(tmp_path / "scenes", 5, 3, size_hw=(64, 64), depth=True, geometry=True)
    )
    seen = []
    counts = write_shards(
        source, tmp_path / "s", shard_mb=0.01, seen=lambda done, total: seen.append((done, total))
    )
    packed = open_dataset(tmp_path / "s")
    assert (
        counts == {split: len(samples) for split, samples in packed.splits.items()} == {"train": 5, "val": 3}
    )
    assert (packed.layout_name, packed.name, packed.labels) == ("webdataset", source.name, source.labels)
    assert (packed.heads, packed.extra) == (source.heads, source.extra)
    assert packed.num_channels == 4
    assert seen[-1] == (8, 8)
    assert len(seen) == len(list((tmp_path / "s").glob("*.tar"))) > 2
    for split in ("train", "val"):
        assert_same_samples(source.split(split), packed.split(split), source)


def test_webdataset_would_read_it(tmp_path):
    """By its own rules, told with tarfile: the key ends at the first dot of the base name."""
    names = ["plain", "frame.0001", "a folder/mit Ümlaut 中", "v1.2/x", "__meta__", "-~_"]
    dataset = made(tmp_path / "in", {"train": names})
    write_shards(dataset, tmp_path / "s")
    with tarfile.open(tmp_path / "s" / "train-000000.tar") as tar:
        members = tar.getmembers()
    keys = []
    for info in members:
        folder, _, base = info.name.rpartition("/")
        key = f"{folder}/{base.partition('.')[0]}".lstrip("/")
        keys += [key] if key not in keys else []
        assert info.name.isascii()
        assert base.partition(".")[2] in ("jpg", "mask.png")
        assert not info.name.startswith("__")
        assert (info.mtime, info.uid, info.type) == (0, 0, tarfile.REGTYPE)
    assert len(keys) == len(names)
    assert [sample.name for sample in open_dataset(tmp_path / "s").split("train")] == names


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_names_as_keys(name):
    key = key_of(name)
    assert key.isascii()
    assert "." not in key
    assert " " not in key
    if (
        name.isprintable()
        and not name.startswith(("/", "./"))
        and "\\" not in name
        and ".." not in name.split("/")
    ):
        assert sample_name(f"{key}.jpg", Shard(Path("a.tar"), 1, 1, Path("a.idx"))) == name


def test_the_same_bytes_each_time(tmp_path):
    dataset = made(tmp_path / "in", {"train": ["a", "b", "c"], "val": ["d"]})
    for folder in ("one", "two"):
        write_shards(dataset, tmp_path / folder, shard_mb=0.003)
        for path in (tmp_path / "in").iterdir():
            os.utime(path, (5, 5))
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_lists_digests_and_indices(tmp_path):
    dataset = made(tmp_path / "in", {"train": [f"{index}" for index in range(9)], "val": ["v"]})
    write_shards(dataset, tmp_path / "s", shard_mb=0.005)
    files = files_of(tmp_path / "s")
    catalog = read_catalog(tmp_path / "s" / "train.json")
    assert [entry.url for entry in catalog.shardlist] == [
        f"train-{n:06d}.tar" for n in range(len(catalog.shardlist))
    ]
    assert len(catalog.shardlist) > 1
    for entry in catalog.shardlist:
        assert hashlib.sha256(files[entry.url]).hexdigest() == entry.sha256
        assert len(files[entry.url]) == entry.filesize
        records = [record for _, record in samples_in(entries(tmp_path / "s" / entry.url))]
        assert len(records) == entry.nsamples
        assert writing.index_text(records) == files[entry.url.replace("tar", "idx")]
    assert all(len(files[entry.url]) >= 5000 for entry in catalog.shardlist[:-1])
    shards = [*(f"train-{number:06d}" for number in range(len(catalog.shardlist))), "val-000000"]
    packed = {f"{shard}.{kind}" for shard in shards for kind in ("tar", "idx")}
    assert set(files) == {"dataset.yaml", "train.json", "val.json"} | packed


@pytest.mark.parametrize("suffix", ["png", "webp", "tif", "bmp", "jpeg", "ppm", "gif"])
def test_pictures_stay_as_they_are(tmp_path, suffix):
    dataset = made(tmp_path / "in", {"train": ["a"]}, suffix)
    write_shards(dataset, tmp_path / "s")
    (sample,) = open_dataset(tmp_path / "s").split("train")
    assert isinstance(sample.picture, Member)
    assert sample.picture.name == f"a.{'jpg' if suffix == 'jpeg' else suffix}"
    assert sample.picture.open().read() == (tmp_path / "in" / f"a.{suffix}").read_bytes()


def test_masks_of_any_kind_become_ids(tmp_path):
    """Grey pictures of dark and light, and ids that mean void."""
    dataset = made(tmp_path / "in", {"train": ["a", "b"]})
    grey = np.arange(0, 240, 0.5).reshape(20, 24).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "in" / "a.mask.jpg", quality=100)
    Image.fromarray((grey // 100).astype(np.uint8)).save(tmp_path / "in" / "b_mask.png")
    labels = replace(BAG, ignore_ids=(2,))
    first, second = dataset.split("train")
    samples = (replace(first, mask=tmp_path / "in" / "a.mask.jpg", shades=Shades(1, 0)), second)
    dataset = replace(dataset, splits={"train": samples}, labels=labels)
    write_shards(dataset, tmp_path / "s")
    packed = open_dataset(tmp_path / "s")
    assert packed.labels == labels
    assert_same_samples(samples, packed.split("train"), dataset)
    assert set(np.unique(read_sample(packed.split("train")[1], labels)[1])) == {0, 1, 255}


def test_a_split_that_others_make_up_is_left_out(tmp_path):
    dataset = made(tmp_path / "in", {"train": ["a", "b"], "trainval": ["a", "b", "c"], "val": ["c"]})
    train, val = dataset.split("train"), dataset.split("val")
    dataset = replace(dataset, splits={"trainval": (*train, *val), "train": train, "val": val})
    assert write_shards(dataset, tmp_path / "s") == {"train": 2, "val": 1}
    packed = open_dataset(tmp_path / "s")
    both = packed.split("train+val")
    assert isinstance(both, ShardSamples)
    assert [sample.name for sample in both] == ["a", "b", "c"]


def test_nothing_is_overwritten(tmp_path):
    dataset = made(tmp_path / "in", {"train": ["a"]})
    (tmp_path / "s").mkdir()
    write_shards(dataset, tmp_path / "s")  # an empty folder is taken
    before = files_of(tmp_path / "s")
    with pytest.raises(
        InputError, match=r"s: is there already; expected a new folder; choose another, or remove it"
    ):
        write_shards(dataset, tmp_path / "s")
    assert files_of(tmp_path / "s") == before
    with pytest.raises(InputError, match=r"is there already"):
        write_shards(dataset, tmp_path / "s" / "dataset.yaml")
    for size in (0, -1, float("nan"), float("inf")):
        with pytest.raises(InputError, match=r"got shards of .* MB; expected more than 0"):
            write_shards(dataset, tmp_path / "t", shard_mb=size)


def interrupted(dataset: Dataset, folder: Path, after: int, shard_mb: float = 0.003) -> Path:
    """Packs until so many shards are written; returns where the parts lie."""

    def stop(done: int, total: int) -> None:
        nonlocal after
        after -= 1
        if after == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(dataset, folder, shard_mb, stop)
    assert not folder.exists()
    return folder.with_name(f".{folder.name}.partial")


@pytest.mark.parametrize("after", [1, 2, 4, 5])
def test_it_goes_on_behind_the_last_whole_shard(tmp_path, after):
    dataset = made(tmp_path / "in", {"train": [f"{index}" for index in range(6)], "val": ["v", "w"]})
    write_shards(dataset, tmp_path / "whole", shard_mb=0.003)
    partial = interrupted(dataset, tmp_path / "s", after)
    shards = sorted(partial.glob("*.tar"))
    assert len(shards) >= after
    times = {path.name: path.stat().st_mtime_ns for path in shards[:after]}
    (partial / "train-999999.tar").write_bytes(b"half")
    write_shards(dataset, tmp_path / "s", shard_mb=0.003)
    assert files_of(tmp_path / "s") == files_of(tmp_path / "whole")
    assert {name: (tmp_path / "s" / name).stat().st_mtime_ns for name in times} == times
    assert not partial.exists()


def test_another_data_set_begins_anew(tmp_path):
    dataset = made(tmp_path / "in", {"train": [f"{index}" for index in range(6)]})
    partial = interrupted(dataset, tmp_path / "s", 2)
    (partial / "left").mkdir()
    other = made(tmp_path / "other", {"train": ["x", "y"]})
    write_shards(other, tmp_path / "s", shard_mb=0.003)
    write_shards(other, tmp_path / "whole", shard_mb=0.003)
    assert files_of(tmp_path / "s") == files_of(tmp_path / "whole")


def test_a_torn_journal(tmp_path):
    dataset = made(tmp_path / "in", {"train": [f"{index}" for index in range(6)]})
    write_shards(dataset, tmp_path / "whole", shard_mb=0.003)
    for cut in (5, 150, -20):
        partial = interrupted(dataset, tmp_path / "s", 3)
        journal = partial / "journal.jsonl"
        journal.write_bytes(journal.read_bytes()[:cut])
        write_shards(dataset, tmp_path / "s", shard_mb=0.003)
        assert files_of(tmp_path / "s") == files_of(tmp_path / "whole")
        for path in (tmp_path / "s").iterdir():
            path.unlink()
        (tmp_path / "s").rmdir()


def test_a_sample_that_cannot_be_read(tmp_path):
    dataset = made(tmp_path / "in", {"train": ["a", "b"]})
    (tmp_path / "in" / "b.jpg").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"b\.jpg: is not a picture"):
        write_shards(dataset, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_a_full_disk(tmp_path, monkeypatch):
    dataset = made(tmp_path / "in", {"train": ["a"]})

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        StorageError, match=r"cannot write .*s: No space left on device; free space or choose another"
    ):
        write_shards(dataset, tmp_path / "s")
    assert not (tmp_path / "s").exists()


def test_the_description_is_a_dataset_yaml(tmp_path):
    dataset = made(tmp_path / "in", {"train": ["a"]})
    write_shards(dataset, tmp_path / "s")
    assert yaml.safe_load((tmp_path / "s" / "dataset.yaml").read_text()) == {
        "name": "bags",
        "layout": "webdataset",
        "classes": [{"name": "background", "color": [0, 0, 0]}, {"name": "bag", "color": [128, 0, 0]}],
        "ignore": [],
    }


def test_real_data(real_data, tmp_path):
    source = open_dataset(real_data / "voc2012-animals")
    few = replace(
        source, splits={split: samples[:5] for split, samples in source.splits.items() if split != "trainval"}
    )
    write_shards(few, tmp_path / "s", shard_mb=0.5)
    packed = open_dataset(tmp_path / "s")
    assert packed.labels == source.labels
    for split, samples in few.splits.items():
        assert_same_samples(samples, packed.split(split), source)


@pytest.mark.slow
def test_a_packing_that_is_killed_again_and_again(tmp_path):
    folder = write_scenes(tmp_path / "scenes", 16, 4, size_hw=(64, 64))
    write_shards(open_dataset(folder), tmp_path / "whole", shard_mb=0.02)
    command = (
        "import sys; from fullconv.data.dataset import open_dataset; from fullconv.data.shards.writing import write_shards; "
        "import time; write_shards(open_dataset(sys.argv[1]), sys.argv[2], 0.02, "
        "lambda done, total: print(done, flush=True) or time.sleep(0.01))"  # so that a busy machine kills it in time
    )
    rng, kills = np.random.default_rng(0), 0
    while not (tmp_path / "s").exists():
        with subprocess.Popen(
            [sys.executable, "-c", command, str(folder), str(tmp_path / "s")],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(float(rng.uniform(0, 0.02)))
            process.send_signal(signal.SIGKILL)
        kills += 1
    assert files_of(tmp_path / "s") == files_of(tmp_path / "whole")
    assert kills > 3
    assert json.loads((tmp_path / "s" / "train.json").read_text())["name"] == "train"
