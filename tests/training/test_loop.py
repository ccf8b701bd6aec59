"""Training a small network on small scenes: what it writes, that it learns, and that a broken run goes on to the same bits."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest
import torch

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, DataError, RunError
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.run import opened


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "scenes", num_train=8, num_val=2, size_hw=(64, 80))


def config(scenes: Path, out: Path, **options) -> TrainConfig:
    values = {
        "data": scenes, "out": out, "model": "fcn8s", "backbone": "mobilenetv3_small_050", "backbone_weights": "none",
        "epochs": 3, "batch_size": 4, "workers": 0, "precision": "fp32", "log_every": 1,
    }  # fmt: skip
    return TrainConfig(**(values | options))


def weights(run: Path, name: str = "last") -> str:
    return hashlib.sha256((run / "checkpoints" / name / "model.safetensors").read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def finished(scenes, tmp_path_factory) -> tuple[Path, list[dict]]:
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, list(train(config(scenes, out)))


def test_a_run_leaves_everything_behind(finished):
    out, events = finished
    names = {str(file.relative_to(out)) for file in out.rglob("*") if file.is_file()}
    assert {"config.yaml", "log.jsonl", "samples/epoch_0001.jpg", "samples/epoch_0003.jpg"} <= names
    assert {
        f"checkpoints/{name}/model.{suffix}"
        for name in ("last", "best")
        for suffix in ("safetensors", "json")
    } <= names
    card = (out / "checkpoints" / "best" / "README.md").read_text()
    assert "| pictures | 8 |" in card
    assert "| loss | cross_entropy |" in card
    assert "| backbone_weights | none |" in card
    assert "expected calibration error" in card
    assert str(out.parent) not in card
    assert "checkpoints/state.safetensors" in names
    assert sorted(folder.name for folder in (out / "checkpoints").glob("epoch_*")) == [
        "epoch_0002",
        "epoch_0003",
    ]
    assert not [name for name in names if "/." in name or name.endswith(("tmp", "new", "old"))]
    assert [name for name in names if name.startswith("events.out.tfevents")]
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["kind"] for line in lines] == ["start", *(["step", "step", "epoch"] * 3), "end"]
    assert [event for event in events if event["kind"] not in ("tick", "check", "warning")] == lines
    epoch = lines[-2]
    assert set(epoch["val"]) == {
        "mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "num_images", "split", "per_class", "confusion",
        "boundary_iou", "boundary_f", "boundary_distance", "stride_ceiling", "stride", "calibration",
    }  # fmt: skip
    assert epoch["val"]["num_images"] == 2
    assert {name for name in names if name.endswith("st.jpg")} == {
        "samples/epoch_0003_best.jpg",
        "samples/epoch_0003_worst.jpg",
    }
    best, worst = (epoch["pictures"][key] for key in ("best", "worst"))
    assert [len(best), len(worst)] == [1, 1]
    assert best[0]["mean_iou"] >= worst[0]["mean_iou"]
    assert 0 < epoch["val_seconds"] < epoch["seconds"]


def test_training_lowers_the_loss(scenes, tmp_path):
    events = list(train(config(scenes, tmp_path / "run", epochs=12, val_every=12, lr=5e-3, scale=(1.0, 1.0))))
    losses = [event["loss"] for event in events if event["kind"] == "step"]
    assert np.mean(losses[-4:]) < 0.6 * np.mean(losses[:4])
    assert [event["val"] is None for event in events if event["kind"] == "epoch"] == [True] * 11 + [False]


def test_the_seed_decides_everything(scenes, finished, tmp_path):
    list(train(config(scenes, tmp_path / "again", workers=2)))
    assert weights(tmp_path / "again") == weights(finished[0])
    list(train(config(scenes, tmp_path / "other", seed=1, epochs=1)))
    assert weights(tmp_path / "other") != weights(finished[0])


@pytest.mark.parametrize("stop_after", [1, *(pytest.param(n, marks=pytest.mark.long) for n in (2, 3, 5))])
def test_a_run_that_was_stopped_goes_on_to_the_same_bits(scenes, finished, tmp_path, stop_after):
    out = tmp_path / "run"
    events = train(config(scenes, out))

    def interrupt_after_some_steps():
        ticks = 0
        for event in events:
            ticks += event["kind"] == "tick"
            if ticks == stop_after:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        interrupt_after_some_steps()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    list(train(config(scenes, out), resume=True))
    assert weights(out) == weights(finished[0])
    assert json.loads((out / "log.jsonl").read_text().splitlines()[-1])["kind"] == "end"


@pytest.mark.long
def test_a_run_that_was_killed_goes_on_to_the_same_bits(scenes, tmp_path):
    """SIGKILL at moments spread over the run, again and again; dropout, batch norm and augmentation included."""
    options = [
        "--model",
        "fcn8s",
        "--backbone",
        "mobilenetv3_small_050",
        "--backbone-weights",
        "none",
        "--epochs",
        "4",
    ]
    options += [
        "--batch-size",
        "2",
        "--precision",
        "fp32",
        "--set",
        "save_minutes=0.001",
        "--set",
        "log_every=1",
    ]
    command = [sys.executable, "-c", "from fullconv.cli import main; main()", "train", str(scenes), *options]
    subprocess.run([*command, "--out", tmp_path / "whole"], check=True, capture_output=True)
    out, kills, random = tmp_path / "broken", 0, np.random.default_rng(0)
    for _ in range(60):
        resume = ["--resume"] if (out / "checkpoints" / "state.safetensors").exists() else []
        until = steps_logged(out) + random.integers(4)
        process = subprocess.Popen(
            [*command, "--out", out, *resume], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and steps_logged(out) <= until:
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.1))
        process.kill()
        if process.wait() == 0:
            break
        kills += 1
    assert kills >= 3
    assert weights(out) == weights(tmp_path / "whole")


def steps_logged(run: Path) -> int:
    log = run / "log.jsonl"
    return log.read_text().count('"kind": "step"') if log.exists() else 0


def test_augmentation_on_the_device_goes_on_to_the_same_bits(scenes, finished, tmp_path):
    """And learns from the same crops as the loader's, but for roundings."""
    options = {"augmentation": "device", "epochs": 2}
    events = list(train(config(scenes, tmp_path / "whole", **options)))
    first, expected = (
        next(event["loss"] for event in each if event["kind"] == "step") for each in (events, finished[1])
    )
    assert first == pytest.approx(expected, rel=0.1)
    assert first != expected
    cut_off = train(config(scenes, tmp_path / "cut", **options))
    while next(cut_off).get("step") != 3:
        pass
    cut_off.close()
    list(train(config(scenes, tmp_path / "cut", **options), resume=True))
    assert weights(tmp_path / "cut") == weights(tmp_path / "whole")


