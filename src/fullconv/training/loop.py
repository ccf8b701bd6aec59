"""The training loop: one generator that yields what happens, so that whoever runs it shows it as they like."""

import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path


import numpy as np
import torch
from torch import nn

from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.data.check import DataSummary, check_samples
from fullconv.data.dataset import Dataset, Sample, open_dataset
from fullconv.data.loading import TrainingSet, steps_per_epoch, training_loader
from fullconv.data.transforms import TrainTransform
from fullconv.devices import autocast, pick_device, pick_precision
from fullconv.drawing import sample_grid
from fullconv.errors import ConfigError, RunError
from fullconv.evaluation import evaluate
from fullconv.labels import IGNORE_INDEX
from fullconv.losses import class_weights, cross_entropy
from fullconv.preprocessing import Preprocessing
from fullconv.storage import write_atomically, write_text_atomically
from fullconv.training.config import TrainConfig, config_text
from fullconv.training.optimizer import build_optimizer, set_learning_rate
from fullconv.training.runlog import Event, append
from fullconv.training.schedule import learning_rate
from fullconv.training.state import STATE, Progress, load_state, save_state

GRID_SAMPLES = 6


@dataclass
class Run:
    """Everything a run works with.

    Attributes:
        config: complete: nothing is "auto" any more.
        dataset: where the samples come from.
        summary: what the check of the training samples counted.
        model: on `device`, channels_last.
    """

    config: TrainConfig
    dataset: Dataset
    summary: DataSummary
    architecture: Architecture
    model: nn.Module
    optimizer: torch.optim.Optimizer
    preprocessing: Preprocessing
    device: torch.device
    progress: Progress

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train_samples), self.config.batch_size)

    @property
    def num_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    @property
    def train_samples(self) -> tuple[Sample, ...]:
        return self.dataset.split(self.config.train_split)

    @property
    def val_samples(self) -> tuple[Sample, ...]:
        return self.dataset.split(self.config.val_split)


def train(config: TrainConfig, *, resume: bool = False) -> Iterator[Event]:
    """Trains a network and yields what happens; the run folder `config.out` holds everything when it ends.

    Args:
        config: what to train, on what, how.
        resume: go on from the run folder's state; `config` must be the run's own (see `cli.train`).

    Yields:
        Records with a "kind": "check" (done, total) and "warning" (message) while the data is read; "start"; "tick" (step) after
        each step; "step" with loss, lr and images_per_second every `log_every` steps; "epoch" with the validation's
        figures; "end". "start", "step", "epoch" and "end" are also lines of `log.jsonl`.

    Raises:
        FullconvError: whatever is wrong with the data, the configuration or the machine, in one line.
        KeyboardInterrupt: after SIGINT or SIGTERM; the state has been saved.
    """
    run = yield from prepare(config, resume)
    with stop_requested() as stopped:
        yield from run_epochs(run, stopped)


def prepare(config: TrainConfig, resume: bool) -> Iterator[Event]:
    """Checks the data, builds everything, and starts or reopens the run folder."""
    state_file = config.out / "checkpoints" / STATE
    if resume and not state_file.exists():
        raise ConfigError(f"{config.out} holds no state to resume; expected {state_file}; train without --resume")
    if not resume and (config.out / "config.yaml").exists():
        raise ConfigError(f"{config.out} already holds a run; add --resume to go on with it, or choose another --out")
    device = pick_device(config.device)
    dataset = open_dataset(config.data)
    train_samples, val_samples = dataset.split(config.train_split), dataset.split(config.val_split)

    checks: list[Event] = []
    summary = check_samples(train_samples, dataset.labels)
    val_summary = check_samples(val_samples, dataset.labels)
    checks += [{"kind": "warning", "message": w} for s in (summary, val_summary) for w in s.warnings]
    yield from checks

    config = completed(config, summary, device)
    torch.manual_seed(config.seed)
    architecture = config.architecture(dataset.labels.num_classes)
    model, weights = build_network(architecture, config)
    config = config.model_copy(update={"backbone_weights": weights})
    if weights == "none" and config.init_from is None:
        yield {"kind": "warning", "message": "the backbone starts from random weights; --backbone-weights pretrained, or a file, reaches more in less time"}
    model = model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    run = Run(config, dataset, summary, architecture, model, build_optimizer(model, config), Preprocessing(), device, Progress())
    if resume:
        run.progress = load_state(state_file, run.model, run.optimizer)
        append(config.out, {"kind": "resume", "time": now(), "step": run.progress.step})
    else:
        config.out.mkdir(parents=True, exist_ok=True)
        write_text_atomically(config.out / "config.yaml", config_text(config))
        append(config.out, start_record(run))
    yield start_record(run)
    return run


