"""The convolutions of an FCN as OpenVINO runs them on the CPU."""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from fullconv.devices import Precision
from fullconv.inference.engines.convolutions import onnx_of, the_fcn
from fullconv.inference.engines.packages import imported
from fullconv.models.fcn import FCN
from fullconv.models.scoring import score_maps_of
from fullconv.ops.score_map import ScoreMap

PRECISION_HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""For what is not quantised."""

SMALL = 64
"""Pictures with a shorter side stay in torch."""


class OpenVinoEngine:
    """Runs an FCN's convolutions in OpenVINO, all else in torch. It uses as many threads as torch.

    The first start with given weights converts them, which takes seconds; later ones find them converted.

    Args:
        model: an FCN in float32; put in eval mode and moved to the CPU.
        precision: "fp32"; "bf16", of CPUs that compute it; or "int8", of a quantised `network`.
        network: an openvino.Model of the convolutions; without, they are converted.

    Raises:
        ConfigError: no FCN, one that cannot be converted, or OpenVINO is not installed.
    """

    name = "openvino"
    device = torch.device("cpu")

    def __init__(self, model: nn.Module, precision: Precision, network: Any = None) -> None:
        self.model = the_fcn(model, self.name)
        self.precision: Precision = precision
        self.convolutions = OpenVinoConvolutions(network or openvino_model(self.model), precision)

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        # OpenVINO refuses pooling windows larger than the map they are on, which torch lets hang over its end.
        convolutions = self.convolutions if min(pictures.shape[2:]) >= SMALL else None
        with torch.inference_mode():
            return score_maps_of(self.model, pictures.cpu(), convolutions)


class OpenVinoConvolutions:
    """An openvino.Model, compiled: (N, C, H, W) float32 to the scores of each stride."""

    def __init__(self, network: Any, precision: Precision) -> None:
        self.compiled = compiled(network, precision)

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        # A request is cheap and serves one caller at a time, so each call has its own.
        request = self.compiled.create_infer_request()
        outputs = request.infer([pictures.contiguous().numpy()], share_inputs=True)
        return [torch.from_numpy(outputs[place]) for place in self.compiled.outputs]


def compiled(network: Any, precision: Precision) -> Any:
    """An openvino.Model, ready to run on the CPU with as many threads as torch."""
    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": PRECISION_HINTS[precision],
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    # One model for all sizes: compiling one per size gained nothing (512 x 512, ResNet-18: 113 and 130 ms).
    return core().compile_model(network, "CPU", options)


@cache
def core() -> Any:
    """The one openvino.Core of the process, which is never freed.

    A Core's CPU plugin gives the thread a signal stack of its own and, when freed, gives back the one it found. Where two
    are freed in the order they were made, the second gives back the first one's, which is gone, and the next signal that
    Python handles (Ctrl-C, a child's end) kills the process.
    """
    return imported("openvino").Core()


def openvino_model(model: FCN) -> Any:
    """The convolutions in float32, as an openvino.Model."""
    read = core().read_model
    return read(onnx_of(model, OpenVinoEngine.name, lambda onnx: OpenVinoConvolutions(read(onnx), "fp32")))


def computes_bf16() -> bool:
    """Whether OpenVINO computes bfloat16 on this CPU."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
