"""Training on this machine: pictures a second beside torchvision's reference recipe, and what two of our measures gain.

    python benchmarks/training.py DATA [--crop 320] [--batch 8] [--steps 8] [--compile]

DATA: a data set's folder. The peer is the loop of torchvision's references/segmentation/train.py: PIL pictures through random
resizing, flip and crop, float32, eager, contiguous NCHW, SGD, cross-entropy. It trains torchvision's own fcn_resnet50 with its
auxiliary head (stride 8 by dilation), and the very FCN that fullconv trains. Both load with two workers. Each row is a process of
its own, the first steps are left out, the rest is a median: of one step with its share of waiting for the loader.
"""

import argparse
import contextlib
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.models.segmentation import fcn_resnet50
from torchvision.transforms import v2

import fullconv.training.run
import fullconv.training.step
from common import machine
from fullconv.data.dataset import open_dataset
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train

WARM_UP = 3
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--compile", action="store_true", help="with torch.compile too, which takes minutes")
    a = parser.parse_args()
    print(machine())
    print(f"{a.data.name}: crops of {a.crop} x {a.crop}, batches of {a.batch}, pictures a second\n")
    common = (a.data, a.crop, a.batch, a.steps)
    for backbone in ("resnet18", "torchvision/mobilenet_v2", "torchvision/resnet50"):
        peer = rate(peer_steps, *common, backbone)
        own = rate(own_steps, *common, backbone)
        plain = rate(own_steps, *common, backbone, "memory")
        slow = rate(own_steps, *common, backbone, "depthwise")
        print(
            f"fcn8s {backbone:26} peer's loop {peer:6.2f}   fullconv {own:6.2f} ({own / peer:.2f}x)   "
            f"without keeping freed memory {plain:6.2f}   with oneDNN's depthwise gradient {slow:6.2f}",
            flush=True,
        )
        if a.compile:
            compiled = rate(own_steps, *common, backbone, "", True)
            print(f"{'':32} compiled {compiled:6.2f} ({compiled / own:.2f}x fullconv)", flush=True)
        if backbone == "torchvision/resnet50":
            whole = rate(peer_steps, *common, "fcn_resnet50")
            print(
                f"torchvision's fcn_resnet50 {whole:.2f}: fullconv's fcn8s over ResNet-50 is {own / whole:.1f}x"
            )


def rate(steps: Any, data: Path, crop: int, batch: int, num_steps: int, *rest: Any) -> float:
    """Pictures a second of a generator of steps, run in a fresh process."""
    context = multiprocessing.get_context("spawn")
    times = context.SimpleQueue()
    process = context.Process(target=clocked, args=(times, steps, data, crop, batch, num_steps, *rest))
    process.start()
    process.join()
    return batch / times.get()


def clocked(times: Any, steps: Any, data: Path, crop: int, batch: int, num_steps: int, *rest: Any) -> None:
    ends = []
    for _ in steps(data, crop, batch, *rest):
        ends.append(time.perf_counter())
        if len(ends) == WARM_UP + num_steps:
            break
    times.put(statistics.median(b - a for a, b in zip(ends[WARM_UP - 1 :], ends[WARM_UP:], strict=False)))
    times.close()
    os._exit(0)  # the loader's workers may still be at work


def own_steps(
    data: Path, crop: int, batch: int, backbone: str, without: str = "", compiled: bool = False
) -> Iterator[None]:
    if without == "memory":
        fullconv.training.run.keep_freed_memory = lambda: False
    if without == "depthwise":
        fullconv.training.step.StridedDepthwise = contextlib.nullcontext
    config = TrainConfig(
        data=data, out=Path(tempfile.mkdtemp()) / "run", backbone=backbone, backbone_weights="none",
        crop=(crop, crop), batch_size=batch, device="cpu", compile=compiled,
    )  # fmt: skip
    for event in train(config):
        if event["kind"] == "tick":
            yield


class PeerPictures(torch.utils.data.Dataset[Any]):
    """As the reference's presets.SegmentationPresetTrain: sides of half to twice the base size, flipped, cropped, normalised."""

    def __init__(self, data: Path, crop: int) -> None:
        self.samples, self.crop = open_dataset(data).split("train"), crop

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        sample = self.samples[index]
        picture, mask = Image.open(sample.picture).convert("RGB"), Image.open(sample.mask)
        side = int(torch.randint(self.crop // 2, 2 * self.crop + 1, ()))
        picture = v2.functional.resize(picture, [side], antialias=True)
        mask = v2.functional.resize(mask, [side], v2.InterpolationMode.NEAREST)
        if torch.rand(()) < 0.5:
            picture, mask = v2.functional.hflip(picture), v2.functional.hflip(mask)
        width, height = picture.size
        below, right = max(0, self.crop - height), max(0, self.crop - width)
        picture = v2.functional.pad(picture, [0, 0, right, below], fill=0)
        mask = v2.functional.pad(mask, [0, 0, right, below], fill=255)
        top = int(torch.randint(height + below - self.crop + 1, ()))
        where = (top, int(torch.randint(width + right - self.crop + 1, ())), self.crop, self.crop)
        picture, mask = v2.functional.crop(picture, *where), v2.functional.crop(mask, *where)
        pixels = v2.functional.to_dtype(v2.functional.pil_to_tensor(picture), torch.float32, scale=True)
        return v2.functional.normalize(pixels, MEAN, STD), v2.functional.pil_to_tensor(mask)[0].long()


def peer_steps(data: Path, crop: int, batch: int, network: str) -> Iterator[None]:
    labels = open_dataset(data).labels
    if network == "fcn_resnet50":
        model = fcn_resnet50(
            weights=None, weights_backbone=None, num_classes=labels.num_classes, aux_loss=True
        )
    else:
        model = fullconv.build_model("fcn8s", backbone=network, num_classes=labels.num_classes)
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=1000, power=0.9)
    loader = torch.utils.data.DataLoader(
        PeerPictures(data, crop), batch, shuffle=True, num_workers=2, drop_last=True
    )
    for pictures, masks in loader:
        masks[masks >= labels.num_classes] = 255
        output = model(pictures)
        outputs = output if isinstance(output, dict) else {"out": output}
        losses = {name: F.cross_entropy(each, masks, ignore_index=255) for name, each in outputs.items()}
        loss = losses["out"] + 0.5 * losses["aux"] if "aux" in losses else losses["out"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        loss.item()
        yield


if __name__ == "__main__":
    main()
