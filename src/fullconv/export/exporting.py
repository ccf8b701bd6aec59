"""A model to a file for other programs, checked before it takes its place."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from fullconv.bundle import Bundle
from fullconv.errors import ConfigError, InputError
from fullconv.export import files
from fullconv.export.check import checked
from fullconv.export.files import Check, ExportManifest, Value
from fullconv.export.formats import Axes, Run, write_onnx, write_openvino, write_torch
from fullconv.export.graph import IMAGE, Whole, logits_of, output_names
from fullconv.export.int8 import whole_int8
from fullconv.export.programs import as_onnx, program_of
from fullconv.inference.engines.openvino_engine import SMALL, OpenVinoConvolutions, core
from fullconv.inference.engines.torch_engine import tape_of
from fullconv.labels import head_sizes
from fullconv.models.fcn import FCN, at_least
from fullconv.models.scoring import ScoreMapsFunction
from fullconv.ops.argmax import label_dtype
from fullconv.storage import placed_files

Kind = Literal["onnx", "openvino", "torch"]
ExportPrecision = Literal["fp32", "bf16", "int8"]

REFUSED = {
    ("onnx", "bf16"): "ONNX Runtime has no bf16 convolutions on CPUs; use --format torch",
    ("openvino", "bf16"): "OpenVINO chooses bf16 when it compiles, by INFERENCE_PRECISION_HINT; export fp32",
    ("onnx", "int8"): "int8 is made for OpenVINO; use --format openvino",
    ("torch", "int8"): "int8 is made for OpenVINO; use --format openvino",
}
"""Format and precision -> why not, and what then."""


@dataclass(frozen=True)
class Request:
    """What is to be written.

    Attributes:
        kind: the format.
        precision: in what convolutions are computed.
        as_labels: labels instead of logits.
        opset: of ONNX; the exporter's own choice without.

    Raises:
        ConfigError: the format does not go with the rest.
    """

    kind: Kind
    precision: ExportPrecision = "fp32"
    as_labels: bool = False
    opset: int | None = None

    def __post_init__(self) -> None:
        if (self.kind, self.precision) in REFUSED:
            raise ConfigError(
                f"no {self.precision} in files for {self.kind}: {REFUSED[self.kind, self.precision]}"
            )
        if self.opset is not None and self.kind != "onnx":
            raise ConfigError(
                f"opset is {self.opset}, which files for {self.kind} do not have; leave --opset away"
            )


@dataclass(frozen=True)
class Reduced:
    """An FCN's convolutions in less than float32.

    Attributes:
        convolutions: in place of `FCN.score_maps`.
        network: of int8: the openvino.Model that they are; to be used up.
        measured: what the precision costs, on pictures.
    """

    convolutions: ScoreMapsFunction
    network: Any = None
    measured: dict[str, Any] = field(default_factory=dict)


def export_model(
    bundle: Bundle, out: Path, request: Request, reduced: Reduced | None = None
) -> ExportManifest:
    """Writes a model as a file that other programs run, and NAME.json beside it, whole or not at all.

    Args:
        bundle: the model, with modules that torch.export can follow (`load_bundle`, not `for_prediction`).
        out: a file with the format's suffix, or a folder.
        request: what is to be written.
        reduced: of bf16 and int8; see `in_bf16`, `in_int8`.

    Returns:
        What NAME.json says.

    Raises:
        ConfigError: the format does not hold this model, or a package is not installed.
        RunError: what was written says something else than the model.
        StorageError: the disk is full or may not be written.
    """
    target = files.target_of(out, request.kind)
    bundle.model.eval().cpu()
    sizes = head_sizes(bundle.labels, bundle.heads)
    with placed_files(target.parent, last=target.name) as fresh:
        run = written(bundle, request, reduced, sizes, fresh / target.name)
        checks = checked(
            run,
            bundle.model if reduced is None else logits_by(bundle.model, reduced.convolutions),
            bundle.manifest.architecture.in_channels,
            sizes,
            request.as_labels,
            request.precision,
        )
        measured = {} if reduced is None else reduced.measured
        manifest = manifest_of(bundle, request, target.name, checks, measured, files.digests(fresh))
        note = fresh / target.with_suffix(".json").name
        note.write_text(manifest.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return manifest


def written(
    bundle: Bundle, request: Request, reduced: Reduced | None, sizes: Sequence[int], file: Path
) -> Run:
    """Writes the model's file, and gives what runs it."""
    inputs, outputs = axes_of(bundle, request.as_labels)
    about = files.about(bundle)
    notes = files.metadata(about)
    if request.precision == "int8":
        assert isinstance(bundle.model, FCN)
        assert reduced is not None
        network = whole_int8(bundle.model, reduced.network, sizes, request.as_labels, outputs)
        return write_openvino(network, notes, file)
    what = " over ".join(
        name for name in (about["architecture"]["model"], about["architecture"]["backbone"]) if name != "none"
    )
    whole = Whole(bundle.model, sizes, request.as_labels, reduced.convolutions if reduced else None)
    example = torch.zeros(2, bundle.manifest.architecture.in_channels, 256, 288)
    program = program_of(whole.eval(), [example], what)
    if request.kind == "torch":
        return write_torch(program, json.dumps(about), file)
    if request.kind == "onnx":
        return write_onnx(program, inputs, outputs, what, request.opset, notes, file)
    proto = as_onnx(program, inputs, outputs, what)
    return write_openvino(core().read_model(proto.SerializeToString()), notes, file)


