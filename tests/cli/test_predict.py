"""`fullconv predict`: heat maps of classifiers, windows, and options that do not go together."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import fullconv
from fullconv.bundle import Architecture, save_bundle
from fullconv.cli import main
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing


def call(capsys, *args: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    return int(stop.value.code or 0), captured.out, captured.err


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    file = tmp_path_factory.mktemp("pictures") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    architecture = Architecture(model="fcn32s", backbone="mobilenetv3_small_050", num_classes=3)
    labels, folder = LabelSet.from_names(["a", "b", "c"]), tmp_path_factory.mktemp("models") / "m"
    state = architecture.build().state_dict()
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={})
    return folder


def test_heat_maps(capsys, picture, tmp_path):
    args = ["predict", "test_resnet", picture, "--out", tmp_path, "--backbone-weights", "none", "--json"]
    code, out, err = call(capsys, *args)
    assert code == 0
    record = json.loads(out)
    assert record["source"] == str(picture)
    assert (record["stride"], record["map_hw"]) == (32, [1, 3])
    assert len(record["classes"]) == 5
    assert "1 of 1 pictures" in err
    assert (tmp_path / "heatmaps" / "photo.jpg").stat().st_size > 1000
    assert json.loads((tmp_path / "predictions.jsonl").read_text()) == record
    assert not (tmp_path / "masks").exists()


def test_windows(capsys, bundle, picture, tmp_path):
    args = ["predict", bundle, picture, "--out", tmp_path, "--precision", "fp32", "--save", "mask"]
    assert call(capsys, *args, "--tile", "64x96", "--overlap", "mean")[0] == 0
    want = fullconv.load(bundle, precision="fp32", tile=(64, 96), overlap="mean").predict(picture).label_map
    with Image.open(tmp_path / "masks" / "photo.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)


def test_refinement(capsys, bundle, picture, tmp_path):
    pytest.importorskip("fullconv.ops.crf")
    args = ["predict", bundle, picture, "--out", tmp_path, "--precision", "fp32", "--refine", "crf"]
    assert call(capsys, *args)[0] == 0
    want = fullconv.load(bundle, precision="fp32", refine="crf").predict(picture).label_map
    with Image.open(tmp_path / "masks" / "photo.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tile", "100", "--overlap", "mean"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "0", "--overlap", "mean"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "big"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "64", "--overlap", "some"], "is not one of 'exact', 'mean', 'gaussian'"),
        (["--backbone-weights", "none"], "has no meaning for the model"),
    ],
)
def test_options_that_do_not_go_together(capsys, bundle, picture, tmp_path, options, message):
    code, _, err = call(capsys, "predict", bundle, picture, "--out", tmp_path, *options)
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize("option", [["--save", "mask"], ["--tile", "whole"], ["--refine", "none"]])
def test_a_classifier_takes_no_segmentation_options(capsys, picture, tmp_path, option):
    args = ["predict", "test_resnet", picture, "--out", tmp_path, "--backbone-weights", "none"]
    code, _, err = call(capsys, *args, *option)
    assert code == 2
    assert f"Invalid value for {option[0]}: has no meaning for an ImageNet classifier" in err


def test_a_classifier_that_cannot_be_slid(capsys, picture, tmp_path):
    args = ["predict", "vit_tiny_patch16_224", picture, "--out", tmp_path, "--backbone-weights", "none"]
    code, out, err = call(capsys, *args)
    assert (code, out) == (1, "")
    assert err.startswith("error: VisionTransformer cannot be made convolutional: its layer 'patch_embed'")
    assert err.count("\n") == 1
