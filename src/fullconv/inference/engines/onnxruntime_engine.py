"""The convolutions of an FCN as ONNX Runtime runs them on the CPU."""

from typing import Any

import torch
from torch import Tensor, nn

from fullconv.devices import Precision
from fullconv.inference.engines.convolutions import INPUT, onnx_of, the_fcn
from fullconv.inference.engines.packages import imported
from fullconv.models.scoring import score_maps_of
from fullconv.ops.score_map import ScoreMap

ERRORS_ONLY = 3


class OnnxRuntimeEngine:
    """Runs an FCN's convolutions in ONNX Runtime in float32, all else in torch. It uses as many threads as torch.

    The first start with given weights converts them, which takes seconds; later ones find them converted.

    Args:
        model: an FCN in float32; put in eval mode and moved to the CPU.

    Raises:
        ConfigError: no FCN, one that cannot be converted, or ONNX Runtime is not installed.
    """

    name = "onnxruntime"
    device = torch.device("cpu")
    precision: Precision = "fp32"

    def __init__(self, model: nn.Module) -> None:
        self.model = the_fcn(model, self.name)
        self.convolutions = OnnxRuntimeConvolutions(onnx_of(self.model, self.name, OnnxRuntimeConvolutions))

    def __call__(self, pictures: Tensor) -> list[ScoreMap]:
        with torch.inference_mode():
            return score_maps_of(self.model, pictures.cpu(), self.convolutions)


class OnnxRuntimeConvolutions:
    """An ONNX model in a session: (N, C, H, W) float32 to the scores of each stride."""

    def __init__(self, onnx: bytes) -> None:
        self.session = session(onnx)

    def __call__(self, pictures: Tensor) -> list[Tensor]:
        outputs = self.session.run(None, {INPUT: pictures.contiguous().numpy()})
        return [torch.from_numpy(scores) for scores in outputs]


def session(onnx: bytes) -> Any:
    """An onnxruntime.InferenceSession on the CPU, with as many threads as torch."""
    onnxruntime = imported("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = torch.get_num_threads()
    return onnxruntime.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
