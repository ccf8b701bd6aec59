"""fullconv export"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fullconv.bundle import Bundle
    from fullconv.export.exporting import Reduced
    from fullconv.export.files import ExportManifest


@click.command()
@click.argument("model")
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format", "kind", type=click.Choice(["onnx", "openvino", "torch"]), default="onnx", show_default=True
)
@click.option("--labels", "as_labels", is_flag=True, help="Give the class of each pixel, not its logits.")
@click.option(
    "--precision",
    type=click.Choice(["fp32", "bf16", "int8"]),
    default="fp32",
    show_default=True,
    help="Of convolutions. bf16: torch; int8: openvino.",
)
@click.option("--opset", type=click.IntRange(min=1), default=None, help="Of ONNX; default: the exporter's.")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=None,
    help="Pictures and masks to calibrate int8 on, and to measure bf16 and int8 on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def export(
    model: str,
    out: Path,
    kind: Any,
    as_labels: bool,
    precision: Any,
    opset: int | None,
    data: Path | None,
    as_json: bool,
) -> None:
    """Write MODEL for programs that have no fullconv: as ONNX, OpenVINO or torch.export.

    OUT is a file (.onnx, .xml, .pt2) or a folder; NAME.json beside it says what goes in and what comes out. The input `image`
    is float32 (N, 3, H, W), normalised as NAME.json says, of any size; the output `logits` (N, K, H, W), or with --labels
    `labels` (N, H, W). What was written is run at three odd sizes and held against the model before it takes its place.

    \b
    fullconv export runs/first first.onnx
    fullconv export camvid camvid --format openvino --labels
    fullconv export runs/first first.xml --format openvino --precision int8 --data photos
    """
    from fullconv.bundle import load_bundle
    from fullconv.cli.console import print_json, say
    from fullconv.errors import ConfigError
    from fullconv.export.exporting import Request, export_model
    from fullconv.export.files import target_of

    if data is not None and precision == "fp32":
        raise ConfigError("--data is for --precision bf16 or int8; fp32 is what the model is; leave it away")
    request = Request(kind, precision, as_labels, opset)
    target = target_of(out, kind)  # says at once if it will not do
    bundle = load_bundle(model)
    reduced = None if precision == "fp32" else reduce(bundle, precision, data)
    say(f"writing {target}")
    manifest = export_model(bundle, out, request, reduced)
    if as_json:
        print_json({**manifest.model_dump(mode="json"), "file": str(target)})
        return
    print(checks_table(manifest))
    say(f"written to {target}; {target.with_suffix('.json').name} beside it says how to use it")


def reduce(bundle: "Bundle", precision: str, data: Path | None) -> "Reduced":
    """The model's convolutions in bf16 or int8, with what that costs where there is data to measure on.

    Raises:
        ConfigError: no int8 version, and no data to make one; a model that has no such precision.
        DataError: other classes than the model's.
    """
    import torch

    from fullconv.cli.console import say
    from fullconv.cli.quantize import compared, int8_of
    from fullconv.export.exporting import in_bf16, in_int8, the_fcn_of
    from fullconv.inference.engines.int8 import read_int8
    from fullconv.inference.engines.torch_engine import TorchEngine

    network = the_fcn_of(bundle, precision)
    if precision == "int8":
        return in_int8(bundle, *(read_int8(bundle.folder) if data is None else int8_of(bundle, data)))
    if data is None:
        say("what bf16 costs is not measured; give --data for that")
        return in_bf16(bundle, {})
    cpu = torch.device("cpu")
    engines = TorchEngine(network, cpu, "fp32"), TorchEngine(network, cpu, "bf16")
    return in_bf16(bundle, compared(bundle, data, engines))


def checks_table(manifest: "ExportManifest") -> str:
    """What was checked and measured, for people."""
    from fullconv.cli.quantize import precisions_table

    lines = ["size           off the model by at most  same label"]
    for check in manifest.checked:
        size = f"{check.size_hw[0]} x {check.size_hw[1]}"
        off = "-" if check.difference is None else f"{check.difference:.1e} of the largest"
        lines.append(f"{size:12}  {off:>24}  {100 * check.agreement:8.2f} %")
    if manifest.measured:
        lines += ["", precisions_table(manifest.measured)]
    return "\n".join(lines)
