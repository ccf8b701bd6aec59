"""Two processes train what one trains: the same order, the same sums, the same figures."""

import ipaddress
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from two_processes import TRAIN, farthest

from fullconv.cli import main
from fullconv.data.scenes import write_scenes
from fullconv.training import world
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.runlog import LOG
from fullconv.training.state import STATE, read_state

OPTIONS = [
    "--model", "fcn16s", "--backbone", "test_resnet", "--backbone-weights", "none", "--epochs", "2", "--batch-size", "5",
    "--crop", "64x64", "--precision", "fp32", "--workers", "0", "--set", "optimizer=sgd", "--set", "log_every=1",
    "--set", "class_weights=median_frequency", "--set", "ema=0.9",
]  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=10, num_val=3, size_hw=(64, 64))


@pytest.mark.slow
@pytest.mark.xdist_group("pair")
def test_two_processes_train_what_one_trains(scenes, tmp_path, pair):
    with pytest.raises(SystemExit) as stop:
        main(["train", str(scenes), *OPTIONS, "--out", str(tmp_path / "one")])
    assert not stop.value.code
    pair(TRAIN, scenes, *OPTIONS, "--out", tmp_path / "two")
    (about, ours), (_, theirs) = (
        read_state(tmp_path / name / "checkpoints" / STATE) for name in ("one", "two")
    )
    assert about["progress"]["step"] == 4
    assert farthest(ours, theirs) < 1e-2
    events = []
    for name in ("one", "two"):
        lines = (tmp_path / name / LOG).read_text().splitlines()
        events.append([json.loads(line) for line in lines])
    assert [event["kind"] for event in events[0]] == [event["kind"] for event in events[1]]
    for one, two in zip(*events, strict=True):
        if one["kind"] == "step":
            assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)
        elif one["kind"] == "epoch":
            assert two["val"]["num_images"] == one["val"]["num_images"] == 3
            assert sum(map(sum, two["val"]["confusion"])) == sum(map(sum, one["val"]["confusion"]))
            assert two["val"]["pixel_accuracy"] == pytest.approx(one["val"]["pixel_accuracy"], abs=1e-3)


@pytest.mark.long
def test_a_batch_in_parts_is_the_batch(scenes, tmp_path):
    """Without batch normalisation, which counts over each part."""
    values = {
        "data": scenes, "model": "fcn16s", "backbone": "vgg11", "backbone_weights": "none", "epochs": 1, "batch_size": 5,
        "crop": (64, 64), "precision": "fp32", "workers": 0, "optimizer": "sgd", "class_weights": "median_frequency",
    }  # fmt: skip
    for name, size in (("whole", None), ("parts", 2)):
        list(train(TrainConfig(out=tmp_path / name, micro_batch=size, **values)))
    (_, ours), (_, theirs) = (
        read_state(tmp_path / name / "checkpoints" / STATE) for name in ("whole", "parts")
    )
    assert farthest(ours, theirs) < 1e-2


@pytest.mark.slow
@pytest.mark.xdist_group("pair")
def test_shared_statistics_are_those_of_one_batch(pair):
    """In two processes: normalised values, gradients and running statistics of halves against the whole."""
    code = """
import os, torch, torch.distributed as dist
from torch import nn
from fullconv.training.world import SharedStatistics
dist.init_process_group("gloo")
rank = dist.get_rank()
torch.manual_seed(0)
x = torch.randn(5, 3, 4, 6, dtype=torch.float64)
mine = x[rank::2].clone().requires_grad_()
whole = x.clone().requires_grad_()
layers = [nn.BatchNorm2d(3).double() for _ in range(2)]
layers[1].load_state_dict(layers[0].state_dict())
with SharedStatistics():
    out = layers[0](mine)
want = layers[1](whole)
slope = torch.randn(5, 3, 4, 6, dtype=torch.float64)
(out * slope[rank::2]).sum().backward()
(want * slope).sum().backward()
close = lambda a, b: torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)
close(out, want[rank::2])
close(mine.grad, whole.grad[rank::2])
close(layers[0].running_mean, layers[1].running_mean)
close(layers[0].running_var, layers[1].running_var)
for name in ("weight", "bias"):
    grad = getattr(layers[0], name).grad
    dist.all_reduce(grad)
    close(grad, getattr(layers[1], name).grad)
dist.destroy_process_group()
"""
    pair(code)


def test_outside_training_nothing_is_shared():
    from fullconv.training.world import SharedStatistics

    x = torch.randn(2, 3, 4, 4)
    with SharedStatistics():
        got = F.batch_norm(x, torch.zeros(3), torch.ones(3), training=False)
    torch.testing.assert_close(got, F.batch_norm(x, torch.zeros(3), torch.ones(3)))


ALONE = """
import os, sys
from pathlib import Path
from fullconv.errors import RunError
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train

config = TrainConfig(
    data=Path(sys.argv[1]), out=Path(sys.argv[2]), model="fcn16s", backbone="test_resnet", backbone_weights="none",
    epochs=2, batch_size=5, crop=(64, 64), precision="fp32", workers=0,
)
try:
    for event in train(config):
        if event["kind"] == "tick" and os.environ["RANK"] == "1": os._exit(0)
except RunError as error:
    assert str(error).startswith("another process of the run has ended"), error
else:
    raise AssertionError("went on alone")
"""


@pytest.mark.slow
@pytest.mark.xdist_group("pair")
def test_a_process_whose_fellow_died_says_so(scenes, tmp_path, pair):
    pair(ALONE, scenes, tmp_path / "run")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_trainers_end_with_their_launcher(scenes, tmp_path):
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    options = [*OPTIONS, "--set", "epochs=100000", "--out", str(tmp_path / "run")]
    command = [*torchrun, "-m", "fullconv", "train", str(scenes), *options]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as launcher:
        while not (tmp_path / "run" / "checkpoints" / "last" / "model.json").exists():
            assert launcher.poll() is None
            time.sleep(0.1)
        trainers = children(launcher.pid)
        assert len(trainers) == 2
        launcher.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10  # what is promised of SIGTERM
    while any(map(alive, trainers)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(map(alive, trainers))
    about, _ = read_state(tmp_path / "run" / "checkpoints" / STATE)
    assert about["progress"]["step"] > 0


def children(process: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def alive(process: int) -> bool:
    try:
        return "\nState:\tZ" not in Path(f"/proc/{process}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize(
    ("own", "master"), [("192.0.2.1", "192.0.2.2"), ("127.0.1.1", "127.0.0.1"), ("127.0.1.1", "no.such.host.invalid")]
)  # fmt: skip
def test_gloo_is_told_of_no_network_where_it_finds_its_way_or_there_is_none(monkeypatch, own, master):
    """Where it is told of one: `test_machines.py`."""
    monkeypatch.setattr(world, "address_of", lambda name: ipaddress.ip_address(own))
    monkeypatch.setenv("MASTER_ADDR", master)
    assert world.network_between_machines() is None
