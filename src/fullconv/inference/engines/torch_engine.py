"""The network as torch runs it."""

import torch
from torch import Tensor, nn

from fullconv.devices import Precision, autocast
from fullconv.models.scoring import score_maps_of
from fullconv.ops.score_map import ScoreMap


class TorchEngine:
    """Runs a model on the CPU or a GPU, channels last, convolutions in float32 or bfloat16.

    Args:
        model: (N, C, H, W) to logits (N, K, H, W); put in eval mode and moved to `device`.
        device: where to compute.
        precision: "fp32" or "bf16"; upsampling and sums keep float32.
    """

    name = "torch"

    def __init__(self, model: nn.Module, device: torch.device, precision: Precision) -> None:
        self.model = model.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.device = device
        self.precision: Precision = precision

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        pictures = pictures.to(self.device, memory_format=torch.channels_last)
        with torch.inference_mode(), autocast(self.device, self.precision):
            return score_maps_of(self.model, pictures)
