"""What a run survives and what it refuses: a second trainer, changed facts, killed writers, full disks, lost losses."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from fullconv import storage
from fullconv.data.dataset import open_dataset
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, RunError, StorageError
from fullconv.training import facts, loop, step
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.state import STATE, read_state


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=4, num_val=2, size_hw=(64, 64))


def config(scenes: Path, out: Path, **options: object) -> TrainConfig:
    values = {
        "data": scenes, "out": out, "model": "fcn32s", "backbone": "test_resnet", "backbone_weights": "none", "epochs": 2,
        "batch_size": 2, "crop": (64, 64), "workers": 0, "precision": "fp32",
    }  # fmt: skip
    return TrainConfig(**(values | options))


def test_validation_pictures_that_are_learnt_from_are_said(scenes, tmp_path):
    def warnings(**options):
        events = train(config(scenes, tmp_path / options.get("train_split", "train"), epochs=1, **options))
        told = [next(events) for _ in range(4)]
        events.close()
        return " ".join(event["message"] for event in told if event["kind"] == "warning")

    assert "2 of 2 val pictures are in train+val too" in warnings(train_split="train+val")
    assert "pictures are in" not in warnings()


def stopped_after(events, steps: int) -> None:
    """Leaves a run as a closed generator does, without its state."""
    ticks = 0
    while ticks < steps:
        ticks += next(events)["kind"] == "tick"
    events.close()


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return read_state(out / "checkpoints" / STATE)[1]


def same(first: Path, second: Path) -> bool:
    ours, theirs = tensors(first), tensors(second)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
def test_a_second_trainer_is_refused_at_once_and_a_dead_one_is_not_in_the_way(scenes, tmp_path):
    out = tmp_path / "run"
    code = f"""
from pathlib import Path
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
for event in train(TrainConfig.model_validate_json({config(scenes, out, epochs=10**6, workers=1).model_dump_json()!r})):
    if event["kind"] == "epoch": print("epoch", flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        other.stdout.readline()
        began = time.monotonic()
        with pytest.raises(RunError, match=f"is being trained in by process {other.pid}; wait for its end"):
            list(train(config(scenes, out, epochs=10**6), resume=True))
        assert time.monotonic() - began < 1
        other.kill()
    # At once, though its loading process may still be there.
    events = train(config(scenes, out, epochs=10**6), resume=True)
    stopped_after(events, 1)


def test_a_run_can_be_resumed_from_its_first_moment(scenes, tmp_path):
    list(train(config(scenes, tmp_path / "whole")))
    events = train(config(scenes, tmp_path / "broken"))
    while next(events)["kind"] != "start":
        pass
    events.close()
    list(train(config(scenes, tmp_path / "broken"), resume=True))
    assert same(tmp_path / "whole", tmp_path / "broken")


def test_the_state_is_saved_between_epochs(scenes, tmp_path):
    events = train(config(scenes, tmp_path / "run", epochs=9, save_minutes=1e-9))
    stopped_after(events, 5)
    about, _ = read_state(tmp_path / "run" / "checkpoints" / STATE)
    assert about["progress"]["step"] == 4  # the state of a step is written after its tick


@pytest.mark.parametrize("fact", ["threads", "data", "torch", "processor"])
def test_what_changed_since_is_named_and_may_be_forced(scenes, tmp_path, monkeypatch, fact):
    data, out = tmp_path / "data", tmp_path / "run"
    shutil.copytree(scenes, data)
    stopped_after(train(config(data, out)), 2)
    if fact == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 77)
    elif fact == "torch":
        monkeypatch.setattr(facts.torch, "__version__", "9.9.9")
    elif fact == "processor":
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "OTHER")
    else:
        victim = open_dataset(data).split("train")[0].mask
        with Image.open(victim) as mask:
            mask.save(victim, compress_level=0)
    with pytest.raises(ConfigError, match=f"was trained with {fact} .*, now it is .*; .*--force") as error:
        list(train(config(data, out), resume=True))
    assert "\n" not in str(error.value)
    assert list(train(config(data, out), resume=True, force=True))[-1]["kind"] == "end"


def test_data_that_moved_is_the_same_data(scenes, tmp_path):
    shutil.copytree(scenes, tmp_path / "data")
    stopped_after(train(config(tmp_path / "data", tmp_path / "run")), 2)
    (tmp_path / "data").rename(tmp_path / "elsewhere")
    list(train(config(tmp_path / "elsewhere", tmp_path / "run"), resume=True))


def test_what_killed_writers_left_is_cleaned(scenes, tmp_path):
    out = tmp_path / "run"
    stopped_after(train(config(scenes, out)), 2)
    (out / "checkpoints" / ".0123456789ab.partial").write_bytes(b"x" * 100)
    (out / "checkpoints" / ".last.new").mkdir()
    (out / "checkpoints" / ".last.new" / "model.json").write_text("{")
    list(train(config(scenes, out), resume=True))
    assert not [file.name for file in out.rglob(".*") if file.name != ".lock"]


