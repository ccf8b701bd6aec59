"""Models by name: every name builds, takes any size, and refuses what it does not have."""

import pytest
import torch
from torch import nn

from fullconv.errors import InputError
from fullconv.models import caffe
from fullconv.models.build import MODELS, build_model, preprocessing_for
from fullconv.models.describe import describe_model
from fullconv.models.fusion import LateFusion


@pytest.fixture
def narrow(monkeypatch):
    """The papers' networks a sixteenth as wide."""
    for name, channels in caffe.VGG16.items():
        monkeypatch.setitem(caffe.VGG16, name, channels // 16)


NAMES = [name for name in MODELS if name != "caffe_fcn_alexnet"]  # 57 M weights: its own tests build it


@pytest.mark.parametrize("name", NAMES)
def test_every_name_builds_and_takes_any_size(narrow, name):
    model = build_model(name, num_classes=4).eval()
    assert isinstance(model, nn.Module)
    assert (model.num_classes, model.stride) == (4, MODELS[name].stride)
    with torch.inference_mode():
        for size in ((1, 1), (33, 50)):
            assert model(torch.randn(1, 3, *size)).shape == (1, 4, *size)


@pytest.mark.parametrize("fusion", ["early", "late"])
@pytest.mark.parametrize("name", ["fcn8s", "caffe_fcn16s", "ladder8s", "patchwise"])
def test_further_channels(narrow, name, fusion):
    torch.manual_seed(0)
    model = build_model(name, num_classes=3, in_channels=4, fusion=fusion).eval()
    assert (model.num_classes, model.stride) == (3, MODELS[name].stride)
    assert isinstance(model, LateFusion) == (fusion == "late")
    for parameter in model.parameters():  # zero score layers would hide the input
        if parameter.dim() > 1 and not parameter.any():
            nn.init.normal_(parameter)
    picture = torch.randn(1, 4, 40, 51)
    other = picture.clone()
    other[:, 3] = 0
    with torch.inference_mode():
        assert model(picture).shape == (1, 3, 40, 51)
        assert not torch.equal(model(picture), model(other))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("caffe_fcn8s", {"upsampling": "learned"}, "model 'caffe_fcn8s' is as its source describes it"),
        ("ladder", {"placement": "half-pixel"}, "options of fcn32s to fcn4s; leave them away"),
        ("ladder", {"backbone": "resnet18"}, "comes with its own backbone, vgg16; got 'resnet18'"),
        (
            "patchwise",
            {"backbone_weights": "pretrained"},
            "'patchwise' has no backbone to load pretrained into",
        ),
        ("fcn8s", {"in_channels": 2}, "in_channels is 2; expected 3 for RGB, or more"),
    ],
)
def test_what_a_model_does_not_have(name, options, message):
    with pytest.raises(InputError, match=message):
        build_model(name, num_classes=2, **options)


def test_normalisation_goes_with_the_weights():
    assert preprocessing_for("fcn8s").mean == (0.485, 0.456, 0.406)
    assert preprocessing_for("fcn8s", 4).std == (0.229, 0.224, 0.225, 0.25)
    caffe_pixels = preprocessing_for("caffe_fcn8s", 4)(torch.full((1, 4, 1, 1), 200, dtype=torch.uint8))
    torch.testing.assert_close(caffe_pixels.flatten(), torch.tensor([77.32108, 83.33123, 95.99301, 72.5]))


@pytest.mark.parametrize(
    ("name", "parameters", "receptive_field"),
    [
        ("caffe_fcn32s", 134_346_581, 404),  # the paper's table: 134 M and 404 pixels
        ("caffe_fcn_alexnet", 56_954_261, 355),  # 57 M and 355
        ("ladder", 18_644_373, 274),
        ("patchwise", 55_669, 15),
        ("fcn8s", 11_195_391, 435),
    ],
)
def test_descriptions(name, parameters, receptive_field):
    row = describe_model(name, None, 21)
    assert (row["parameters"], row["receptive_field"]) == (parameters, receptive_field)
    assert row["stride"] == MODELS[name].stride
