"""What comes from the cache is what would be decoded; what is damaged or of other files is made anew."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from fullconv.data import cache
from fullconv.data.cache import open_cache
from fullconv.data.dataset import open_dataset
from fullconv.data.loading import TrainingSet, training_loader
from fullconv.data.masks import write_mask
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.scenes import write_scenes
from fullconv.data.shards.writing import write_shards
from fullconv.data.transforms import TrainTransform
from fullconv.errors import DataError, InputError, PictureError, StorageError
from fullconv.labels import LabelSet

BAG = LabelSet.from_names(["background", "bag"])


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Each of another size."""
    rng, made = np.random.default_rng(0), []
    for index in range(5):
        sample = Sample(f"{index}", tmp_path / f"{index}.jpg", tmp_path / f"{index}.png")
        Image.fromarray(rng.integers(0, 256, (8 + index, 10, 3), np.uint8)).save(tmp_path / f"{index}.jpg")
        write_mask(tmp_path / f"{index}.png", rng.integers(0, 2, (8 + index, 10), np.uint8), BAG)
        made.append(sample)
    return made


def assert_holds(found: cache.Cache, samples: Sequence[Sample]) -> None:
    for index, sample in enumerate(samples):
        picture, label_map = read_sample(sample, BAG)
        cached, label_maps = found.read(index)
        assert np.array_equal(cached, picture)
        assert np.array_equal(label_maps, label_map[None])
        assert cached.dtype == label_maps.dtype == np.uint8


def test_it_holds_what_is_decoded(samples, tmp_path):
    found = open_cache(tmp_path / "new" / "c", samples, BAG)
    assert_holds(found, samples)
    assert (found.channels, found.heads, len(found.table)) == (3, 1, 5)
    written = found.path.stat().st_mtime_ns
    again = open_cache(tmp_path / "new" / "c", samples, BAG)
    assert again.path == found.path
    assert found.path.stat().st_mtime_ns == written
    assert_holds(again, samples)
    assert sorted(path.suffix for path in found.path.parent.iterdir()) == [".cache", ".lock"]


def test_heads_and_extra_channels(tmp_path):
    scenes = open_dataset(write_scenes(tmp_path / "s", 3, 1, size_hw=(64, 64), depth=True, geometry=True))
    samples = scenes.split("train")
    found = open_cache(tmp_path / "c", samples, scenes.labels, scenes.heads)
    assert (found.channels, found.heads) == (4, 2)
    for index, sample in enumerate(samples):
        for ours, theirs in zip(
            found.read(index), read_heads(sample, scenes.labels, scenes.heads), strict=True
        ):
            assert np.array_equal(ours, theirs)
    transform = TrainTransform((48, 40))
    for heads, shape in (((), (3, 48, 40)), (scenes.heads, (3, 2, 48, 40))):
        kept = open_cache(tmp_path / "c", samples, scenes.labels, heads)
        sets = [TrainingSet(samples, scenes.labels, transform, 1, heads, each) for each in (None, kept)]
        (plain,), (cached,) = (list(training_loader(each, 3, 0, 1, workers=0)) for each in sets)
        assert all(torch.equal(a, b) for a, b in zip(plain, cached, strict=True))
        assert cached[1].shape == shape