def test_a_compiled_network_trains_as_it_does_without(scenes, tmp_path, monkeypatch):
    """Traced as ever, but run step by step: making faster code of it takes minutes."""
    monkeypatch.setattr(torch.nn.Module, "compile", partialmethod(torch.nn.Module.compile, backend="eager"))
    torch._dynamo.reset()
    small = {"backbone": "test_resnet", "epochs": 1}
    plain, compiled = (
        list(train(config(scenes, tmp_path / str(compile), compile=compile, **small)))
        for compile in (False, True)
    )
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    assert not torch._dynamo.utils.counters["graph_break"]
    assert [event["kind"] for event in compiled] == [event["kind"] for event in plain]
    losses, expected = (
        [event["loss"] for event in each if event["kind"] == "step"] for each in (compiled, plain)
    )
    assert losses == pytest.approx(expected, rel=1e-4)
    assert load_bundle(tmp_path / "True").model(torch.zeros(1, 3, 33, 65)).shape == (1, 7, 33, 65)


@pytest.mark.long
def test_a_compiled_network_trains_the_same(scenes, finished, tmp_path):
    events = list(train(config(scenes, tmp_path / "run", compile=True, epochs=1)))
    losses = [event["loss"] for event in events if event["kind"] == "step"]
    expected = [event["loss"] for event in finished[1] if event["kind"] == "step"]
    assert losses == pytest.approx(expected[: len(losses)], rel=1e-2)


@pytest.mark.slow
def test_sigterm_saves_and_leaves(scenes, tmp_path):
    out = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        "from fullconv.cli import main; main()",
        "train",
        str(scenes),
        "--out",
        str(out),
    ]
    command += [
        "--backbone",
        "mobilenetv3_small_050",
        "--backbone-weights",
        "none",
        "--epochs",
        "500",
        "--batch-size",
        "4",
        "--workers",
        "1",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while not (out / "checkpoints" / "last" / "model.json").exists():
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.1)
    began = time.monotonic()
    os.killpg(process.pid, signal.SIGTERM)  # as a service manager does: every process gets it
    _, errors = process.communicate(timeout=10)
    assert time.monotonic() - began < 10
    assert process.returncode == 130
    assert errors.rstrip().splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in errors


def test_the_run_folder_is_not_overwritten(scenes, finished):
    with pytest.raises(ConfigError, match="already holds a run; add --resume"):
        list(train(config(scenes, finished[0])))


def test_resume_needs_a_run(scenes, tmp_path):
    with pytest.raises(ConfigError, match="holds no state to resume"):
        list(train(config(scenes, tmp_path / "nothing"), resume=True))
    assert not (tmp_path / "nothing").exists()


def test_a_fault_in_the_data_stops_before_the_run_folder_is_made(scenes, tmp_path):
    import shutil

    broken = tmp_path / "scenes"
    shutil.copytree(scenes, broken)
    victim = next(broken.rglob("SegmentationClass/*.png"))
    victim.write_bytes(victim.read_bytes()[:60])
    with pytest.raises(DataError, match=victim.name):
        list(train(config(broken, tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_not_finite_names_the_pictures(scenes, tmp_path):
    run_events = train(config(scenes, tmp_path / "run", lr=1e30, clip=None, warmup=0.0, optimizer="sgd"))
    with pytest.raises(
        RunError, match=r"the loss is (nan|inf) at step \d+; lower --lr, or look at the pictures "
    ):
        list(run_events)


def test_another_models_weights_start_a_run_with_other_classes(scenes, finished, tmp_path):
    """--init keeps what fits: the backbone, and scores only where the classes are as many."""
    with ExitStack() as held:
        run = opened(config(scenes, tmp_path / "run", init_from=str(finished[0])), held, print)
    source = load_bundle(finished[0]).model.state_dict()
    for name, tensor in run.model.state_dict().items():
        assert torch.equal(tensor, source[name]), name


def test_init_refuses_another_backbone(scenes, finished, tmp_path):
    with pytest.raises(ConfigError, match="has the backbone mobilenetv3_small_050, not resnet10t"):
        list(train(config(scenes, tmp_path / "run", init_from=str(finished[0]), backbone="resnet10t")))
