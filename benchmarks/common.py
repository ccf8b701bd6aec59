"""What every benchmark prints and how it times."""

import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torchvision

from fullconv.bundle import load_bundle
from fullconv.data.dataset import open_dataset
from fullconv.devices import pick_device, pick_precision
from fullconv.evaluation import evaluate
from fullconv.metrics import Confusion, boundary_band
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train


def machine() -> str:
    capabilities = torch.cpu.get_capabilities()
    native = [name for name in ("amx_bf16", "avx512_bf16") if capabilities.get(name)]
    cpu = f"{capabilities.get('cpu_name', platform.processor())}, {torch.get_num_threads()} threads"
    versions = f"Python {platform.python_version()}, torch {torch.__version__}, torchvision {torchvision.__version__}"
    return f"{cpu}, {', '.join(native) or 'no bf16'}; {versions}"


def timed(work: Callable[[], Any], repeats: int = 7) -> tuple[float, float]:
    """Median and spread (interquartile range) of the milliseconds that `work` takes, after one call to warm up."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(1000 * (time.perf_counter() - began))
    low, _, high = statistics.quantiles(times, n=4)
    return statistics.median(times), high - low


def figures_of(config: TrainConfig) -> dict[str, float]:
    """What `measure` says of a run: trained, gone on with where it was interrupted, or only read where it is finished."""
    file = config.out / "figures.json"
    if not file.exists():
        for _ in train(config, resume=(config.out / "checkpoints" / "state.safetensors").exists()):
            pass
        file.write_text(json.dumps(measure(config.data, config.out)))
    return json.loads(file.read_text())


def mean_and_spread(values: list[float]) -> str:
    """Mean and standard deviation of shares, in percent."""
    percents = [100 * value for value in values]
    spread = statistics.stdev(percents) if len(percents) > 1 else 0.0
    return f"{statistics.mean(percents):.1f} ({spread:.1f})"


def measure(data: Path, run: Path) -> dict[str, float]:
    """Mean IU, mean IU within 3 pixels of class borders, boundary IU and boundary F (3 pixels), in 0..1."""
    bundle, dataset, device = (
        load_bundle(run / "checkpoints" / "last"),
        open_dataset(data),
        pick_device("auto"),
    )
    band = Confusion(dataset.labels.num_classes)

    def seen(index, picture, label_map, truth):
        inside = boundary_band(truth, 3).numpy()
        band.update(label_map[inside], truth[inside])

    scores = evaluate(
        bundle.model,
        dataset.split("val"),
        dataset.labels,
        bundle.preprocessing,
        device,
        pick_precision("auto", device),
        seen,
    ).scores
    return {
        "mean IU": scores.confusion.mean_iou,
        "border band": band.mean_iou,
        "boundary IU": scores.boundary_iou.mean_iou,
        "boundary F": scores.boundary_f.mean_f,
    }
