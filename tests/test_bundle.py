"""Bundles: what is written comes back, what is damaged does not load, what is not finished is not seen."""

import hashlib
import io
import json
import logging
import os
import pickle
import random
import shutil
import sqlite3
import subprocess
import timeit
from pathlib import Path

import pytest
import torch

from fullconv import bundle as bundle_module
from fullconv.bundle import Architecture, find_bundle, load_bundle, read_manifest, save_bundle
from fullconv.errors import BundleError, InputError, StorageError
from fullconv.labels import LabelSet
from fullconv.models.backbones import read_state
from fullconv.preprocessing import Preprocessing

ARCHITECTURE = Architecture(
    model="fcn16s", backbone="mobilenetv3_small_050", num_classes=3, upsampling="learned"
)
LABELS = LabelSet.from_names(["background", "<b>bag</b>", "猫"])


GADGETS = [
    (os.system, ("touch pwned",)),
    (os.mkdir, ("pwned",)),
    (os.makedirs, ("pwned",)),
    (os.symlink, (".", "pwned")),
    (os.mknod, ("pwned",)),
    (os.open, ("pwned", os.O_CREAT)),
    (os.spawnlp, (os.P_WAIT, "touch", "touch", "pwned")),
    (open, ("pwned", "w")),
    (io.FileIO, ("pwned", "w")),
    (eval, ("open('pwned', 'w').close()",)),
    (exec, ("open('pwned', 'w').close()",)),
    (subprocess.call, (["touch", "pwned"],)),
    (subprocess.check_output, (["touch", "pwned"],)),
    (subprocess.getoutput, ("touch pwned",)),
    (shutil.copyfile, (__file__, "pwned")),
    (shutil.copytree, ("model", "pwned")),
    (Path.touch, (Path("pwned"),)),
    (timeit.timeit, ("open('pwned', 'w').close()", "pass", timeit.default_timer, 1)),
    (logging.FileHandler, ("pwned",)),
    (sqlite3.connect, ("pwned",)),
]
"""Twenty ways in which a pickle makes a file; what a bundle holds must reach none of them."""


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    torch.manual_seed(0)
    model = ARCHITECTURE.build().eval()
    folder = tmp_path_factory.mktemp("models") / "model"
    write(folder, model)
    return folder, model


def write(folder, model):
    save_bundle(
        folder, model.state_dict(), ARCHITECTURE, LABELS, Preprocessing(), trained={"epoch": 3}, metrics={"mean_iou": 0.5}
    )  # fmt: skip


def test_what_is_written_comes_back(saved):
    folder, model = saved
    loaded = load_bundle(folder)
    picture = torch.randn(1, 3, 43, 57)
    with torch.inference_mode():
        assert torch.equal(loaded.model(picture), model(picture))
    assert loaded.labels.names == LABELS.names
    assert loaded.labels.colors == LABELS.colors
    assert loaded.preprocessing == Preprocessing()
    assert loaded.manifest.metrics == {"mean_iou": 0.5}
    assert sorted(file.name for file in folder.iterdir()) == [
        "README.md",
        "model.json",
        "model.safetensors",
    ]
    assert [file.name for file in folder.parent.iterdir()] == ["model"]


