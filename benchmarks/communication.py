"""What training takes on 1 to 1,024 GPUs, computed: operations, what travels, and where one hides the other no more.

    python benchmarks/communication.py [--model fcn8s] [--backbone resnet50] [--batch 16] [--crop 480]

Nothing here is measured but the network: its operations (torch.utils.flop_counter), parameters and normalisation layers. The
machine is assumed: GPUS below. A step on N GPUs takes

    compute   3 x the operations of a forward pass of the GPU's own pictures, at a share of the peak
    gradients 2 (N - 1) / N x 4 bytes x parameters over the slowest link (a ring), while the backward pass computes
    norms     an all-reduce for each batch normalisation forward, and one backward, for which the next layer waits
    input     the pictures of all GPUs, from storage

and so max(compute, gradients) + norms, or what the input takes if that is longer.
"""

import argparse
import math

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fullconv.models.build import build_model

GPUS = {
    "peak": 989e12,  # bf16 without sparsity. NVIDIA H100 SXM data sheet
    "share": 0.35,  # of the peak, which convolutions of this size reach: an assumption
    "in_node": 450e9,  # bytes/s each way. NVLink 4, the same sheet: 900 GB/s in both
    "nodes": 8,  # GPUs in a node
    "between": 50e9,  # bytes/s of a GPU's own 400 Gbit/s adapter. NVIDIA ConnectX-7 data sheet
    "latency": 10e-6,  # of a small all-reduce within a node: an assumption
    "hop": 5e-6,  # more for each doubling of the nodes: an assumption
    "picture": 100e3,  # bytes of a JPEG: an assumption
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", default="fcn8s")
    parser.add_argument("--backbone", default="resnet50")
    parser.add_argument("--batch", type=int, default=16, help="pictures of a GPU")
    parser.add_argument("--crop", type=int, default=480)
    options = parser.parse_args()
    model = build_model(options.model, num_classes=21, backbone=options.backbone)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(torch.empty(1, 3, options.crop, options.crop))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    norms = sum(isinstance(layer, nn.modules.batchnorm._BatchNorm) for layer in model.modules())
    operations = 3 * counter.get_total_flops() * options.batch
    compute = operations / (GPUS["peak"] * GPUS["share"])
    print(
        f"{options.model} over {options.backbone}: {parameters / 1e6:.1f} M parameters, {norms} normalisations, "
        f"{operations / 1e12:.2f} TFLOP a step of {options.batch} crops of {options.crop} x {options.crop}\n"
    )
    print("| GPUs | compute ms | gradients ms | norms ms | step ms | efficiency | pictures/s | input GB/s |")
    print("|---|---|---|---|---|---|---|---|")
    for count in (1, 8, 64, 1024):
        link = GPUS["in_node"] if count <= GPUS["nodes"] else GPUS["between"]
        gradients = 2 * (count - 1) / count * 4 * parameters / link
        latency = GPUS["latency"] + GPUS["hop"] * max(0.0, math.log2(count / GPUS["nodes"]))
        waits = 2 * norms * latency if count > 1 else 0.0
        step = max(compute, gradients) + waits
        rate = count * options.batch / step
        print(
            f"| {count:,} | {1e3 * compute:.1f} | {1e3 * gradients:.1f} | {1e3 * waits:.1f} | {1e3 * step:.1f} | "
            f"{compute / step:.0%} | {rate:,.0f} | {rate * GPUS['picture'] / 1e9:.2f} |"
        )


if __name__ == "__main__":
    main()
