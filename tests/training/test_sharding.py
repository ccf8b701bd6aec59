"""Sharded training: what one process trains, in two that have half of everything each; its state, resumed and damaged."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
from torch import nn
from two_processes import farthest

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.errors import BundleError, ConfigError
from fullconv.models.build import build_model
from fullconv.training.average import local
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.optimizer import build_optimizer
from fullconv.training.sharded_state import MANIFEST, load_shards, read_shards
from fullconv.training.sharding import blocks_of, gathered, shard
from fullconv.training.state import SHARDS, STATE, read_state, state_tensors
from fullconv.training.world import World

pytestmark = pytest.mark.xdist_group("pair")

OPTIONS = {
    "model": "fcn16s", "backbone": "test_resnet", "backbone_weights": "none", "epochs": 2, "batch_size": 5, "crop": (64, 64),
    "precision": "fp32", "workers": 0, "optimizer": "sgd", "log_every": 1, "class_weights": "median_frequency", "ema": 0.9,
}  # fmt: skip

BOTH = """
import os, sys
from pathlib import Path
import torch
from fullconv.training import step
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train

folder, leads = Path(sys.argv[1]), os.environ["RANK"] == "0"
values = eval(sys.argv[2]) | {"sharding": "full", "data": folder / "scenes"}
ports = os.environ["FREE_PORTS"].split()

def trained(name, resume=False, **options):
    os.environ["MASTER_PORT"] = ports.pop()
    return train(TrainConfig(out=folder / name, **values | options), resume=resume)

list(trained("two"))

events = trained("broken")  # left, as a killed run is, in its second epoch
while next(events) != {"kind": "tick", "step": 3}: pass
events.close()
list(trained("broken", resume=True))

parts = {"backbone": "test_convnext", "ema": None, "epochs": 1}
list(trained("parts", micro_batch=1, **parts))

genuine = step.logits_and_labels
def spoilt(run, pictures, labels):  # in one process only
    (logits,), labels = genuine(run, pictures, labels)
    return (logits * float("nan") if run.progress.step == 1 and not leads else logits,), labels
step.logits_and_labels = spoilt
events = list(trained("skipping", optimizer="adamw", non_finite="skip", epochs=1))
assert [event["step"] for event in events if event["kind"] == "warning" and "step" in event] == [2]
step.logits_and_labels = genuine
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory, pair) -> Path:
    """The runs of BOTH, and `one` and `whole`, which one process made of the same."""
    folder = tmp_path_factory.mktemp("runs")
    data = write_scenes(folder / "scenes", num_train=10, num_val=3, size_hw=(64, 64))
    pair(BOTH, folder, repr(OPTIONS))
    list(train(TrainConfig(data=data, out=folder / "one", **OPTIONS)))
    parts = {"backbone": "test_convnext", "ema": None, "epochs": 1}
    list(train(TrainConfig(data=data, out=folder / "whole", **OPTIONS | parts)))
    return folder


def shards(run: Path) -> dict[str, torch.Tensor]:
    return read_shards(run / "checkpoints" / SHARDS)[1]