def completed(config: TrainConfig, summary: DataSummary, device: torch.device) -> TrainConfig:
    """The configuration with everything that was "auto" chosen."""
    height, width = summary.median_hw
    return config.model_copy(
        update={
            "crop": config.crop or (min(480, height), min(480, width)),
            "precision": pick_precision(config.precision, device),
        }
    )


def build_network(architecture: Architecture, config: TrainConfig) -> tuple[nn.Module, str]:
    """The network with the weights it starts from, and what "auto" weights turned out to be."""
    if config.init_from is not None:
        model = architecture.build()
        state = load_bundle(config.init_from).model.state_dict()
        own = model.state_dict()
        fitting = {name: tensor for name, tensor in state.items() if name in own and own[name].shape == tensor.shape}
        if not any(name.startswith("backbone.") for name in fitting):
            raise ConfigError(f"--init {config.init_from} has another backbone than {architecture.backbone}; choose the same")
        model.load_state_dict(fitting, strict=False)
        return model, "none"
    if config.backbone_weights != "auto":
        return architecture.build(config.backbone_weights), config.backbone_weights
    try:
        return architecture.build("pretrained"), "pretrained"
    except (OSError, RuntimeError):  # no network, or no such weights
        torch.manual_seed(config.seed)
        return architecture.build(), "none"


def run_epochs(run: Run, stopped: Callable[[], bool]) -> Iterator[Event]:
    config, progress, checkpoints = run.config, run.progress, run.config.out / "checkpoints"
    began = time.monotonic() - progress.seconds
    transform = TrainTransform(
        crop_hw=config.crop or (0, 0), scale=config.scale, flip=config.flip,
        brightness=config.jitter, contrast=config.jitter, saturation=config.jitter,
    )  # fmt: skip
    dataset = TrainingSet(run.train_samples, run.dataset.labels, transform, config.seed)
    weight = class_weights(run.summary.pixels_per_class, config.class_weights).to(run.device)
    loader = iter(training_loader(dataset, config.batch_size, progress.step, run.num_steps, config.workers))
    window_began, window_step = time.monotonic(), progress.step

    for step in range(progress.step, run.num_steps):
        pictures, labels, indices = next(loader)
        # Dropout and stochastic depth draw from the global generator: a function of the step, so that resuming repeats it.
        torch.manual_seed(config.seed * 1_000_003 + step)
        lr = learning_rate(config, step, run.num_steps)
        loss = training_step(run, pictures, labels, weight, lr)
        if not math.isfinite(loss):
            names = ", ".join(run.train_samples[i].name for i in indices.tolist())
            raise RunError(f"the loss is {loss} at step {step + 1}; lower --lr, or look at the pictures {names}")
        progress.step, progress.epoch_loss, progress.seconds = step + 1, progress.epoch_loss + loss, time.monotonic() - began
        yield {"kind": "tick", "step": step + 1}

        if (step + 1) % config.log_every == 0 or (step + 1) % run.steps_per_epoch == 0:
            images = (step + 1 - window_step) * config.batch_size
            record = {
                "kind": "step", "step": step + 1, "epoch": round((step + 1) / run.steps_per_epoch, 4), "loss": loss,
                "lr": lr, "images_per_second": images / (time.monotonic() - window_began),
            }  # fmt: skip
            window_step = step + 1
            append(config.out, record)
            yield record
            window_began = time.monotonic()

        if (step + 1) % run.steps_per_epoch == 0:
            yield finish_epoch(run, began)
            window_began = time.monotonic()
        if stopped():
            save_state(checkpoints / STATE, run.model, run.optimizer, progress)
            raise KeyboardInterrupt
    record = {"kind": "end", "time": now(), "seconds": progress.seconds}
    append(config.out, record)
    yield record


