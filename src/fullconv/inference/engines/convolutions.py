"""The convolutions of an FCN, on their way into another engine.

Only `FCN.score_maps` leaves torch, as an ONNX model with free batch, height and width; OpenVINO and ONNX Runtime both read
it. Fusing and upsampling the small score maps stays here, so no arithmetic on sizes is ever traced.
"""

import contextlib
import hashlib
import json
from collections.abc import Callable

import torch
from torch import Tensor, nn

import fullconv
from fullconv.errors import ConfigError, InputError
from fullconv.inference.engines.cache import kept
from fullconv.inference.engines.packages import imported, quiet
from fullconv.models.fcn import FCN
from fullconv.models.recorded import RecordedBody, Recording
from fullconv.models.scoring import ScoreMapsFunction

INPUT = "pictures"
PROOF_HW = (131, 97)
TOLERANCE = 1e-4
"""How far an engine may be off torch, as a share of the largest score."""


class Convolutions(nn.Module):
    """(N, C, H, W) to the scores of each stride, the coarsest first."""

    def __init__(self, model: FCN) -> None:
        super().__init__()
        self.model = model

    def forward(self, pictures: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.model.score_maps(pictures))


def the_fcn(model: nn.Module, engine: str) -> FCN:
    """The model, in eval mode and on the CPU.

    Raises:
        ConfigError: it is no FCN.
    """
    if not isinstance(model, FCN):
        raise ConfigError(
            f"{engine} runs FCNs (fcn32s, fcn16s, fcn8s, fcn4s); got a {type(model).__name__}; use --engine torch"
        )
    return model.eval().cpu()


def onnx_of(model: FCN, engine: str, run: Callable[[bytes], ScoreMapsFunction]) -> bytes:
    """The convolutions as an ONNX model; converted once for the same network, then read from the cache.

    Args:
        engine: its name.
        run: what makes an ONNX model run in it. What was just converted is proved before it is kept.

    Raises:
        ConfigError: they cannot be converted, the engine computes something else, or a package is not installed.
    """

    def convert_and_prove() -> bytes:
        content = converted(model)
        prove(model, run(content), engine)
        return content

    return kept(f"{fingerprint(model)}.onnx", convert_and_prove)


def fingerprint(model: FCN) -> str:
    """The SHA-256 of the network, its weights, and the versions that convert it."""
    versions = f"{fullconv.__version__} {torch.__version__}"
    digest = hashlib.sha256(f"{versions} {model.strides} {model.score_relu} {structure(model)}".encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().contiguous().view(-1).numpy())
    return digest.hexdigest()


def structure(model: FCN) -> str:
    """What the backbone computes; the same whether it is made of modules or of a recording of them."""
    body = model.backbone.body
    if isinstance(body, RecordedBody):
        return json.dumps(body.calls)
    if model.in_channels == 3:  # others are never recorded
        with contextlib.suppress(InputError):
            return json.dumps(Recording.of(model.backbone).body["calls"])
    return str(model)


def converted(model: FCN) -> bytes:
    imported("onnx")
    imported("onnxscript")
    size = max(256, model.backbone.smallest)
    # Sides of one length, or a batch of one, could be taken for constants.
    example = torch.zeros(2, model.in_channels, size, size + 32)
    free = torch.export.Dim.DYNAMIC
    try:
        with quiet():
            program = torch.onnx.export(
                Convolutions(model).eval(),
                (example,),
                dynamo=True,
                dynamic_shapes=({0: free, 2: free, 3: free},),
                input_names=[INPUT],
                verbose=False,
            )
            assert program is not None
            return program.model_proto.SerializeToString()
    except Exception as error:  # the exporter raises what the network's own code raises, too
        raise ConfigError(
            f"the convolutions of this {type(model).__name__} cannot be converted to ONNX; use --engine torch"
        ) from error


def prove(model: FCN, run: ScoreMapsFunction, engine: str) -> None:
    """Compares what an engine says of noise with what torch says of it.

    Raises:
        ConfigError: they differ.
    """
    size_hw = [max(side, model.backbone.smallest) for side in PROOF_HW]
    noise = torch.randn(1, model.in_channels, *size_hw, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        wanted = model.score_maps(noise)
    for scores, want in zip(run(noise), wanted, strict=True):
        same_shape = scores.shape == want.shape
        if not same_shape or not (scores - want).abs().max() <= TOLERANCE * want.abs().max():
            raise ConfigError(
                f"{engine} computes other scores than torch for this network; use --engine torch"
            )
