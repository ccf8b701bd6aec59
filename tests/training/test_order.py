"""Shards train as files do; windows keep every promise that the full order keeps."""

import hashlib
import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from two_processes import TRAIN, farthest

from fullconv.cli import main
from fullconv.data.dataset import open_dataset
from fullconv.data.order import FullOrder, WindowedOrder
from fullconv.data.scenes import write_scenes
from fullconv.data.shards.index import Shard
from fullconv.data.shards.samples import Roles, ShardSamples
from fullconv.data.shards.writing import write_shards
from fullconv.training import order
from fullconv.training.config import TrainConfig
from fullconv.training.facts import digest_of
from fullconv.training.loop import train
from fullconv.training.runlog import LOG
from fullconv.training.state import STATE, read_state

WINDOWS = {"order": "windowed", "window": 4, "lanes": 2}


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", num_train=10, num_val=2, size_hw=(64, 80))


@pytest.fixture(scope="module")
def shards(scenes, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "shards"
    write_shards(open_dataset(scenes), folder, shard_mb=0.01)
    assert len(list(folder.glob("train-*.tar"))) > 3
    return folder


def config(data: Path, out: Path, **options) -> TrainConfig:
    values = {
        "data": data, "out": out, "model": "fcn16s", "backbone": "test_resnet", "backbone_weights": "none",
        "epochs": 2, "batch_size": 4, "workers": 0, "precision": "fp32", "log_every": 1,
    }  # fmt: skip
    return TrainConfig(**(values | options))


def weights(run: Path) -> str:
    return hashlib.sha256((run / "checkpoints" / "last" / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def windowed(shards, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    list(train(config(shards, out, **WINDOWS)))
    return out


def test_shards_and_a_cache_train_to_the_bits_of_files(scenes, shards, tmp_path):
    list(train(config(scenes, tmp_path / "files")))
    list(train(config(shards, tmp_path / "shards", workers=2, cache=tmp_path / "cache")))
    assert weights(tmp_path / "shards") == weights(tmp_path / "files")
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1


def test_the_window_decides_the_order(shards, windowed, tmp_path):
    list(train(config(shards, tmp_path / "again", workers=2, **WINDOWS)))
    assert weights(tmp_path / "again") == weights(windowed)
    list(train(config(shards, tmp_path / "other", **WINDOWS | {"window": 2})))
    assert weights(tmp_path / "other") != weights(windowed)


@pytest.mark.parametrize("stop_after", [*(pytest.param(n, marks=pytest.mark.long) for n in (1, 3)), 2])
def test_a_run_in_windows_goes_on_to_the_same_bits(shards, windowed, tmp_path, stop_after):
    out = tmp_path / "run"

    def interrupt():
        ticks = 0
        for event in train(config(shards, out, **WINDOWS)):
            ticks += event["kind"] == "tick"
            if ticks == stop_after:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    list(train(config(shards, out, workers=2, **WINDOWS), resume=True))
    assert weights(out) == weights(windowed)


@pytest.mark.slow
@pytest.mark.xdist_group("pair")
def test_two_processes_train_what_one_trains(shards, tmp_path, pair):
    """The same samples in every step, by the same windows, however many processes read them."""
    options = [
        "--model", "fcn16s", "--backbone", "test_resnet", "--backbone-weights", "none", "--epochs", "2", "--batch-size", "4",
        "--crop", "64x64", "--precision", "fp32", "--workers", "0", "--set", "optimizer=sgd", "--set", "log_every=1",
        "--set", "order=windowed", "--set", "window=4", "--set", "lanes=2",
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(["train", str(shards), *options, "--out", str(tmp_path / "one")])
    assert not stop.value.code
    pair(TRAIN, shards, *options, "--out", tmp_path / "two")
    (about, ours), (_, theirs) = (
        read_state(tmp_path / name / "checkpoints" / STATE) for name in ("one", "two")
    )
    assert about["progress"]["step"] == 4
    assert farthest(ours, theirs) < 1e-2
    losses = [
        [
            event["loss"]
            for event in map(json.loads, (tmp_path / name / LOG).read_text().splitlines())
            if event["kind"] == "step"
        ]
        for name in ("one", "two")
    ]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


def test_what_auto_picks(scenes, shards, tmp_path, monkeypatch):
    files, packed = (open_dataset(each).split("train") for each in (scenes, shards))
    auto = config(shards, tmp_path)
    assert order.picked_order(auto, files) == order.picked_order(auto, packed) == "full"
    monkeypatch.setattr(order, "MOST_IN_FULL_ORDER", 9)
    assert order.picked_order(auto, files) == "full"
    assert order.picked_order(auto, packed) == "windowed"
    assert order.picked_order(config(shards, tmp_path, order="full"), packed) == "full"
    assert isinstance(order.order_of(config(shards, tmp_path, order="full"), 9), FullOrder)
    assert isinstance(order.order_of(config(shards, tmp_path, order="windowed"), 9), WindowedOrder)


def test_the_choice_is_written_down(windowed):
    assert "order: windowed\nwindow: 4\nlanes: 2\n" in (windowed / "config.yaml").read_text()


def test_other_shards_are_other_data():
    shard = Shard(Path("one/a.tar"), 3, 4096, Path("one/a.idx"))
    moved = replace(shard, path=Path("two/a.tar"))
    other = replace(shard, num_bytes=8192)
    first, second, third = (digest_of(ShardSamples([each], Roles())) for each in (shard, moved, other))
    assert first == second != third


def test_a_part_that_is_looked_at_is_told(shards, tmp_path, monkeypatch):
    monkeypatch.setattr("fullconv.data.check.MOST_CHECKED", 6)
    monkeypatch.setattr("fullconv.data.check.STRETCHES", 3)
    events = train(config(shards, tmp_path / "run"))
    messages = [next(events) for _ in range(2)]
    del events  # ends the run
    assert messages[1]["message"] == "6 of 10 training samples were looked at before the first step"