def training_step(
    run: Run, pictures: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor, lr: float
) -> float:
    """One step: (N, 3, h, w) uint8 pictures and (N, h, w) uint8 labels; returns the loss."""
    config = run.config
    run.model.train()
    set_learning_rate(run.optimizer, lr)
    with autocast(run.device, config.precision):
        logits = run.model(run.preprocessing(pictures, run.device))  # (N, K, h, w) float32
    loss = cross_entropy(
        logits, labels.to(run.device), weight=weight if config.class_weights != "none" else None,
        ignore_index=IGNORE_INDEX, label_smoothing=config.label_smoothing,
    )  # fmt: skip
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    if config.clip is not None:
        nn.utils.clip_grad_norm_(run.model.parameters(), config.clip)
    run.optimizer.step()
    return loss.item()


def finish_epoch(run: Run, began: float) -> Event:
    """Validates, draws the sample grid, and saves state, `last`, and `best` where it is the best."""
    config, progress, checkpoints = run.config, run.progress, run.config.out / "checkpoints"
    epoch = progress.step // run.steps_per_epoch
    chosen = np.linspace(0, len(run.val_samples) - 1, min(GRID_SAMPLES, len(run.val_samples))).astype(int).tolist()
    shown: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def seen(index: int, picture: np.ndarray, label_map: np.ndarray, truth: np.ndarray) -> None:
        if index in chosen:
            shown.append((picture, label_map, truth))

    labels = run.dataset.labels
    confusion = evaluate(run.model, run.val_samples, labels, run.preprocessing, run.device, config.precision, seen)
    figures = confusion.summary(labels.names, len(run.val_samples), config.val_split)
    mean_iou = figures["mean_iou"] or 0.0
    best = mean_iou > progress.best
    record = {
        "kind": "epoch", "epoch": epoch, "step": progress.step, "train_loss": progress.epoch_loss / run.steps_per_epoch,
        "seconds": time.monotonic() - began, "val": figures, "best": best,
    }  # fmt: skip
    progress.best, progress.epoch_loss, progress.seconds = max(progress.best, mean_iou), 0.0, record["seconds"]

    checkpoints.mkdir(parents=True, exist_ok=True)
    trained = {"data": run.dataset.name, "epoch": epoch, "epochs": config.epochs, "seconds": round(progress.seconds, 1)}
    for name in ("last", "best") if best else ("last",):
        save_bundle(checkpoints / name, run.model.state_dict(), run.architecture, labels, run.preprocessing, trained, figures)
    save_state(checkpoints / STATE, run.model, run.optimizer, progress)
    save_grid(config.out / "samples" / f"epoch_{epoch:04d}.jpg", shown, run)
    append(config.out, record)
    return record


def save_grid(file: Path, shown: list[tuple[np.ndarray, np.ndarray, np.ndarray]], run: Run) -> None:
    import io

    pictures, predictions, truths = zip(*shown, strict=True)
    buffer = io.BytesIO()
    sample_grid(pictures, predictions, truths, run.dataset.labels).save(buffer, "JPEG", quality=88)
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, buffer.getvalue())


def start_record(run: Run) -> Event:
    labels, summary = run.dataset.labels, run.summary
    return {
        "kind": "start",
        "time": now(),
        "classes": [{"name": n, "color": list(c)} for n, c in zip(labels.names, labels.colors, strict=True)],
        "data": {
            "name": run.dataset.name,
            "root": str(run.dataset.root),
            "layout": run.dataset.layout,
            "splits": {run.config.train_split: len(run.train_samples), run.config.val_split: len(run.val_samples)},
            "pixels_per_class": list(summary.pixels_per_class),
            "void_pixels": summary.void_pixels,
            "median_hw": list(summary.median_hw),
        },
        "model": {
            "name": run.architecture.model,
            "backbone": run.architecture.backbone,
            "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
            "stride": run.model.stride,
        },
        "environment": {
            "fullconv": fullconv_version(),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": torch.cuda.get_device_name(run.device) if run.device.type == "cuda" else platform.processor() or platform.machine(),
            "device": str(run.device),
            "precision": run.config.precision,
            "threads": str(torch.get_num_threads()),
        },
        "steps_per_epoch": run.steps_per_epoch,
        "num_steps": run.num_steps,
        "step": run.progress.step,
    }


def fullconv_version() -> str:
    from importlib.metadata import version

    return version("fullconv")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """While open, SIGINT and SIGTERM are noted instead of obeyed; the value tells whether one came."""
    requests: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda got, _: requests.append(got)) for number in signals}
    try:
        yield lambda: bool(requests)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
