"""Bundles: what is written comes back, what is damaged does not load, what is not finished is not seen."""

import json
import os
import random
import shutil

import pytest
import torch

from fullconv import bundle as bundle_module
from fullconv.bundle import Architecture, find_bundle, load_bundle, read_manifest, save_bundle
from fullconv.errors import BundleError, StorageError
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

ARCHITECTURE = Architecture(
    model="fcn16s", backbone="mobilenetv3_small_050", num_classes=3, upsampling="learned"
)
LABELS = LabelSet.from_names(["background", "<b>bag</b>", "猫"])


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


@pytest.mark.parametrize("name", ["model.json", "model.safetensors"])
def test_no_changed_file_is_accepted(saved, tmp_path, name):
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    whole = (folder / name).read_bytes()
    chance = random.Random(name)
    for attempt in range(60):
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
        ({"surprise": 1}, "not a model of this format"),
    ],
)
def test_a_hostile_manifest_is_refused(saved, tmp_path, change, message):
    """Even with its digest right."""
    folder = tmp_path / "model"
    shutil.copytree(saved[0], folder)
    content = json.loads((folder / "model.json").read_text()) | change
    content.pop("manifest_sha256")
    content["manifest_sha256"] = bundle_module.digest(content)
    (folder / "model.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


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
    with pytest.raises(BundleError, match=r"no model at .*nowhere; expected a run folder or a bundle folder"):
        load_bundle(tmp_path / "nowhere")
    with pytest.raises(BundleError, match=r"holds no model: neither model\.json nor checkpoints/best"):
        load_bundle(tmp_path)
    (tmp_path / "model.json").write_text("[1, 2")
    with pytest.raises(BundleError, match=r"model\.json cannot be read"):
        read_manifest(tmp_path / "model.json")
