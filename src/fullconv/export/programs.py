"""Networks as graphs for every picture size: captured by torch.export, and written as ONNX."""

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from fullconv.errors import ConfigError
from fullconv.export.poolings import without_ceiling
from fullconv.inference.engines.packages import imported, quiet

FREE = {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC}
"""Batch, height and width."""

ASSERTIONS = ("aten._assert_scalar.default", "aten._assert_tensor_metadata.default")
"""What torch.export notes beside the arithmetic: that sizes are as it reasoned, and that tensors are on this device."""


def program_of(
    network: nn.Module, examples: Sequence[Tensor | tuple[Tensor, ...]], what: str
) -> ExportedProgram:
    """A network as torch.export captures it, with free batch, height and width of every input.

    Args:
        network: in eval mode and on the CPU; not changed.
        examples: (N, C, H, W) each; sides of one length, or a batch of one, could be taken for constants.
        what: how an error calls it.

    Raises:
        ConfigError: it cannot be captured.
    """
    shapes = tuple(tuple(FREE for _ in one) if isinstance(one, tuple) else FREE for one in examples)
    try:
        # In eval mode again, because a copy of a traced body forgets it.
        copied = without_ceiling(copy.deepcopy(network).eval()).to(memory_format=torch.contiguous_format)  # pyright: ignore
        # Sizes of 0 and 1 are sizes like others, as torch.onnx has them too.
        with quiet(), torch.no_grad(), torch.fx.experimental._config.patch(backed_size_oblivious=True):  # pyright: ignore
            program = torch.export.export(
                copied,
                tuple(examples),
                dynamic_shapes=shapes,
                strict=False,
                prefer_deferred_runtime_asserts_over_guards=True,
            )
    except Exception as error:  # torch.export raises what the network's own code raises, too
        raise ConfigError(
            f"torch.export does not capture {what} for every size ({first_line(error)})"
        ) from error
    graph = program.graph_module.graph
    for node in list(graph.nodes):
        if str(node.target) in ASSERTIONS:
            graph.erase_node(node)
    graph.eliminate_dead_code()
    program.graph_module.recompile()
    program.example_inputs = None  # a file would hold them, and take their sizes for a promise
    return program


def as_onnx(
    program: ExportedProgram,
    inputs: Mapping[str, Sequence[str | int]],
    outputs: Mapping[str, Sequence[str | int]],
    what: str,
    opset: int | None = None,
) -> Any:
    """A program as an onnx.ModelProto, without the traces of where and how it was made.

    Args:
        inputs, outputs: name -> what each axis is: a number, or the name of a size that is free.
        what: how an error calls it.
        opset: the version of ONNX's operators; the exporter's own choice without.

    Raises:
        ConfigError: it cannot be converted, or a package is not installed.
    """
    imported("onnx")
    imported("onnxscript")
    try:
        with quiet():
            converted = torch.onnx.export(
                program,
                dynamo=True,
                input_names=list(inputs),
                output_names=list(outputs),
                opset_version=opset,
                verbose=False,
            )
    except Exception as error:
        raise ConfigError(f"{what} cannot be converted to ONNX ({first_line(error)})") from error
    assert converted is not None
    model = converted.model_proto
    written = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if opset is not None and written != opset:
        raise ConfigError(f"{what} cannot be written in opset {opset}, but in {written}; leave --opset away")
    strip(model)
    for values, axes in ((model.graph.input, inputs), (model.graph.output, outputs)):
        for value in values:
            shape = value.type.tensor_type.shape
            del shape.dim[:]
            for size in axes[value.name]:
                shape.dim.add(**({"dim_value": size} if isinstance(size, int) else {"dim_param": size}))
    return model


def strip(model: Any) -> None:
    """Takes away what says nothing about the arithmetic: the exporter's notes, which name files of this machine."""
    graph = model.graph
    del graph.value_info[:]
    for noted in (graph, *graph.node, *graph.input, *graph.output, *graph.initializer):
        del noted.metadata_props[:]
        noted.doc_string = ""


def first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0][:160]}" if lines else type(error).__name__
