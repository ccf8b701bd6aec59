"""fullconv quantize: what it prints and writes, and that predict uses it."""

import json

import numpy as np
import pytest
import torch
from calling import call
from PIL import Image

import fullconv
from fullconv.bundle import Architecture, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.data.scenes import write_scenes
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

pytest.importorskip("openvino")
pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=3, num_val=2, size_hw=(96, 104))


@pytest.fixture(autouse=True, scope="module")
def own_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FULLCONV_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


def save(folder, labels: LabelSet, model: str = "fcn32s", backbone: str = "test_resnet"):
    torch.manual_seed(0)
    architecture = Architecture(model=model, backbone=backbone, num_classes=labels.num_classes)
    state = architecture.build().state_dict()
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={})
    return folder


@pytest.mark.long
def test_from_float_to_masks(capsys, scenes, tmp_path):
    model = save(tmp_path / "model", open_dataset(scenes).labels)
    code, out, err = call(capsys, "quantize", model, scenes, "--pictures", 2, "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["folder"] == str(model / "int8")
    assert (figures["calibration_pictures"], figures["num_images"]) == (2, 2)
    assert figures["label_agreement"] > 0.9
    assert "calibrating on 2 training pictures" in err
    record = json.loads((model / "int8" / "int8.json").read_text())
    assert record["measured"] == {name: value for name, value in figures.items() if name != "folder"}

    picture = tmp_path / "p.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (99, 131, 3), np.uint8)).save(picture)
    args = ["predict", model, picture, "--out", tmp_path / "out", "--save", "mask", "--precision", "int8"]
    assert call(capsys, *args)[0] == 0
    want = fullconv.load(model, precision="int8").predict(picture).label_map
    with Image.open(tmp_path / "out" / "masks" / "p.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)

    code, out, err = call(capsys, "quantize", model, scenes, "--pictures", 1)
    assert code == 0
    assert out.startswith("precision  mean IU  ms a picture\nfp32 ")
    assert "% of the pixels of 2 pictures keep their label" in out
    assert f"written to {model / 'int8'}; use it with --precision int8" in err


def test_predict_without_an_int8_version(capsys, scenes, tmp_path):
    model = save(tmp_path / "model", open_dataset(scenes).labels)
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(tmp_path / "p.png")
    args = ["predict", model, tmp_path / "p.png", "--out", tmp_path / "out", "--precision", "int8"]
    code, out, err = call(capsys, *args)
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert f"error: {model} has no int8 version; make one: fullconv quantize {model} DATA" in err


def test_other_classes_and_other_models_are_refused(capsys, scenes, tmp_path):
    model = save(tmp_path / "other", LabelSet.from_names(["a", "b"]))
    code, _, err = call(capsys, "quantize", model, scenes)
    assert code == 1
    assert "knows the class 'a', which" in err
    names = open_dataset(scenes).labels.names
    model = save(tmp_path / "fewer", LabelSet.from_names(names[:2]))
    code, _, err = call(capsys, "quantize", model, scenes)
    assert code == 1
    assert f"{scenes} has more classes than {model}" in err
    model = save(tmp_path / "patchwise", open_dataset(scenes).labels, "patchwise", "none")
    code, _, err = call(capsys, "quantize", model, scenes)
    assert code == 1
    assert "openvino runs FCNs (fcn32s, fcn16s, fcn8s, fcn4s); got a" in err