def test_worker_processes_read_it(samples, tmp_path):
    found = open_cache(tmp_path / "c", samples, BAG)
    sets = [TrainingSet(samples, BAG, TrainTransform((8, 8)), 1, cache=each) for each in (None, found)]
    plain, cached = (
        list(training_loader(each, 2, 0, 4, workers=workers))
        for each, workers in zip(sets, (0, 2), strict=True)
    )
    for one, other in zip(plain, cached, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shards(samples, tmp_path):
    dataset = open_dataset(write_scenes(tmp_path / "s", 3, 1, size_hw=(64, 64)))
    write_shards(dataset, tmp_path / "w")
    packed = open_dataset(tmp_path / "w")
    found = open_cache(tmp_path / "c", packed.split("train"), packed.labels)
    assert np.array_equal(found.read(2)[0], read_sample(dataset.split("train")[2], dataset.labels)[0])


def test_other_files_have_another_cache(samples, tmp_path):
    first = open_cache(tmp_path / "c", samples, BAG)
    others = [
        open_cache(tmp_path / "c", samples[:4], BAG),
        open_cache(tmp_path / "c", samples, LabelSet.from_names(["background", "sack"])),
        open_cache(tmp_path / "c", [replace(samples[0], name="x"), *samples[1:]], BAG),
    ]
    assert [each.path == first.path for each in others] == [False, False, True]
    os.utime(samples[0].picture, (5, 5))
    assert open_cache(tmp_path / "c", samples, BAG).path != first.path


def test_other_readers_have_another_cache(samples, tmp_path, monkeypatch):
    first = open_cache(tmp_path / "c", samples, BAG)
    monkeypatch.setattr(cache, "READING", 2)
    second = open_cache(tmp_path / "c", samples, BAG)
    monkeypatch.setattr("PIL.__version__", "0.0")
    assert len({first.path, second.path, open_cache(tmp_path / "c", samples, BAG).path}) == 3


@pytest.mark.parametrize("damage", ["header", "table", "cut", "longer", "empty", "half a table"])
def test_a_damaged_cache_is_made_anew(samples, tmp_path, damage):
    path = open_cache(tmp_path / "c", samples, BAG).path
    whole = path.read_bytes()
    changed = bytearray(whole)
    if damage in ("header", "table"):
        changed[70 if damage == "table" else 3] ^= 1
    broken = {"cut": whole[:-7], "longer": whole + b"1", "empty": b"", "half a table": whole[:100]}
    path.write_bytes(broken.get(damage, bytes(changed)))
    assert_holds(open_cache(tmp_path / "c", samples, BAG), samples)
    assert path.read_bytes() == whole


def test_a_cache_that_changes_while_it_is_used(samples, tmp_path):
    found = open_cache(tmp_path / "c", samples, BAG)
    found.path.write_bytes(found.path.read_bytes()[:-7])
    message = r"\.cache: the cache was changed while it was used; start again, and it is made anew"
    with pytest.raises(DataError, match=message):
        found.read(4)
    found.path.unlink()
    with pytest.raises(DataError, match=message):
        found.read(0)


def test_an_error_leaves_nothing(samples, tmp_path):
    samples[3].picture.write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"3\.jpg: is not a picture"):
        open_cache(tmp_path / "c", samples, BAG)
    assert [path.suffix for path in (tmp_path / "c").iterdir()] == [".lock"]
    samples[3].picture.unlink()
    with pytest.raises(DataError, match=r"3\.jpg: no such file; check the path"):
        open_cache(tmp_path / "c", samples, BAG)


def test_what_is_too_large_is_refused_at_once(samples, tmp_path, monkeypatch):
    monkeypatch.setattr(cache, "TRIED", 2)
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 2000})())
    samples[4].picture.write_bytes(b"no picture")  # which it does not come to
    with pytest.raises(
        InputError,
        match=r"would take about 0\.0 GB, more than half of the 0\.0 GB that are free; leave --cac",
    ):
        open_cache(tmp_path / "c", samples, BAG)


def test_a_folder_that_may_not_be_written(samples, tmp_path):
    (tmp_path / "c").write_text("")
    with pytest.raises(StorageError, match=r"cannot write .*; free space or choose another --cache"):
        open_cache(tmp_path / "c", samples, BAG)


MAKE = """
import sys
from pathlib import Path
from fullconv.data import cache
from fullconv.data.dataset import open_dataset
made = cache._made
cache._made = lambda *arguments: print("made", flush=True) or made(*arguments)
dataset = open_dataset(sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
cache.open_cache(Path(sys.argv[2]), dataset.split("train"), dataset.labels)
"""


def test_several_processes_make_it_once(tmp_path):
    write_scenes(tmp_path / "s", 4, 1, size_hw=(64, 64))
    command = [sys.executable, "-c", MAKE, str(tmp_path / "s"), str(tmp_path / "c")]
    both = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    for process in both:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
    said = "".join(process.communicate("go\n")[0] for process in both)
    assert said == "made\n"
    assert [process.returncode for process in both] == [0, 0]
    assert len(list((tmp_path / "c").glob("*.cache"))) == 1


@pytest.mark.slow
def test_a_maker_that_is_killed(tmp_path):
    dataset = open_dataset(write_scenes(tmp_path / "s", 60, 1, size_hw=(128, 128)))
    for _ in range(5):
        command = [sys.executable, "-c", MAKE, str(tmp_path / "s"), str(tmp_path / "c")]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        time.sleep(0.02)
        process.kill()
        process.communicate()
    found = open_cache(tmp_path / "c", dataset.split("train"), dataset.labels)
    for index, sample in enumerate(dataset.split("train")):
        assert np.array_equal(found.read(index)[0], read_sample(sample, dataset.labels)[0])
    assert not list((tmp_path / "c").glob(".*.partial"))
