"""fullconv export: what it writes and says."""

import json

import numpy as np
import pytest
import torch
from calling import call

from fullconv.bundle import Architecture, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.data.scenes import write_scenes
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

for package in ("onnx", "onnxscript", "onnxruntime", "openvino", "nncf"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=2, num_val=1, size_hw=(64, 72))


def save(folder, labels: LabelSet, model: str = "fcn32s", backbone: str = "test_resnet"):
    torch.manual_seed(0)
    architecture = Architecture(model=model, backbone=backbone, num_classes=labels.num_classes)
    state = architecture.build().state_dict()
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={})
    return folder


def test_onnx(capsys, tmp_path):
    import onnxruntime

    model = save(tmp_path / "model", LabelSet.from_names(["a", "b"]), "patchwise", "none")
    code, out, err = call(capsys, "export", model, tmp_path / "m.onnx", "--labels", "--json")
    assert code == 0
    assert f"writing {tmp_path / 'm.onnx'}" in err
    said = json.loads(out)
    assert said["file"] == str(tmp_path / "m.onnx")
    assert [each["agreement"] for each in said["checked"]] == [1.0, 1.0, 1.0]
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    (labels,) = session.run(None, {"image": np.zeros((2, 3, 45, 67), np.float32)})
    assert (labels.shape, labels.dtype) == ((2, 45, 67), np.uint8)
    beside = json.loads((tmp_path / "m.json").read_text())
    assert beside["weights_sha256"] == json.loads((model / "model.json").read_text())["weights_sha256"]

    code, out, err = call(capsys, "export", model, tmp_path / "folder", "--format", "torch")
    assert code == 0
    assert out.startswith("size           off the model by at most  same label\n131 x 97 ")
    assert "of the largest    100.00 %" in out
    assert f"written to {tmp_path / 'folder' / 'model.pt2'}; model.json beside it says how to use it" in err


@pytest.mark.long
def test_int8_is_calibrated_here_or_taken_from_the_bundle(capsys, tmp_path, scenes):
    model = save(tmp_path / "model", open_dataset(scenes).labels)
    out = tmp_path / "i.xml"
    int8 = ("--format", "openvino", "--precision", "int8")
    code, _, err = call(capsys, "export", model, out, *int8)
    assert code == 1
    assert f"{model} has no int8 version; make one: fullconv quantize {model} DATA" in err
    assert err.count("\n") == 1
    code, said, err = call(capsys, "export", model, out, *int8, "--data", scenes)
    assert code == 0
    assert "calibrating on 2 training pictures" in err
    assert "precision  mean IU  ms a picture\nfp32 " in said
    assert "% of the pixels of 1 pictures keep their label" in said
    assert {"i.xml", "i.bin", "i.json"} < {file.name for file in tmp_path.iterdir()}
    assert out.with_suffix(".bin").stat().st_size < 0.5 * (model / "model.safetensors").stat().st_size
    assert 'element_type="i8"' in out.read_text()

    assert call(capsys, "quantize", model, scenes)[0] == 0
    code, said, err = call(capsys, "export", model, tmp_path / "j.xml", *int8, "--labels", "--json")
    assert code == 0
    assert "calibrating" not in err
    said = json.loads(said)
    assert (said["measured"]["num_images"], said["outputs"][0]["name"]) == (1, "labels")


@pytest.mark.long
def test_bf16_measured(capsys, tmp_path, scenes):
    model = save(tmp_path / "model", open_dataset(scenes).labels)
    args = ["export", model, tmp_path / "m.pt2", "--format", "torch", "--precision", "bf16"]
    code, out, err = call(capsys, *args, "--data", scenes)
    assert code == 0
    assert "\nbf16 " in out
    code, out, err = call(capsys, *args)
    assert code == 0
    assert "what bf16 costs is not measured; give --data for that" in err
    assert "mean IU" not in out


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["m.xml"], "m.xml does not end in .onnx, as files for onnx do; give another name, or --format"),
        (["m", "--data", "photos"], "--data is for --precision bf16 or int8"),
        (["m", "--precision", "int8"], "no int8 in files for onnx: int8 is made for OpenVINO"),
        (["model"], "model.json is there already and no export; give another name"),
    ],
)
def test_what_is_refused(capsys, tmp_path, monkeypatch, args, message):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / "model", LabelSet.from_names(["a", "b"]), "patchwise", "none")
    code, out, err = call(capsys, "export", "model", *args)
    assert (code, out) == (1, "")
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert [file.name for file in tmp_path.iterdir()] == ["model"]


def test_int8_of_other_networks_is_refused_before_anything_is_calibrated(capsys, tmp_path, scenes):
    model = save(tmp_path / "model", open_dataset(scenes).labels, "patchwise", "none")
    args = [
        "export",
        model,
        tmp_path / "m.xml",
        "--format",
        "openvino",
        "--precision",
        "int8",
        "--data",
        scenes,
    ]
    code, _, err = call(capsys, *args)
    assert code == 1
    assert err == ("error: int8 is for FCNs (fcn32s, fcn16s, fcn8s, fcn4s); got a Patchwise; export fp32\n")
