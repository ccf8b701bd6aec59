"""How fast training pictures are read against how fast they are learnt from, and what an evaluation spends outside the network.

    python benchmarks/data.py DATA [MODEL ...] [--crop 320] [--pictures 40]

DATA: a data set's folder; MODEL: run or bundle folders with its classes. Where none is given, networks with random weights are
evaluated: their time does not depend on the weights, but their noisy label maps take longer to make and to count.
Each part of an evaluation is timed by itself, one after another; `evaluate` then does them side by side. In brackets the
processor time of all threads, which other programs on the machine disturb less. Medians of one run, float32.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch

import fullconv
from common import machine
from fullconv.bundle import load_bundle
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.loading import TrainingSet, training_loader
from fullconv.data.transforms import TrainTransform
from fullconv.evaluation import evaluate, picture_score_map, read_truths
from fullconv.metrics import Scores
from fullconv.preprocessing import Preprocessing
from fullconv.training.config import TrainConfig
from fullconv.training.run import opened
from fullconv.training.step import training_step

BACKBONES = ("resnet18", "torchvision/mobilenet_v2")
BATCH, ROUNDS, CPU = 8, 5, torch.device("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--crop", type=int, default=320)
    parser.add_argument("--pictures", type=int, default=40, help="how many are evaluated")
    arguments = parser.parse_args()
    dataset = open_dataset(arguments.data)
    print(machine())
    training(dataset, arguments.data, (arguments.crop, arguments.crop))
    for name in arguments.models:
        bundle = load_bundle(name)
        evaluation(str(name), bundle.model, bundle.preprocessing, dataset, arguments.pictures)
    for backbone in () if arguments.models else BACKBONES:
        model = fullconv.build_model("fcn8s", backbone=backbone, num_classes=dataset.labels.num_classes)
        evaluation(f"fcn8s {backbone}", model.eval(), Preprocessing(), dataset, arguments.pictures)


def training(dataset: Dataset, data: Path, crop_hw: tuple[int, int]) -> None:
    print(f"\n{data.name}: crops of {crop_hw[0]} x {crop_hw[1]}, batches of {BATCH}, pictures a second")
    samples = TrainingSet(dataset.split("train"), dataset.labels, TrainTransform(crop_hw), seed=0)
    rates = {workers: loader_rate(samples, workers) for workers in (0, 1, 2)}
    for workers, rate in rates.items():
        print(f"    {f'loader alone, {workers} workers':42} {rate:8.1f}")
    items = [(0, index) for index in range(min(80, len(samples)))]
    whole = 1000 * timed_twice(lambda: [samples[item] for item in items])[1] / len(items)
    part = 1000 * timed_twice(lambda: [samples.part(item) for item in items])[1] / len(items)
    print(
        f"    {'ms of processor a picture':42} {whole:8.1f}   {part:.1f} where augmentation is the device's"
    )
    pictures, labels, _ = next(iter(training_loader(samples, BATCH, 0, 1, workers=0)))
    for backbone in BACKBONES:
        wall, processor = step_times(data, backbone, pictures, labels)
        ratios = ", ".join(f"{rate * wall / BATCH:.1f}" for rate in rates.values())
        print(
            f"    {f'training step, fcn8s {backbone}':42} {BATCH / wall:8.1f} ({BATCH / processor:.1f})"
            f"   the loader delivers {ratios} times as many"
        )


def step_times(
    data: Path, backbone: str, pictures: torch.Tensor, labels: torch.Tensor
) -> tuple[float, float]:
    """Median seconds of a training step of an FCN-8s on a batch, by the clock and of processor time."""
    with tempfile.TemporaryDirectory() as out:
        config = TrainConfig(
            data=data, out=Path(out) / "run", backbone=backbone, backbone_weights="none", crop=pictures.shape[-2:],
            batch_size=len(pictures), device="cpu", precision="fp32",
        )  # fmt: skip
        with ExitStack() as held:
            run = opened(config, held, lambda event: None)
    return timed_twice(lambda: training_step(run, 0, pictures, labels, 1e-3))


def loader_rate(samples: TrainingSet, workers: int) -> float:
    """Pictures a second, without the start of the workers and the batches that they had ready by then."""
    ready, num_batches = 2 * workers + 1, 50
    batches = training_loader(samples, BATCH, 0, ready + num_batches, workers)
    for _ in range(ready):
        next(batches)
    began = time.perf_counter()
    for _ in batches:
        pass
    return BATCH * num_batches / (time.perf_counter() - began)


def evaluation(
    name: str, model: torch.nn.Module, preprocessing: Preprocessing, dataset: Dataset, number: int
) -> None:
    """Prints what a picture takes, by parts and in `evaluate`, in milliseconds."""
    samples, labels = dataset.split("val")[:number], dataset.labels
    scores = Scores(labels.num_classes, getattr(model, "stride", None))
    pairs = [read_truths(sample, labels, ()) for sample in samples]
    maps = [picture_score_map(model, picture, preprocessing, CPU, "fp32") for picture, _ in pairs]
    label_maps = [score_map.labels().numpy() for score_map in maps]
    parts: dict[str, Callable[[], Any]] = {
        "network": lambda: [picture_score_map(model, each, preprocessing, CPU, "fp32") for each, _ in pairs],
        "reading": lambda: [read_truths(sample, labels, ()) for sample in samples],
        "labels": lambda: [score_map.labels().numpy() for score_map in maps],
        "metrics": lambda: [scores.update(*each) for each in zip(label_maps, (t[0] for _, t in pairs), strict=True)],
        "evaluate": lambda: evaluate(model, samples, labels, preprocessing, CPU, "fp32"),
    }  # fmt: skip
    times = {part: timed_twice(work) for part, work in parts.items()}
    print(f"\n{name}, {len(samples)} pictures of {dataset.name}, ms a picture")
    for part, (wall, processor) in times.items():
        print(f"    {part:42} {1000 * wall / len(samples):8.1f} ({1000 * processor / len(samples):.1f})")
    outside = 1 - times["network"][0] / times["evaluate"][0]
    beside = sum(times[part][1] for part in ("reading", "labels", "metrics"))
    print(
        f"    outside the network: {outside:.1%} of the time, {beside / (beside + times['network'][1]):.1%} of the work"
    )


def timed_twice(work: Callable[[], Any]) -> tuple[float, float]:
    """Median seconds by the clock and of processor time, after one call to warm up."""
    work()
    times = []
    for _ in range(ROUNDS):
        wall, processor = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - wall, time.process_time() - processor))
    walls, processors = zip(*times, strict=True)
    return statistics.median(walls), statistics.median(processors)


if __name__ == "__main__":
    main()
