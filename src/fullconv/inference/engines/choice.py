"""Which engine runs a model."""

from torch import nn

from fullconv.devices import pick_device, pick_precision
from fullconv.errors import ConfigError
from fullconv.inference.engines import Engine
from fullconv.inference.engines.torch_engine import TorchEngine

ENGINES = ("auto", "torch", "openvino", "onnxruntime")


def pick_engine(name: str, model: nn.Module, device: str, precision: str) -> Engine:
    """The engine of that name.

    Raises:
        ConfigError: no such engine, device or precision, or the engine is not installed.
    """
    if name not in ENGINES:
        raise ConfigError(f"engine is {name!r}; expected one of {', '.join(ENGINES)}")
    picked = pick_device(device)
    return TorchEngine(model, picked, pick_precision(precision, picked))
