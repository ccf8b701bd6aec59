"""Every architecture in every export format: how far off the model, labels that agree, CPU seconds; last, what does not go.

    python benchmarks/export.py [NAME[:BACKBONE]]... [--backbones] [--formats onnx,openvino,torch]

Without names, every architecture of `fullconv models`. Weights are random: what is measured is the export. `--backbones` takes
fcn8s over backbones of different families instead. The rows are those of docs/export.md.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from torch import nn

from fullconv.bundle import Architecture, Bundle, Manifest, class_entries
from fullconv.errors import FullconvError
from fullconv.export.exporting import Request, export_model
from fullconv.labels import VOC
from fullconv.models.build import MODELS, preprocessing_for

FAMILIES = (
    "torchvision/squeezenet1_1", "torchvision/mobilenet_v2", "mobilenetv3_small_050", "efficientnet_b0", "convnext_atto",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*")
    parser.add_argument("--backbones", action="store_true")
    parser.add_argument("--formats", default="onnx,openvino,torch")
    arguments = parser.parse_args()
    names = arguments.names or (
        [f"fcn8s:{name}" for name in FAMILIES] if arguments.backbones else list(MODELS)
    )
    kinds = arguments.formats.split(",")
    print(f"| model | backbone | {' | '.join(kinds)} | weights |")
    print(f"|{'---|' * (len(kinds) + 3)}")
    refused = []
    for name in names:
        model, _, backbone = name.partition(":")
        backbone = backbone or MODELS[model].backbone
        bundle = random_bundle(model, backbone)
        cells = []
        for kind in kinds:
            try:
                cells.append(cell(bundle, kind))
            except FullconvError as error:
                cells.append("no")
                refused.append(f"{model} over {backbone}, {kind}: {error}")
        size = sum(tensor.numel() * tensor.element_size() for tensor in bundle.model.state_dict().values())
        print(f"| {model} | {backbone} | {' | '.join(cells)} | {size / 1e6:.1f} MB |", flush=True)
    print("\nDoes not go:", "; ".join(refused) or "none")


def random_bundle(name: str, backbone: str) -> Bundle:
    torch.manual_seed(0)
    architecture = Architecture(model=name, backbone=backbone, num_classes=VOC.num_classes)
    network = architecture.build().eval()
    for parameter in network.parameters():  # zero score layers would say nothing
        if parameter.dim() > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.01)
    preprocessing = preprocessing_for(name)
    manifest = Manifest(
        architecture=architecture, classes=class_entries(VOC), mean=preprocessing.mean, std=preprocessing.std,
        weights_sha256="0" * 64,
    )  # fmt: skip
    return Bundle(network, manifest, Path("random"))


def cell(bundle: Bundle, kind: str) -> str:
    """The largest difference and the least agreement of labels over the sizes that are checked.

    Raises:
        FullconvError: why it does not go.
    """
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        manifest = export_model(bundle, Path(folder), Request(kind))  # pyright: ignore[reportArgumentType]
        seconds = time.process_time() - began
    difference = max(check.difference or 0 for check in manifest.checked)
    agreement = min(check.agreement for check in manifest.checked)
    return f"{difference:.0e}, {100 * agreement:.2f} %, {seconds:.0f} s"


if __name__ == "__main__":
    main()
