"""Writing a program in each format, and running what was written."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.export import ExportedProgram

from fullconv.export.programs import as_onnx
from fullconv.inference.engines.onnxruntime_engine import session
from fullconv.inference.engines.openvino_engine import compiled, core
from fullconv.inference.engines.packages import imported, quiet

Run = Callable[[Tensor], list[Tensor]]
"""(N, C, H, W) float32 to the outputs, in order."""

Axes = dict[str, Sequence[str | int]]
"""Name of an input or output -> its axes."""

ABOUT = "fullconv.json"
"""What a .pt2 keeps the metadata in."""


def write_onnx(
    program: ExportedProgram,
    inputs: Axes,
    outputs: Axes,
    what: str,
    opset: int | None,
    notes: dict[str, str],
    file: Path,
) -> Run:
    """An ONNX file with `notes` as its metadata, run by ONNX Runtime."""
    model = as_onnx(program, inputs, outputs, what, opset)
    save_onnx(model, notes, file)
    return run_onnx(file)


def save_onnx(model: Any, notes: dict[str, str], file: Path) -> None:
    for key, value in notes.items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name = "fullconv"
    imported("onnx").checker.check_model(model)
    file.write_bytes(model.SerializeToString())


def run_onnx(file: Path) -> Run:
    started = session(file.read_bytes())
    (image,) = started.get_inputs()
    return lambda pictures: [
        torch.from_numpy(output) for output in started.run(None, {image.name: pictures.contiguous().numpy()})
    ]


def write_openvino(network: Any, notes: dict[str, str], file: Path) -> Run:
    """OpenVINO's .xml and .bin, run by OpenVINO in float32 where it is not quantised.

    Args:
        network: an openvino.Model.
        notes: what the .xml says under "rt_info", "fullconv".
    """
    for key, value in notes.items():
        network.set_rt_info(value, ["fullconv", key])
    with quiet():
        imported("openvino").save_model(network, str(file), compress_to_fp16=False)
    return run_openvino(file)


def run_openvino(file: Path) -> Run:
    # From memory, because a mapped file could not be moved everywhere.
    network = compiled(core().read_model(file.read_bytes(), file.with_suffix(".bin").read_bytes()), "fp32")

    def run(pictures: Tensor) -> list[Tensor]:
        found = network.create_infer_request().infer([pictures.contiguous().numpy()])
        return [torch.from_numpy(found[place].copy()) for place in network.outputs]

    return run


def write_torch(program: ExportedProgram, notes: str, file: Path) -> Run:
    """A .pt2 of torch.export, run by torch.

    Args:
        notes: what the file says in its `extra_files`, under `ABOUT`.
    """
    with quiet():
        torch.export.save(program, file, extra_files={ABOUT: notes})
        network = torch.export.load(file).module()  # written a moment ago, here

    def run(pictures: Tensor) -> list[Tensor]:
        with torch.inference_mode():
            return list(network(pictures))

    return run