def axes_of(bundle: Bundle, as_labels: bool) -> tuple[Axes, Axes]:
    """The inputs and outputs, and what their axes are."""
    architecture = bundle.manifest.architecture
    shape = (
        ("batch", "height", "width") if as_labels else ("batch", architecture.num_classes, "height", "width")
    )
    return (
        {IMAGE: ("batch", architecture.in_channels, "height", "width")},
        dict.fromkeys(output_names(bundle.heads, as_labels), shape),
    )


def manifest_of(
    bundle: Bundle,
    request: Request,
    name: str,
    checks: list[Check],
    measured: dict[str, Any],
    digests: dict[str, str],
) -> ExportManifest:
    inputs, outputs = axes_of(bundle, request.as_labels)
    kinds = ["float32"]
    if request.as_labels:
        kinds = [str(label_dtype(size))[6:] for size in head_sizes(bundle.labels, bundle.heads)]
    return ExportManifest(
        file=name,
        kind=request.kind,
        precision=request.precision,
        input=Value(name=IMAGE, dtype="float32", shape=list(inputs[IMAGE])),
        outputs=[
            Value(name=output, dtype=kind, shape=list(axes))
            for (output, axes), kind in zip(outputs.items(), kinds, strict=True)
        ],
        checked=checks,
        measured=measured,
        versions=files.versions(),
        files=digests,
        **files.about(bundle),
    )


def logits_by(model: torch.nn.Module, convolutions: ScoreMapsFunction) -> Callable[[Tensor], Tensor]:
    """Pictures to an FCN's logits, its convolutions computed otherwise."""
    assert isinstance(model, FCN)
    return lambda image: logits_of(model, convolutions(at_least(image, model.backbone.smallest)), image)


def in_bf16(bundle: Bundle, measured: dict[str, Any]) -> Reduced:
    """
    Raises:
        ConfigError: only FCNs whose calls can be recorded are computed in it.
    """
    model = the_fcn_of(bundle, "bf16").eval().to("cpu", memory_format=torch.contiguous_format)  # pyright: ignore
    try:
        with torch.no_grad():
            tape = tape_of(model, torch.device("cpu"), "bf16")
    except InputError as error:
        raise ConfigError(
            f"no bf16 over {bundle.manifest.architecture.backbone}: {error}; export fp32"
        ) from None
    return Reduced(lambda pictures: tape(pictures.to(torch.bfloat16)), measured=measured)


def in_int8(bundle: Bundle, network: Any, measured: dict[str, Any]) -> Reduced:
    """
    Args:
        network: the quantised convolutions, an openvino.Model, which is used up.

    Raises:
        ConfigError: only FCNs are computed in it.
    """
    the_fcn_of(bundle, "int8")
    convolutions = OpenVinoConvolutions(network.clone(), "int8")
    return Reduced(lambda pictures: convolutions(at_least(pictures, SMALL)), network, measured)


def the_fcn_of(bundle: Bundle, precision: str) -> FCN:
    if not isinstance(bundle.model, FCN):
        raise ConfigError(
            f"{precision} is for FCNs (fcn32s, fcn16s, fcn8s, fcn4s); got a {type(bundle.model).__name__}; export fp32"
        )
    return bundle.model
