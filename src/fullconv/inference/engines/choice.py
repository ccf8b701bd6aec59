"""Which engine runs a model."""

from pathlib import Path

import torch
from torch import nn

from fullconv.devices import Precision, pick_device, pick_precision
from fullconv.errors import ConfigError
from fullconv.inference.engines import Engine
from fullconv.inference.engines.int8 import int8_engine
from fullconv.inference.engines.onnxruntime_engine import OnnxRuntimeEngine
from fullconv.inference.engines.openvino_engine import OpenVinoEngine, computes_bf16
from fullconv.inference.engines.torch_engine import TorchEngine

ENGINES = ("auto", "torch", "openvino", "onnxruntime")


def pick_engine(
    name: str, model: nn.Module, device: str, precision: str, folder: Path | None = None
) -> Engine:
    """The engine of that name.

    "auto" is OpenVINO for int8, which torch has not, and else torch, whatever is installed: see docs/decisions/0012.

    Args:
        name: one of `ENGINES`.
        model: (N, C, H, W) to logits (N, K, H, W).
        device: "auto", "cpu", "cuda", ...; all but torch run on the CPU.
        precision: "auto", "fp32", "bf16" or "int8".
        folder: the model's bundle, which holds its int8 version.

    Raises:
        ConfigError: no such engine, device or precision, the engine is not installed, or does not run this model.
    """
    if name not in ENGINES:
        raise ConfigError(f"engine is {name!r}; expected one of {', '.join(ENGINES)}")
    if name in ("auto", "torch") and precision != "int8":
        picked = pick_device(device)
        return TorchEngine(model, picked, pick_precision(precision, picked))
    if name == "torch":
        raise ConfigError("torch does not run int8; use --engine openvino, or precision fp32 or bf16")
    if device not in ("auto", "cpu"):
        engine = "openvino" if name == "auto" else name
        raise ConfigError(
            f"{engine} runs on the CPU; got device {device!r}; use --device cpu or --engine torch"
        )
    if name == "onnxruntime":
        if precision not in ("auto", "fp32"):
            raise ConfigError(
                f"onnxruntime runs fp32; got precision {precision!r}; use --engine openvino or torch"
            )
        return OnnxRuntimeEngine(model)
    if precision == "int8":
        return int8_engine(model, folder)
    return OpenVinoEngine(model, openvino_precision(precision))


def openvino_precision(name: str) -> Precision:
    """As `pick_precision`, where OpenVINO computes in it.

    Raises:
        ConfigError: bf16 is wanted and this CPU does not compute it.
    """
    picked = pick_precision(name, torch.device("cpu"))
    if picked == "bf16" and not computes_bf16():
        if name == "bf16":
            raise ConfigError("openvino computes no bf16 on this CPU; use precision fp32, or --engine torch")
        return "fp32"
    return picked
