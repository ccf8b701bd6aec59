"""What runs a network: torch, OpenVINO or ONNX Runtime, all behind one call."""

from typing import Protocol

import torch
from torch import Tensor

from fullconv.devices import Precision
from fullconv.ops.score_map import ScoreMap


class Engine(Protocol):
    """Pictures in, score maps out.

    Attributes:
        name: "torch", "openvino" or "onnxruntime".
        device: where score maps are.
        precision: "fp32", "bf16" or "int8": in what convolutions are computed.
    """

    name: str
    precision: Precision
    device: torch.device

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        """(N, C, H, W) float32 normalised pictures, on the CPU or the engine's device, to N score maps."""
        ...
