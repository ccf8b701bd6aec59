"""A training run: what it works with, how it starts, and how it is reopened."""

import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import torch
from torch import nn

from fullconv.bundle import Architecture
from fullconv.data.check import DataSummary
from fullconv.data.dataset import Dataset
from fullconv.data.loading import steps_per_epoch
from fullconv.data.samples import Sample
from fullconv.devices import Precision, keep_freed_memory, pick_precision
from fullconv.errors import ConfigError
from fullconv.labels import head_sizes
from fullconv.losses import class_weights
from fullconv.models.build import MODELS, preprocessing_for
from fullconv.preprocessing import Preprocessing
from fullconv.storage import clean, newest, write_text_atomically
from fullconv.training.auxiliary import WithAuxiliary
from fullconv.training.average import WeightAverage
from fullconv.training.checked import checked_data
from fullconv.training.config import TrainConfig, config_text
from fullconv.training.environment import environment_of
from fullconv.training.facts import check_facts, facts_of
from fullconv.training.initial import Start, build_network
from fullconv.training.lock import lock
from fullconv.training.optimizer import build_optimizer
from fullconv.training.order import picked_order
from fullconv.training.runlog import Event, append
from fullconv.training.state import SHARDS, STATE, Progress, load_state, save_state
from fullconv.training.world import World, join_world

# `sharding` and `sharded_state` are imported where shards are asked for: FSDP takes longer to import than all else here.


