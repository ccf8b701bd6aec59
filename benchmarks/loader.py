"""Training pictures a second: our loader on files, tar shards and a decoded cache, against the loaders that people write.

    python benchmarks/loader.py DATA [--crop 320] [--rounds 5] [--batches 25] [--workers 0 1 2] [--no-step]

DATA: a data set's folder, with index masks in files. All do the same work: read picture and mask, scale by a factor drawn
log-uniformly from 0.5 to 2, crop at random and pad, flip, change brightness, contrast, saturation and hue, make batches of 8,
normalise. The peers:

- torchvision: transforms.v2 on PIL pictures as in references/segmentation/presets.py, with ColorJitter behind the crop, in a
  DataLoader;
- PIL: a Dataset as tutorials have it, with PIL and numpy alone, in a DataLoader.

The loaders take turns, round after round; median, and in brackets the lowest and the highest round. The first column is by
processor time, without workers: what other programs on the machine disturb least. The training step is that of data.py: FCN-8s,
ResNet-18, float32, on the CPU.
"""

import argparse
import math
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageEnhance
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from common import machine
from data import BATCH, step_times
from fullconv.data.cache import open_cache
from fullconv.data.contents import Dataset
from fullconv.data.dataset import open_dataset
from fullconv.data.loading import TrainingSet, training_loader
from fullconv.data.samples import Sample
from fullconv.data.shards.writing import write_shards
from fullconv.data.transforms import TrainTransform
from fullconv.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

Batches = Callable[[int], Iterator[Tensor]]
"""Number of workers -> normalised pictures, (N, 3, h, w) float32, without end."""


