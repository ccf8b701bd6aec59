"""Which engine is picked, and what is refused in one line."""

import sys

import pytest
import torch

from fullconv.errors import ConfigError
from fullconv.inference.engines import choice, openvino_engine
from fullconv.inference.engines.choice import openvino_precision, pick_engine
from fullconv.models.build import build_model


@pytest.mark.parametrize(
    ("name", "precision", "want"),
    [
        ("auto", "fp32", ("torch", "fp32")),
        ("torch", "bf16", ("torch", "bf16")),
        ("openvino", "fp32", ("openvino", "fp32")),
        pytest.param("onnxruntime", "auto", ("onnxruntime", "fp32"), marks=pytest.mark.long),
        ("onnxruntime", "fp32", ("onnxruntime", "fp32")),
    ],
)
def test_names(fcn, name, precision, want):
    if want[0] != "torch":
        pytest.importorskip(want[0])
    engine = pick_engine(name, fcn, "cpu", precision)
    assert (engine.name, engine.precision) == want
    assert engine.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("name", "device", "precision", "message"),
    [
        (
            "tensorrt",
            "auto",
            "auto",
            "engine is 'tensorrt'; expected one of auto, torch, openvino, onnxruntime",
        ),
        ("torch", "auto", "int8", "torch does not run int8; use --engine openvino"),
        ("onnxruntime", "cpu", "int8", "onnxruntime runs fp32; got precision 'int8'; use --engine openvino"),
        ("onnxruntime", "cpu", "bf16", "onnxruntime runs fp32; got precision 'bf16'"),
        ("openvino", "cuda", "auto", "openvino runs on the CPU; got device 'cuda'; use --device cpu"),
        ("onnxruntime", "cuda:1", "auto", "onnxruntime runs on the CPU; got device 'cuda:1'"),
        ("auto", "cuda", "int8", "openvino runs on the CPU; got device 'cuda'"),
        ("openvino", "cpu", "fp16", "precision 'fp16' is not known"),
        ("auto", "cpu", "int8", "the model is in memory only"),
    ],
)
def test_refusals(fcn, name, device, precision, message):
    with pytest.raises(ConfigError) as error:
        pick_engine(name, fcn, device, precision)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_models_that_are_no_fcn_are_named(name):
    model = build_model("patchwise", num_classes=3, backbone="none")
    with pytest.raises(ConfigError, match=f"{name} runs FCNs .*; got a Patchwise\\w*; use --engine torch$"):
        pick_engine(name, model, "auto", "fp32")


@pytest.mark.parametrize("name", ["openvino", "onnxruntime"])
def test_a_missing_package_names_the_extra(fcn, monkeypatch, name):
    monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setattr(openvino_engine, "core", openvino_engine.core.__wrapped__)  # not one made before
    with pytest.raises(ConfigError, match=rf"{name} cannot be imported .*pip install 'fullconv\[export\]'"):
        pick_engine(name, fcn, "cpu", "fp32")


def test_bf16_only_where_openvino_has_it(monkeypatch):
    monkeypatch.setattr(choice, "pick_precision", lambda name, device: "bf16")
    monkeypatch.setattr(choice, "computes_bf16", lambda: True)
    assert [openvino_precision(name) for name in ("auto", "bf16")] == ["bf16", "bf16"]
    monkeypatch.setattr(choice, "computes_bf16", lambda: False)
    assert openvino_precision("auto") == "fp32"
    with pytest.raises(ConfigError, match="openvino computes no bf16 on this CPU; use precision fp32"):
        openvino_precision("bf16")
