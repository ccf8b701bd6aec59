"""A training run: what it works with, how it starts, and how it is reopened."""

import platform
import time
from collections.abc import Generator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from torch import nn

from fullconv.bundle import Architecture, load_bundle
from fullconv.data.check import DataSummary, check_samples
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.loading import steps_per_epoch
from fullconv.data.samples import Sample
from fullconv.devices import Precision, pick_precision
from fullconv.download import answers
from fullconv.errors import ConfigError, RunError
from fullconv.labels import head_sizes
from fullconv.models.backbones import pretrained_host
from fullconv.models.build import MODELS, WITHOUT_PRETRAINED, preprocessing_for
from fullconv.preprocessing import Preprocessing
from fullconv.storage import clean, write_text_atomically
from fullconv.training.average import WeightAverage
from fullconv.training.config import TrainConfig, config_text
from fullconv.training.facts import check_facts, facts_of
from fullconv.training.lock import lock
from fullconv.training.optimizer import build_optimizer
from fullconv.training.runlog import Event, append
from fullconv.training.state import STATE, Progress, load_state, save_state
from fullconv.training.world import World, join_world

RANDOM_START = (
    "the backbone starts from random weights; --backbone-weights pretrained, or a file, learns faster"
)


@dataclass
class Run:
    """Everything a run works with.

    Attributes:
        config: complete: nothing is "auto" any more.
        dataset: where the samples come from.
        summary: what the check of the training samples counted.
        model: on `device`, channels_last.
        world: the processes that train it.
        shared: the same network; its gradients are those of all processes.
        average: of its weights over the steps, where the configuration asks for one.
        saved: when the state was written last, by `time.monotonic`.
    """

    config: TrainConfig
    dataset: Dataset
    summary: DataSummary
    architecture: Architecture
    model: nn.Module
    optimizer: torch.optim.Optimizer
    preprocessing: Preprocessing
    world: World
    progress: Progress
    average: WeightAverage | None
    shared: nn.Module
    saved: float = 0.0

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and saved: the average where there is one."""
        return self.model if self.average is None else self.average.model

    def save_state(self) -> None:
        """Writes all that the run needs to go on to the same bits.

        Raises:
            StorageError: the disk is full or may not be written; the earlier state is still there.
        """
        if self.world.leads:
            save_state(self.state_file, self.networks, self.optimizer, self.progress, self.facts)
        self.saved = time.monotonic()

    def load_state(self, force: bool) -> None:
        """Puts the run where it was when its state was saved.

        Args:
            force: go on although something that the numbers depend on is not what it was.

        Raises:
            BundleError: there is no state, it is damaged, or it does not fit.
            ConfigError: something is not what it was.
        """
        progress, facts = load_state(self.state_file, self.networks, self.optimizer)
        if not force:
            check_facts(self.config.out, facts, self.facts)
        self.progress, self.saved = progress, time.monotonic()

    @property
    def facts(self) -> dict[str, str]:
        return facts_of(self.train_samples, self.device, self.world.size)

    def log(self, record: Event) -> None:
        """Adds a line to `log.jsonl`."""
        if self.world.leads:
            append(self.config.out, record)

    @property
    def device(self) -> torch.device:
        return self.world.device

    @property
    def state_file(self) -> Path:
        return self.config.out / "checkpoints" / STATE

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the name that their weights have in the state."""
        return {"model": self.model} | ({} if self.average is None else {"average": self.average.model})

    @property
    def precision(self) -> Precision:
        return pick_precision(self.config.precision, self.device)

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