class Torchvision(TorchDataset[tuple[Tensor, Tensor]]):
    """As references/segmentation reads and transforms. Source: torchvision, references/segmentation/presets.py and
    transforms.py, https://github.com/pytorch/vision/tree/main/references/segmentation"""

    def __init__(self, samples: list[Sample], crop: int) -> None:
        self.samples, self.crop = samples, crop
        dtypes = {torch.Tensor: torch.float32, tv_tensors.Mask: torch.int64, "others": None}
        self.transform = v2.Compose(
            [
                v2.RandomHorizontalFlip(0.5),
                v2.RandomCrop(crop, pad_if_needed=True, fill={tv_tensors.Mask: 255, "others": 0}),
                v2.ColorJitter(0.3, 0.3, 0.3, 0.03),
                v2.PILToTensor(),
                v2.ToDtype(dtypes, scale=True),
                v2.Normalize(IMAGENET_MEAN, IMAGENET_STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample = self.samples[index]
        picture = Image.open(sample.picture).convert("RGB")
        mask = tv_tensors.Mask(np.array(Image.open(sample.mask))[None])
        factor = math.exp(random.uniform(math.log(0.5), math.log(2)))
        size = [max(1, round(picture.height * factor)), max(1, round(picture.width * factor))]
        picture, mask = v2.functional.resize(picture, size), v2.functional.resize(mask, size)
        return self.transform(picture, mask)


class Plain(TorchDataset[tuple[Tensor, Tensor]]):
    """As tutorials do it."""

    def __init__(self, samples: list[Sample], crop: int) -> None:
        self.samples, self.crop = samples, crop

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        sample, crop = self.samples[index], self.crop
        picture, mask = Image.open(sample.picture).convert("RGB"), Image.open(sample.mask)
        factor = math.exp(random.uniform(math.log(0.5), math.log(2)))
        size = (max(1, round(picture.width * factor)), max(1, round(picture.height * factor)))
        picture = picture.resize(size, Image.Resampling.BILINEAR)
        mask = mask.resize(size, Image.Resampling.NEAREST)
        left, top = (random.randint(0, max(0, side - crop)) for side in size)
        box = (left, top, left + crop, top + crop)
        void = Image.new("L", (crop, crop), 255)
        part = mask.crop((left, top, min(left + crop, size[0]), min(top + crop, size[1])))
        void.paste(Image.fromarray(np.asarray(part)))
        picture, mask = picture.crop(box), void
        if random.random() < 0.5:
            picture, mask = (each.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for each in (picture, mask))
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            picture = change(picture).enhance(random.uniform(0.7, 1.3))
        hue, saturation, value = picture.convert("HSV").split()
        turned = np.asarray(hue) + np.uint8(random.randint(-8, 8) % 256)
        picture = Image.merge("HSV", (Image.fromarray(turned), saturation, value)).convert("RGB")
        pixels = (np.asarray(picture, np.float32) / 255 - IMAGENET_MEAN) / IMAGENET_STD
        return torch.from_numpy(pixels.transpose(2, 0, 1).astype(np.float32)), torch.from_numpy(
            np.array(mask, np.int64)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=25)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--no-step", action="store_true", help="leave the training step away")
    arguments = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} at the start")
    dataset = open_dataset(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        loaders = all_loaders(dataset, arguments.crop, Path(folder))
        columns = ["of one core", *(f"{workers} workers" for workers in arguments.workers)]
        rates: dict[str, dict[str, list[float]]] = {
            name: {column: [] for column in columns} for name in loaders
        }
        for _ in range(arguments.rounds):
            for name, workers in ((name, workers) for workers in arguments.workers for name in loaders):
                by_clock, by_processor = rate(loaders[name](workers), workers, arguments.batches)
                rates[name][f"{workers} workers"].append(by_clock)
                rates[name]["of one core"] += [by_processor] if workers == 0 else []
    crop = arguments.crop
    print(f"\n{arguments.data.name}: crops of {crop} x {crop}, batches of {BATCH}, pictures a second")
    print(f"    {'':24}" + "".join(f"{column:>24}" for column in columns))
    for name, by_column in rates.items():
        told = [
            f"{statistics.median(each):.1f} ({min(each):.1f} to {max(each):.1f})"
            for each in by_column.values()
        ]
        print(f"    {name:24}" + "".join(f"{each:>24}" for each in told))
    for name in rates:
        pairs = [(rates["fullconv, files"][column], rates[name][column]) for column in columns]
        ratios = [statistics.median(ours) / statistics.median(theirs) for ours, theirs in pairs]
        print(f"    {f'files / {name}':24}" + "".join(f"{ratio:24.2f}" for ratio in ratios))
    if not arguments.no_step:
        samples = TrainingSet(
            dataset.split("train"), dataset.labels, TrainTransform((arguments.crop,) * 2), seed=0
        )
        pictures, labels, _ = next(iter(training_loader(samples, BATCH, 0, 1, workers=0)))
        wall, processor = step_times(arguments.data, "resnet18", pictures, labels)
        print(
            f"    a training step learns from {BATCH / wall:.1f} a second ({BATCH / processor:.1f} a second of one core)"
        )
        for name, by_column in rates.items():
            needs = [processor, *[wall] * len(arguments.workers)]
            ratios = [
                statistics.median(each) * need / BATCH
                for each, need in zip(by_column.values(), needs, strict=True)
            ]
            print(f"    {f'{name} / step':24}" + "".join(f"{ratio:24.1f}" for ratio in ratios))
    print(f"load {os.getloadavg()[0]:.1f} at the end")


def all_loaders(dataset: Dataset, crop: int, folder: Path) -> dict[str, Batches]:
    write_shards(dataset, folder / "shards", shard_mb=16)
    shards = open_dataset(folder / "shards")
    cache = open_cache(folder / "cache", dataset.split("train"), dataset.labels)
    transform, normalise = TrainTransform((crop, crop)), Preprocessing()
    sets = {
        "fullconv, files": TrainingSet(dataset.split("train"), dataset.labels, transform, seed=0),
        "fullconv, shards": TrainingSet(shards.split("train"), dataset.labels, transform, seed=0),
        "fullconv, cache": TrainingSet(
            dataset.split("train"), dataset.labels, transform, seed=0, cache=cache
        ),
    }

    def of(samples: TrainingSet) -> Batches:
        return lambda workers: (
            normalise(batch[0]) for batch in training_loader(samples, BATCH, 0, 10**6, workers)
        )

    def plain(samples: TorchDataset[tuple[Tensor, Tensor]]) -> Batches:
        return lambda workers: (
            batch[0]
            for batch in endless(
                DataLoader(samples, BATCH, shuffle=True, num_workers=workers, drop_last=True)
            )
        )

    files = list(dataset.split("train"))
    peers = {"torchvision": plain(Torchvision(files, crop)), "PIL": plain(Plain(files, crop))}
    return {name: of(samples) for name, samples in sets.items()} | peers


def endless(loader: Iterable[list[Tensor]]) -> Iterator[list[Tensor]]:
    while True:
        yield from loader


def rate(batches: Iterator[Tensor], workers: int, number: int) -> tuple[float, float]:
    """Pictures a second, by the clock and by this process's processor time.

    The start of the workers and the batches that they had ready by then are left out.
    """
    for _ in range(2 * workers + 1):
        next(batches)
    wall, processor = time.perf_counter(), time.process_time()
    for _ in range(number):
        next(batches)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return BATCH * number / wall, BATCH * number / processor


if __name__ == "__main__":
    main()