@dataclass
class Run:
    """Everything a run works with.

    Attributes:
        config: complete: nothing is "auto" any more.
        dataset: where the samples come from.
        summary: what the check of the training samples counted.
        model: on `device`, channels_last.
        world: the processes that train it.
        trained: the same network; with an auxiliary head where the configuration asks for one.
        shared: what is trained; its gradients are those of all processes.
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
    trained: nn.Module
    shared: nn.Module
    saved: float = 0.0

    def judged(self) -> nn.Module:
        """The network that is validated and saved: the average where there is one; put together by all processes if sharded."""
        judged = self.model if self.average is None else self.average.model
        if self.config.sharding == "none":
            return judged
        from fullconv.training.sharding import gathered

        return gathered(judged, self.architecture.build().to(self.device))

    def save_state(self) -> None:
        """Writes all that the run needs to go on to the same bits.

        Raises:
            StorageError: the disk is full or may not be written; the earlier state is still there.
        """
        if self.config.sharding == "full":
            from fullconv.training.sharded_state import save_shards

            save_shards(self.state, self.networks, self.optimizer, self.progress, self.facts, self.world)
        elif self.world.leads:
            save_state(self.state, self.networks, self.optimizer, self.progress, self.facts)
        self.saved = time.monotonic()

    def load_state(self, force: bool) -> None:
        """Puts the run where it was when its state was saved.

        Args:
            force: go on although something that the numbers depend on is not what it was.

        Raises:
            BundleError: there is no state, it is damaged, or it does not fit.
            ConfigError: something is not what it was.
        """
        if self.config.sharding == "full":
            from fullconv.training.sharded_state import load_shards

            progress, facts = load_shards(self.state, self.networks, self.optimizer, self.world)
        else:
            progress, facts = load_state(self.state, self.networks, self.optimizer)
        if not force:
            check_facts(self.config.out, facts, self.facts)
        self.progress, self.saved = progress, time.monotonic()

    @cached_property
    def class_weights(self) -> torch.Tensor | None:
        """(K,) the factors of the first head's classes in the loss, where the configuration asks for some."""
        if self.config.class_weights == "none":
            return None
        return class_weights(self.summary.pixels_per_class, self.config.class_weights).to(self.device)

    @cached_property
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
    def state(self) -> Path:
        return state_of(self.config)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """By the name that their weights have in the state."""
        networks = {"model": self.model}
        if self.average is not None:
            networks["average"] = self.average.model
        if isinstance(self.trained, WithAuxiliary):
            networks["auxiliary"] = self.trained.head
        return networks

    @property
    def precision(self) -> Precision:
        return pick_precision(self.config.precision, self.device)

    @property
    def steps_per_epoch(self) -> int:
        return steps_per_epoch(len(self.train_samples), self.config.batch_size)

    @property
    def num_steps(self) -> int:
        return self.config.epochs * self.steps_per_epoch

    @cached_property
    def train_samples(self) -> Sequence[Sample]:
        return self.dataset.split(self.config.train_split)

    @cached_property
    def val_samples(self) -> Sequence[Sample]:
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
    if world.device.type == "cpu":
        keep_freed_memory()
    if resume:
        take_folder(config, resume, world, held)
    dataset, summary = yield from checked_data(config)
    config = completed(config, summary, world.device, dataset.split(config.train_split))
    config, architecture, start = started(config, dataset, resume)
    for warning in start.warnings:
        yield {"kind": "warning", "message": warning}
    model = start.model.to(world.device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if config.freeze == "backbone":
        frozen(model).requires_grad_(False)
    trained = WithAuxiliary(model, architecture.num_classes).to(world.device) if config.auxiliary else model
    if not resume:
        take_folder(config, resume, world, held)
    shared, average = spread(model, trained, config, world)
    if config.compile:
        trained.compile()
    run = Run(
        config,
        dataset,
        summary,
        architecture,
        model,
        build_optimizer(trained, config),
        preprocessing_for(config.model, dataset.num_channels),
        world,
        Progress(),
        average,
        trained,
        shared,
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


def opened(config: TrainConfig, held: ExitStack, seen: Callable[[Event], None]) -> Run:
    """`open_run` for a new run, whose records go to `seen`."""
    events = open_run(config, held)
    while True:
        try:
            seen(next(events))
        except StopIteration as end:
            return end.value


def spread(
    model: nn.Module, trained: nn.Module, config: TrainConfig, world: World
) -> tuple[nn.Module, WeightAverage | None]:
    """What is trained as all processes do, and the average of the network's weights where the configuration asks for one."""
    average = None if config.ema is None else WeightAverage(model, config.ema)
    if config.sharding == "none":
        return world.shared(trained), average
    from fullconv.training.sharding import shard

    if average is not None:
        shard(average.model, world)
    return shard(trained, world), average


def state_of(config: TrainConfig) -> Path:
    """What a run is resumed from: a file, or a folder of shards."""
    return config.out / "checkpoints" / (STATE if config.sharding == "none" else SHARDS)


def started(config: TrainConfig, dataset: Dataset, resume: bool) -> tuple[TrainConfig, Architecture, Start]:
    """The network at its first step, and the configuration with what was "auto" about it; a resumed run loads its weights."""
    if config.deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    torch.manual_seed(config.seed)
    architecture = config.architecture(sum(head_sizes(dataset.labels, dataset.heads)), dataset.num_channels)
    if resume:
        start = Start(architecture.build(), config.backbone_weights)
    else:
        start = build_network(architecture, config, dataset.labels, dataset.heads)
    found = {"backbone_weights": start.backbone_weights, "backbone": architecture.backbone}
    return config.model_copy(update=found), architecture, start


def take_folder(config: TrainConfig, resume: bool, world: World, held: ExitStack) -> None:
    """Makes the run folder this run's own, and clears it of what killed writers left."""
    if world.leads:
        config.out.mkdir(parents=True, exist_ok=True)
        held.enter_context(lock(config.out))
        check_start(config, resume, world)  # another may have come before
        clean(config.out)


def frozen(model: nn.Module) -> nn.Module:
    """The part of a network that `freeze` keeps as it is.

    Raises:
        ConfigError: it has no backbone of its own name.
    """
    try:
        return model.get_submodule("backbone")
    except AttributeError:
        raise ConfigError(
            f"freeze is 'backbone', but a {type(model).__name__} has none apart; leave it away, or train fcn8s"
        ) from None


def check_start(config: TrainConfig, resume: bool, world: World) -> None:
    """Refuses what cannot be started, before anything is read."""
    state = state_of(config)
    if resume and not newest(state).exists():
        raise ConfigError(f"{config.out} holds no state to resume; expected {state}; train without --resume")
    if world.leads and not resume and (config.out / "config.yaml").exists():
        raise ConfigError(
            f"{config.out} already holds a run; add --resume to go on with it, or choose another --out"
        )
    if config.patches is not None and config.model != "patchwise":
        raise ConfigError(
            f"patches is {config.patches}, but model {config.model!r} learns from whole crops; leave patches away, or "
            "train --model patchwise"
        )
    if config.patches is not None and config.micro_batch is not None:
        raise ConfigError(
            "patches are learnt from in one pass; leave micro_batch away, or give fewer patches"
        )
    if config.loss != "cross_entropy" and (config.label_smoothing or config.loss_reduction == "sum"):
        raise ConfigError(
            f"label_smoothing and loss_reduction=sum belong to loss=cross_entropy; got loss={config.loss}; leave them away"
        )
    if config.batch_size < world.size:
        raise ConfigError(
            f"the batch of {config.batch_size} pictures is for all {world.size} processes together; give at least one to each"
        )
    if world.size == 1 and config.sharding == "full":
        raise ConfigError(
            "sharding=full is for several processes; start with --processes N or torchrun, or leave it away"
        )
    if world.size > 1 and config.patches is not None:
        raise ConfigError("patches are learnt from in one process; leave --processes away")


def completed(
    config: TrainConfig, summary: DataSummary, device: torch.device, samples: Sequence[Sample]
) -> TrainConfig:
    """The configuration with everything that was "auto" chosen."""
    height, width = summary.median_hw
    return config.model_copy(
        update={
            "crop": config.crop or (min(480, height), min(480, width)),
            "precision": pick_precision(config.precision, device),
            "order": picked_order(config, samples),
        }
    )


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
            "smallest_hw": list(summary.smallest_hw),
            "largest_hw": list(summary.largest_hw),
        },
        "model": {
            "name": run.architecture.model,
            "backbone": run.architecture.backbone,
            "parameters": sum(parameter.numel() for parameter in run.model.parameters()),
            "stride": MODELS[run.architecture.model].stride,
        },
        "environment": environment_of(run.device, run.precision, run.world.size),
        "heads": [head.name for head in run.dataset.heads],
        "steps_per_epoch": run.steps_per_epoch,
        "num_steps": run.num_steps,
        "step": run.progress.step,
    }


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