def open_run(
    config: TrainConfig, held: ExitStack, resume: bool = False, force: bool = False
) -> Generator[Event, None, Run]:
    """Checks the data, builds everything, and starts or reopens the run folder.

    Args:
        config: what to train, on what, how.
        held: gets the lock of the run folder.
        resume, force: see `loop.train`.

    Yields:
        A "check" record and "warning" records about the data, then the "start" record.
    """
    world = join_world(config.device, held)
    check_start(config, resume, world)
    if resume and world.leads:
        held.enter_context(lock(config.out))
    dataset, summary = yield from checked_data(config)
    config = completed(config, summary, world.device)
    torch.manual_seed(config.seed)
    architecture = config.architecture(sum(head_sizes(dataset.labels, dataset.heads)), dataset.num_channels)
    # A resumed run gets its weights from its state.
    model, weights = (
        (architecture.build(), config.backbone_weights) if resume else build_network(architecture, config)
    )
    config = config.model_copy(update={"backbone_weights": weights, "backbone": architecture.backbone})
    if weights == "none" and config.init_from is None and architecture.backbone != "none":
        yield {"kind": "warning", "message": RANDOM_START}
    model = model.to(world.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if world.leads:
        if not resume:
            config.out.mkdir(parents=True, exist_ok=True)
            held.enter_context(lock(config.out))
            check_start(config, resume, world)
        clean(config.out)
    run = Run(
        config,
        dataset,
        summary,
        architecture,
        model,
        build_optimizer(model, config),
        preprocessing_for(config.model, dataset.num_channels),
        world,
        Progress(),
        None if config.ema is None else WeightAverage(model, config.ema),
        world.shared(model),
    )
    if resume:
        run.load_state(force)
        run.log({"kind": "resume", "time": now(), "step": run.progress.step})
    else:
        # The state first: what has a configuration can be resumed.
        run.save_state()
        if world.leads:
            write_text_atomically(config.out / "config.yaml", config_text(config))
        run.log(start_record(run))
    yield start_record(run)
    return run


def checked_data(config: TrainConfig) -> Generator[Event, None, tuple[Dataset, DataSummary]]:
    """The data set, and what the check of its training samples counted.

    Yields:
        A "check" record and "warning" records.
    """
    dataset = open_dataset(config.data)
    if config.min_size is not None:
        dataset = dataset.at_least(config.min_size)
    train_samples, val_samples = dataset.split(config.train_split), dataset.split(config.val_split)
    yield {"kind": "check", "samples": len(train_samples) + len(val_samples)}
    summary = check_samples(train_samples, dataset.labels, heads=dataset.heads)
    further = check_samples(val_samples, dataset.labels, heads=dataset.heads)
    for warning in (*summary.warnings, *further.warnings):
        yield {"kind": "warning", "message": warning}
    return dataset, summary


def check_start(config: TrainConfig, resume: bool, world: World) -> None:
    """Refuses what cannot be started, before anything is read."""
    state_file = config.out / "checkpoints" / STATE
    if resume and not state_file.exists():
        raise ConfigError(
            f"{config.out} holds no state to resume; expected {state_file}; train without --resume"
        )
    if world.leads and not resume and (config.out / "config.yaml").exists():
        raise ConfigError(
            f"{config.out} already holds a run; add --resume to go on with it, or choose another --out"
        )
    if config.patches is not None and config.model != "patchwise":
        raise ConfigError(
            f"patches is {config.patches}, but model {config.model!r} learns from whole crops; leave patches away, or "
            "train --model patchwise"
        )
    if config.batch_size < world.size:
        raise ConfigError(
            f"the batch of {config.batch_size} pictures is for all {world.size} processes together; give at least one to each"
        )
    if world.size > 1 and config.patches is not None:
        raise ConfigError("patches are learnt from in one process; start fullconv without torchrun")


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
        return initialised(architecture, config.init_from), "none"
    if config.backbone_weights != "auto":
        return architecture.build(config.backbone_weights), config.backbone_weights
    # Asked first, because libraries retry for half a minute.
    if architecture.model not in WITHOUT_PRETRAINED and answers(pretrained_host(architecture.backbone)):
        try:
            return architecture.build("pretrained"), "pretrained"
        except RunError:
            torch.manual_seed(config.seed)
    return architecture.build(), "none"


def initialised(architecture: Architecture, init_from: str) -> nn.Module:
    """A network that takes from another model every tensor of the same name and shape."""
    source = load_bundle(init_from)
    found = source.manifest.architecture.backbone
    if found != architecture.backbone:
        raise ConfigError(
            f"--init {init_from} has the backbone {found}, not {architecture.backbone}; give --backbone {found}"
        )
    model = architecture.build()
    own = model.state_dict()
    fitting = {
        name: tensor
        for name, tensor in source.model.state_dict().items()
        if name in own and own[name].shape == tensor.shape
    }
    if not fitting:
        raise ConfigError(
            f"--init {init_from} is a {source.manifest.architecture.model}, of which no layer fits {architecture.model}; "
            "start from a model of the same family"
        )
    model.load_state_dict(fitting, strict=False)
    return model


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
            "splits": {
                run.config.train_split: len(run.train_samples),
                run.config.val_split: len(run.val_samples),
            },
            "pixels_per_class": list(summary.pixels_per_class),
            "void_pixels": summary.void_pixels,
            "median_hw": list(summary.median_hw),
        },
        "model": {
            "name": run.architecture.model,
            "backbone": run.architecture.backbone,
            "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
            "stride": MODELS[run.architecture.model].stride,
        },
        "environment": {
            "fullconv": version("fullconv"),
            "python": platform.python_version(),
            "torch": torch.__version__,
            "machine": torch.cuda.get_device_name(run.device)
            if run.device.type == "cuda"
            else platform.processor() or platform.machine(),
            "device": str(run.device),
            "precision": run.config.precision,
            "threads": str(torch.get_num_threads()),
        },
        "heads": [head.name for head in run.dataset.heads],
        "steps_per_epoch": run.steps_per_epoch,
        "num_steps": run.num_steps,
        "step": run.progress.step,
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