@pytest.mark.slow
def test_two_processes_with_half_of_everything_train_what_one_trains(runs):
    """Weights, their average, statistics and, as momentum, clipped gradients."""
    about, ours = read_state(runs / "one" / "checkpoints" / STATE)
    assert about["progress"]["step"] == 4
    assert farthest(ours, shards(runs / "two")) < 1e-2
    one, two = (
        [json.loads(line) for line in (runs / name / "log.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert [event["kind"] for event in one] == [event["kind"] for event in two]
    for ours, theirs in zip(one, two, strict=True):
        if ours["kind"] == "step":
            assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
        elif ours["kind"] == "epoch":
            assert theirs["val"]["num_images"] == 3
            assert theirs["val"]["pixel_accuracy"] == pytest.approx(ours["val"]["pixel_accuracy"], abs=1e-3)


@pytest.mark.slow
def test_a_resumed_run_ends_in_the_same_bits(runs):
    whole, broken = shards(runs / "two"), shards(runs / "broken")
    assert whole.keys() == broken.keys()
    assert all(torch.equal(whole[name], broken[name]) for name in whole)


@pytest.mark.slow
def test_a_batch_in_parts_is_the_batch(runs):
    """Without batch normalisation, which counts over each part; one process has three pictures and the other two."""
    assert farthest(read_state(runs / "whole" / "checkpoints" / STATE)[1], shards(runs / "parts")) < 1e-2


@pytest.mark.slow
def test_a_step_without_a_finite_loss_in_one_process_is_left_out_by_both(runs):
    assert all(tensor.isfinite().all() for tensor in shards(runs / "skipping").values())


@pytest.mark.slow
def test_each_process_keeps_half_and_nothing_is_pickled(runs):
    folder = runs / "two" / "checkpoints" / SHARDS
    *files, manifest = sorted(folder.iterdir())
    assert manifest.name == MANIFEST
    assert [file.suffix for file in files] == [".safetensors"] * 2
    sizes = [file.stat().st_size for file in files]
    assert max(sizes) < 0.6 * sum(sizes)


@pytest.mark.slow
def test_bundles_are_whole(runs):
    bundle = load_bundle(runs / "two")
    average = {n: t for n, t in shards(runs / "two").items() if n.startswith("average.")}
    last = load_bundle(runs / "two" / "checkpoints" / "last").model.state_dict()
    assert all(torch.equal(last[name.removeprefix("average.")], tensor) for name, tensor in average.items())
    assert bundle.model(torch.zeros(1, 3, 64, 64)).shape[2:] == (64, 64)


@pytest.mark.slow
def test_no_damaged_file_is_accepted(runs, tmp_path):
    folder = tmp_path / "state"
    shutil.copytree(runs / "two" / "checkpoints" / SHARDS, folder)
    for file in sorted(folder.iterdir()):
        content = file.read_bytes()
        for place in range(0, len(content), len(content) // 17):
            damaged = bytearray(content)
            damaged[place] ^= 1 << place % 8
            file.write_bytes(damaged)
            with pytest.raises(BundleError, match="is damaged: "):
                read_shards(folder)
        file.unlink()
        with pytest.raises(BundleError, match=r"is damaged: |no state to resume from"):
            read_shards(folder)
        file.write_bytes(content)
    (folder / "other.safetensors").write_bytes(content)
    with pytest.raises(BundleError, match="its files are not those of"):
        read_shards(folder)


@pytest.mark.slow
def test_a_folder_under_its_old_name_is_found(runs, tmp_path):
    shutil.copytree(runs / "two" / "checkpoints" / SHARDS, tmp_path / f".{SHARDS}.old")
    assert read_shards(tmp_path / SHARDS)[0]["progress"]["step"] == 4
    with pytest.raises(BundleError, match="no state to resume from"):
        read_shards(tmp_path / "none")


@pytest.mark.slow
def test_one_process_has_nothing_to_share(runs):
    values = OPTIONS | {"data": runs / "scenes", "sharding": "full"}
    for resume, out in ((False, "new"), (True, "two")):
        with pytest.raises(
            ConfigError, match="sharding=full is for several processes; start with --processes"
        ):
            list(train(TrainConfig(out=runs / out, **values), resume=resume))
    with pytest.raises(ConfigError, match=r"holds no state to resume; expected .*state; train without"):
        list(train(TrainConfig(out=runs / "new", **values), resume=True))


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="kills.py forks")
@pytest.mark.parametrize("options", [[], ["--sharded"]])
def test_killed_trees_end_in_the_same_bits(options):
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    command = [sys.executable, str(script), "--processes", "2", "--kills", "2", *options]
    assert subprocess.run(command, check=False).returncode == 0


@pytest.fixture
def alone():
    """A world of one process, in which shards are whole."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield World(0, 1, torch.device("cpu"))
    dist.destroy_process_group()


@pytest.mark.parametrize(
    ("name", "backbone", "num_blocks"),
    [
        ("fcn8s", "test_resnet", 7),
        ("fcn8s", "mobilenetv3_small_050", 7),
        ("fcn8s", "test_convnext", 8),
        ("fcn8s", "torchvision/resnet18", 1),
        ("ladder", None, 13),
    ],
)
def test_backbones_are_sharded_by_blocks_that_compute(alone, name, backbone, num_blocks):
    model = build_model(name, backbone=backbone, num_classes=3).eval()
    pictures = torch.randn(1, 3, 64, 64)
    want = model(pictures)
    want.mean().backward()
    slopes = [parameter.grad for parameter in model.parameters()]
    whole = build_model(name, backbone=backbone, num_classes=3).eval()
    assert len(blocks_of(model)) == num_blocks
    shard(model, alone)
    model.zero_grad()
    got = model(pictures)
    got.mean().backward()
    torch.testing.assert_close(got, want)
    for parameter, slope in zip(model.parameters(), slopes, strict=True):
        assert (parameter.grad is None) == (slope is None)
        if slope is not None:
            torch.testing.assert_close(parameter.grad.full_tensor(), slope)
    torch.testing.assert_close(gathered(model, whole)(pictures), want)


@pytest.mark.slow
def test_shards_are_put_together_in_another_number_of_processes(runs, alone):
    folder = runs / "two" / "checkpoints" / SHARDS
    architecture = load_bundle(runs / "two").manifest.architecture
    networks = {name: shard(architecture.build(), alone) for name in ("model", "average")}
    config = TrainConfig(data=runs / "scenes", out=runs / "two", **OPTIONS)
    optimizer = build_optimizer(networks["model"], config)
    progress, _ = load_shards(folder, networks, optimizer, alone)
    assert progress.step == 4
    want = read_shards(folder)[1]
    got = {name: local(tensor) for name, tensor in state_tensors(networks, optimizer).items()}
    assert got.keys() == want.keys()
    assert all(torch.equal(got[name], want[name]) for name in want)

    other = {"model": shard(build_model("fcn16s", backbone="test_resnet", num_classes=2), alone)}
    with pytest.raises(
        BundleError, match=r"cannot be resumed from: average\..* is only in one of both; start"
    ):
        load_shards(folder, other, build_optimizer(other["model"], config), alone)
    other["average"] = shard(build_model("fcn16s", backbone="test_resnet", num_classes=2), alone)
    with pytest.raises(BundleError, match=r"cannot be resumed from: Size mismatch between saved .*; start"):
        load_shards(folder, other, build_optimizer(other["model"], config), alone)


def test_a_list_of_blocks_is_none():
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.body = nn.Module()
    model.backbone.body.stages = nn.ModuleList([nn.ModuleList([nn.Conv2d(1, 1, 1)])])
    assert blocks_of(model) == []
