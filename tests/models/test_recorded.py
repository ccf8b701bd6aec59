"""Recorded backbones are the libraries' own, from a file."""

import json
import subprocess
import sys

import pytest
import torch

import fullconv
from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.download import cache_folder
from fullconv.errors import InputError, RunError
from fullconv.labels import LabelSet
from fullconv.models.backbones import build_backbone
from fullconv.models.recorded import Recording, decoded, recorded_backbone
from fullconv.preprocessing import Preprocessing


@pytest.fixture(autouse=True)
def empty_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FULLCONV_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    "name", ["resnet10t", "torchvision/mobilenet_v2", "mobilenetv3_small_050", "convnext_atto", "resnetv2_50"]
)
def test_a_recording_says_what_the_backbone_says(name):
    backbone = build_backbone(name).eval()
    first, second = recorded_backbone(name, 4), recorded_backbone(name, 4)
    assert type(first.body).__name__ != "RecordedBody"  # the first time it is built, and recorded
    assert type(second.body).__name__ == "RecordedBody"
    assert list(second.state_dict()) == list(backbone.state_dict())
    second.load_state_dict(backbone.state_dict())
    for attribute in ("strides", "channels", "geometry_hw", "smallest", "row_axes"):
        assert getattr(second, attribute) == getattr(backbone, attribute)
    x = torch.randn(1, 3, 133, 97)
    with torch.inference_mode():
        for stride, features in backbone(x).items():
            torch.testing.assert_close(second(x)[stride], features, rtol=0, atol=0)


def test_what_cannot_be_recorded_is_built():
    name = "tf_efficientnet_b0"
    with pytest.raises(InputError, match="depends on the picture's size"):
        Recording.of(build_backbone(name))
    for _ in range(2):
        assert type(recorded_backbone(name, 4).body).__name__ != "RecordedBody"


@pytest.mark.parametrize(
    "damage", [b"", b"{}", b'{"body": {"state": {}, "calls": [["torch", "load", [], {}]], "outputs": []}}']
)
def test_a_damaged_recording_is_made_anew(damage):
    recorded_backbone("resnet10t", 8)
    (file,) = (cache_folder() / "backbones").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage)
    assert recorded_backbone("resnet10t", 8).strides == (8, 16, 32)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("name", ["load", "from_file", "__class__"])
def test_a_recording_calls_nothing_but_layers(name):
    with pytest.raises(ValueError, match="is not a function that can be recorded"):
        decoded(["torch", name, ["file"], {}], {})


def test_recorded_networks_are_not_trained():
    recorded_backbone("resnet10t", 8)
    backbone = recorded_backbone("resnet10t", 8)
    with pytest.raises(RunError, match="--init"):
        backbone.train()


def saved(folder, **options):
    torch.manual_seed(0)
    architecture = Architecture(model="fcn8s", backbone="resnet10t", num_classes=2, **options)
    model = architecture.build().eval()
    labels = LabelSet.from_names(["background", "bag"])
    save_bundle(folder, model.state_dict(), architecture, labels, Preprocessing(), trained={}, metrics={})
    return model


@pytest.mark.parametrize("options", [{}, {"upsampling": "learned"}, {"placement": "half-pixel"}])
def test_a_bundle_predicts_from_the_recording_and_trains_from_the_library(tmp_path, options):
    model = saved(tmp_path / "m", **options)
    x = torch.randn(1, 3, 70, 91)
    for _ in range(2):
        lean = load_bundle(tmp_path / "m", for_prediction=True).model
        with torch.inference_mode():
            torch.testing.assert_close(lean(x), model(x), rtol=0, atol=0)
    assert type(lean.backbone.body).__name__ == "RecordedBody"
    load_bundle(tmp_path / "m").model.train()


def test_loaded_models_are_folded_and_streamed(tmp_path):
    saved(tmp_path / "m")
    for body in ("a library's", "RecordedBody"):
        segmenter = fullconv.load(tmp_path / "m", engine="torch")
        assert (type(segmenter.model.backbone.body).__name__ == "RecordedBody") is (body == "RecordedBody")
        assert "batch_norm" not in {call.name for call in segmenter.engine.tape("fp32").calls}
        assert segmenter.tiler.stream(91) is not None


@pytest.mark.long
def test_a_second_start_imports_no_backbone_library(tmp_path):
    saved(tmp_path / "m")
    code = f"""
import sys, numpy, fullconv
segmenter = fullconv.load({str(tmp_path / "m")!r}, engine="torch")
label_map = segmenter.predict(numpy.zeros((40, 50, 3), numpy.uint8)).label_map
print(label_map.shape, sorted({{"timm", "torchvision"}} & set(sys.modules)))
"""
    fullconv.load(tmp_path / "m", engine="torch")  # the first start, which makes the recording
    start = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert start.stdout == "(40, 50) []\n"


def test_the_file_is_plain_json():
    recorded_backbone("resnet10t", 8)
    (file,) = (cache_folder() / "backbones").iterdir()
    assert set(json.loads(file.read_text())) == {"body", "attributes"}
