"""The network as torch runs it."""

import torch
from torch import Tensor, nn

from fullconv.devices import Precision, autocast, precision_for
from fullconv.errors import InputError
from fullconv.models.fcn import FCN
from fullconv.models.scoring import ScoreMapsFunction, score_maps_of
from fullconv.ops.score_map import ScoreMap
from fullconv.ops.tape import Tape, folded, in_dtype, record

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class TorchEngine:
    """Runs a model on the CPU or a GPU, channels last, convolutions in float32 or bfloat16.

    The convolutions of an FCN are run from a tape (see `ops.tape`) with batch normalisation folded in. The tape is made at
    the first call; the model's weights may not change after it.

    Args:
        model: (N, C, H, W) to logits (N, K, H, W), in float32; put in eval mode and moved to `device`.
        device: where to compute.
        precision: "fp32" or "bf16"; upsampling and sums keep float32.
    """

    name = "torch"

    def __init__(self, model: nn.Module, device: torch.device, precision: Precision) -> None:
        self.model = model.eval().to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self.device = device
        self.precision: Precision = precision
        self.tapes: dict[Precision, Tape | None] = {}

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        pictures = pictures.to(self.device, memory_format=torch.channels_last)
        precision = self.precision_at(pictures.shape[-1])
        with torch.inference_mode(), autocast(self.device, precision):
            return score_maps_of(self.model, pictures, self.convolutions(precision))

    def precision_at(self, width: int) -> Precision:
        """In what pictures of `width` pixels are computed."""
        return precision_for(width, self.device, self.precision)

    def tape(self, precision: Precision) -> Tape | None:
        """Of an FCN's convolutions, as they are run in `precision`; None where the network cannot be recorded."""
        if precision not in self.tapes:
            self.tapes[precision] = tape_or_none(self.model, self.device, precision)
        return self.tapes[precision]

    def convolutions(self, precision: Precision) -> ScoreMapsFunction | None:
        tape, dtype = self.tape(precision), DTYPES[precision]
        if tape is None:
            return None

        def run(pictures: Tensor) -> list[Tensor]:
            # Autocast would convert anew at every layer what the tape holds in one type.
            with torch.autocast(self.device.type, enabled=False):
                return tape(pictures.to(dtype))

        return run


def tape_or_none(model: nn.Module, device: torch.device, precision: Precision) -> Tape | None:
    if not isinstance(model, FCN):
        return None
    try:
        return tape_of(model, device, precision)
    except InputError:
        return None


def tape_of(model: FCN, device: torch.device, precision: Precision) -> Tape:
    """The tape of an FCN's convolutions, batch normalisation folded in.

    Raises:
        InputError: the network cannot be recorded.
    """
    return in_dtype(folded(record(model.score_maps, model.in_channels, device)), DTYPES[precision])