@pytest.mark.parametrize("attempts", [60, pytest.param(5000, marks=pytest.mark.long)])
@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_no_changed_file_is_accepted(saved, tmp_path, name, attempts):
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    whole = (folder / name).read_bytes()
    chance = random.Random(name)
    for attempt in range(attempts):
        broken = bytearray(whole)
        kind = attempt % 3
        if kind == 0:
            broken[chance.randrange(len(broken))] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del broken[chance.randrange(len(broken)) :]
        else:
            broken[chance.randrange(len(broken)) : 0] = b"  {}"
        if bytes(broken) == whole:
            continue
        (folder / name).write_bytes(broken)
        try:
            content = json.loads(broken) == json.loads(whole) if name == "model.json" else False
        except (ValueError, RecursionError):
            content = False
        if content:  # white space between the same values
            continue
        with pytest.raises(BundleError):
            load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "not a model of this format"),
        ({"classes": [{"name": "a", "color": [0, 0, 0]}] * 2}, "not a model of this format|given twice"),
        (
            {"architecture": {"model": "fcn8s", "backbone": "resnet18", "num_classes": 10**9}},
            "not a model of this format",
        ),
        (
            {"architecture": {"model": "fcn8s", "backbone": "../../etc/passwd", "num_classes": 3}},
            "does not load: unknown backbone",
        ),
        ({"architecture": {"model": "../fcn8s", "backbone": "resnet18", "num_classes": 3}}, "unknown model"),
        ({"weights_sha256": "../model.json"}, "is damaged"),
        ({"mean": [1e999, 0, 0]}, "not a model of this format"),
        ({"std": [0, 1, 1]}, "not a model of this format"),
        ({"surprise": 1}, "not a model of this format"),
    ],
)
def test_a_hostile_manifest_is_refused(saved, tmp_path, change, message):
    """Even with its digest right."""
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    rewrite_manifest(folder, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def rewrite_manifest(folder, change):
    """As somebody would who knows how: with the right digest."""
    content = json.loads((folder / "model.json").read_text()) | change
    del content["manifest_sha256"]
    content["manifest_sha256"] = bundle_module.digest(content)
    (folder / "model.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    "gadget", GADGETS, ids=lambda gadget: f"{gadget[0].__module__}.{gadget[0].__qualname__}"
)
def test_a_pickle_in_the_place_of_weights_is_not_run(saved, tmp_path, monkeypatch, gadget):
    """Not even where its digest is right."""
    function, arguments = gadget
    monkeypatch.chdir(tmp_path)

    class Payload:
        def __reduce__(self):
            return function, arguments

    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    zipped = io.BytesIO()
    torch.save({"weight": Payload()}, zipped)
    for weights in (pickle.dumps(Payload()), zipped.getvalue()):
        (folder / "model.safetensors").write_bytes(weights)
        rewrite_manifest(folder, {"weights_sha256": hashlib.sha256(weights).hexdigest()})
        with pytest.raises(BundleError, match="does not load"):
            load_bundle(folder)
        (tmp_path / "foreign.pth").write_bytes(weights)
        with pytest.raises(InputError, match="cannot be read as weights"):
            read_state(tmp_path / "foreign.pth")
    assert not (tmp_path / "pwned").exists()
    # The payload does what it is feared for.
    made = pickle.loads(pickle.dumps(Payload()))  # noqa: S301
    getattr(made, "close", int)()
    assert (tmp_path / "pwned").exists()


def test_a_bundle_is_replaced_whole_or_not_at_all(saved, tmp_path, monkeypatch):
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    before = (folder / "model.safetensors").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        write(folder, saved[1])
    assert (folder / "model.safetensors").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_a_crash_between_the_two_renames_is_survived(saved, tmp_path):
    checkpoints = tmp_path / "run" / "checkpoints"
    shutil.copytree(saved[0], checkpoints / ".last.old")
    assert find_bundle(tmp_path / "run") == checkpoints / ".last.old"
    write(checkpoints / "last", saved[1])
    assert sorted(file.name for file in checkpoints.iterdir()) == ["last"]
    assert find_bundle(tmp_path / "run") == checkpoints / "last"


def test_best_comes_before_last(saved, tmp_path):
    for name in ("best", "last"):
        shutil.copytree(saved[0], tmp_path / "checkpoints" / name)
    assert find_bundle(tmp_path).name == "best"


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(BundleError, match=r"no model at .*nowhere; expected a run folder, a bundle folder"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"holds no model: neither model\.json nor checkpoints/best"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_text("[1, 2")
    with pytest.raises(BundleError, match=r"model\.json cannot be read"):
        read_manifest(tmp_path / "model.json")
