"""An int8 network for OpenVINO: the quantised convolutions that 'fullconv quantize' makes, and the rest in float32."""

from collections.abc import Sequence
from typing import Any

import torch

from fullconv.export.graph import IMAGE, Tail
from fullconv.export.programs import as_onnx, program_of
from fullconv.inference.engines.openvino_engine import SMALL, core
from fullconv.inference.engines.packages import imported
from fullconv.models.fcn import FCN


def whole_int8(
    model: FCN,
    convolutions: Any,
    sizes: Sequence[int],
    as_labels: bool,
    outputs: dict[str, Sequence[str | int]],
) -> Any:
    """One openvino.Model of quantised convolutions and what follows them; smaller pictures than `SMALL` are padded with zeros.

    Args:
        model: the network that they are of.
        convolutions: an openvino.Model, as `engines.quantize.quantized` gives it; it is used up.
        sizes, as_labels: see `export.graph.Whole`.
        outputs: name -> axes.
    """
    side = max(256, model.backbone.smallest)
    image = torch.zeros(2, model.in_channels, side, side + 32)
    with torch.no_grad():
        maps = tuple(model.score_maps(image))
    what = "what follows the convolutions"
    smallest = max(SMALL, model.backbone.smallest)
    tail = program_of(Tail(model, sizes, as_labels, smallest).eval(), [image, maps], what)
    inputs = {IMAGE: ("batch", model.in_channels, "height", "width")} | {
        f"score{stride}": ("batch", model.num_classes, f"height{stride}", f"width{stride}")
        for stride in model.strides
    }
    seen = {"seen": ("batch", model.in_channels, "seen_height", "seen_width")}
    proto = as_onnx(tail, inputs, {**seen, **outputs}, what)
    return joined(convolutions, core().read_model(proto.SerializeToString()))


def joined(convolutions: Any, tail: Any) -> Any:
    """The convolutions see the tail's first output, and their scores go into its inputs behind the picture."""
    openvino = imported("openvino")
    picture, *scores = tail.get_parameters()
    seen, *results = tail.get_results()
    (pictures,) = convolutions.get_parameters()
    pictures.output(0).replace(seen.input_value(0))
    for parameter, result in zip(scores, convolutions.get_results(), strict=True):
        parameter.output(0).replace(result.input_value(0))
    return openvino.Model(results, [picture], "fullconv")