SAVING = """
import os, pathlib, signal, sys, torch
from fullconv import storage
from fullconv.training.state import Progress, read_state, save_state

file, opened = pathlib.Path(sys.argv[1]), pathlib.Path.open
torch.set_num_threads(1)
model = torch.nn.Linear(200, 200)
optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
save = lambda step: save_state(file, {"model": model}, optimizer, Progress(step=step), {})
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)

class Dying:
    def __init__(self, file, place): self.file, self.place = file, place
    def __enter__(self): return self
    def __exit__(self, *_): self.file.close()
    def write(self, data): self.file.write(data[: self.place]); self.file.flush(); die()

def child(stage):
    if stage == "fsync": storage.os.fsync = die
    elif stage == "rename": storage.os.replace = die
    elif stage == "folder": storage._sync_folder = die
    else: pathlib.Path.open = lambda self, mode="r": Dying(opened(self, mode), stage) if mode == "xb" else opened(self, mode)
    save(2)

for stage in [*range(0, 170_000, 4096), "fsync", "rename", "folder"]:
    save(1)
    process = os.fork()
    if process == 0:
        child(stage)
        os._exit(0)
    assert os.waitpid(process, 0)[1] == signal.SIGKILL, stage
    step = read_state(file)[0]["progress"]["step"]
    assert step == (2 if stage == "folder" else 1), (stage, step)
    storage.clean(file.parent)
    assert [each.name for each in file.parent.iterdir()] == [file.name]
"""


@pytest.mark.long
def test_killed_at_any_stage_of_saving_the_old_or_the_new_state_loads(tmp_path):
    """45 processes that kill themselves: after every 4 KB written, before it is synced, renamed, its name synced."""
    done = subprocess.run([sys.executable, "-c", SAVING, tmp_path / "state"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_is_said_and_loses_nothing(scenes, tmp_path, monkeypatch):
    out = tmp_path / "run"
    stopped_after(train(config(scenes, out)), 2)
    before = (out / "checkpoints" / STATE).read_bytes()
    events = train(config(scenes, out), resume=True)
    while next(events)["kind"] != "start":
        pass

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match=r"No space left|disk full"):
        list(events)
    monkeypatch.undo()
    assert (out / "checkpoints" / STATE).read_bytes() == before
    assert not list(out.rglob(".*.partial"))
    list(train(config(scenes, out), resume=True))
    list(train(config(scenes, tmp_path / "whole")))
    assert same(out, tmp_path / "whole")


def spoilt(monkeypatch, steps: set[int]) -> None:
    """Makes the loss nan at these steps, by what the network says."""
    genuine, count = step.logits_and_labels, iter(range(10**6))

    def answer(run, pictures, labels):
        (logits,), labels = genuine(run, pictures, labels)
        return (logits * float("nan") if next(count) in steps else logits,), labels

    monkeypatch.setattr(step, "logits_and_labels", answer)


def test_a_step_without_a_finite_loss_is_left_out(scenes, tmp_path, monkeypatch):
    spoilt(monkeypatch, {1})
    events = list(train(config(scenes, tmp_path / "run", non_finite="skip", ema=0.9)))
    (warning,) = [event for event in events if event["kind"] == "warning" and "step" in event]
    assert warning["message"].startswith("the loss is nan at step 2: left out; look at the pictures ")
    assert all(tensor.isfinite().all() for tensor in tensors(tmp_path / "run").values())
    assert events[-1]["kind"] == "end"
    assert any(
        json.loads(line) == warning for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()
    )


def test_a_run_without_finite_losses_is_ended(scenes, tmp_path, monkeypatch):
    spoilt(monkeypatch, set(range(3, 1000)))
    with pytest.raises(RunError, match="the loss is nan at step 13, as at 9 steps before; lower --lr"):
        list(train(config(scenes, tmp_path / "run", non_finite="skip", epochs=20)))


@pytest.mark.parametrize(("val_every", "epochs"), [(1, 4), (2, 6)])
def test_patience_ends_a_run_that_no_longer_gains(scenes, tmp_path, monkeypatch, val_every, epochs):
    figures = iter([0.5, 0.6, 0.6, 0.55, 0.9] if val_every == 1 else [0.5, 0.6, 0.6, 0.9])
    genuine = loop.validate

    def validate(run, judged, epoch):
        measured = genuine(run, judged, epoch)
        return measured | {"val": measured["val"] | {"mean_iou": next(figures)}}

    monkeypatch.setattr(loop, "validate", validate)
    asked = config(scenes, tmp_path / "run", epochs=9, patience=2, val_every=val_every)
    events = list(train(asked))
    assert [event["epoch"] for event in events if event["kind"] == "epoch"] == [*range(1, epochs + 1)]
    assert events[-1]["kind"] == "end"
    again = list(train(asked, resume=True))
    assert not [event for event in again if event["kind"] == "tick"]


def test_a_frozen_backbone_stays_as_it_is(scenes, tmp_path):
    list(train(config(scenes, tmp_path / "free", epochs=1)))
    list(
        train(config(scenes, tmp_path / "run", epochs=1, freeze="backbone", init_from=str(tmp_path / "free")))
    )
    before, after = tensors(tmp_path / "free"), tensors(tmp_path / "run")
    names = [name for name in after if name.startswith("model.")]
    assert {name.split(".")[1] for name in names if not torch.equal(before[name], after[name])} == {"score"}


@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"loss_reduction": "sum"}])
def test_options_that_another_loss_would_not_heed_are_refused(scenes, tmp_path, options):
    with pytest.raises(ConfigError, match="belong to loss=cross_entropy; got loss=ohem"):
        list(train(config(scenes, tmp_path / "run", loss="ohem", **options)))
    assert not (tmp_path / "run").exists()
