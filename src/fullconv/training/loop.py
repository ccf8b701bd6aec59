"""The training loop: one generator that yields what happens, so that whoever runs it shows it as they like."""

import math
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn

from fullconv.bundle import save_bundle
from fullconv.data.loading import worker_deaths_said
from fullconv.drawing import save_jpeg
from fullconv.errors import RunError
from fullconv.evaluation import evaluate
from fullconv.training.batches import batches
from fullconv.training.board import Board
from fullconv.training.config import TrainConfig
from fullconv.training.run import Run, now, open_run
from fullconv.training.runlog import Event
from fullconv.training.schedule import learning_rate
from fullconv.training.signals import stop_requested
from fullconv.training.step import training_step
from fullconv.training.world import lost_fellows_said

MOST_SKIPPED = 10
"""Steps in a row without a finite loss, after which a run is lost."""


def train(config: TrainConfig, *, resume: bool = False, force: bool = False) -> Iterator[Event]:
    """Trains a network and yields what happens; the run folder `config.out` holds everything when it ends.

    Args:
        config: what to train, on what, how.
        resume: go on from the run folder's state; `config` must be the run's own (see `cli.train`).
        force: go on although data, threads, processor or torch are not what they were, and the numbers will differ.

    Yields:
        Records with a "kind": "check" (samples) and "warning" (message) about the data; "start"; "tick" (step) after each
        step; "step" with loss, lr and images_per_second every `log_every` steps; "epoch" with the validation's figures; "end".
        "start", "step", "epoch" and "end" are lines of `log.jsonl`.

    Raises:
        FullconvError: whatever is wrong with the data, the configuration or the machine, in one line.
        KeyboardInterrupt: after SIGINT or SIGTERM; the state has been saved.
    """
    with ExitStack() as held:
        held.enter_context(
            lost_fellows_said("another process of the run has ended; see its message, then --resume")
        )
        run = yield from open_run(config, held, resume, force)
        stopped = held.enter_context(stop_requested())
        board = held.enter_context(Board(run.config.out)) if run.world.leads else None
        held.enter_context(worker_deaths_said())
        for event in run_epochs(run, stopped):
            if event["kind"] in ("step", "epoch") and board is not None:
                board.show(event)
            yield event


def run_epochs(run: Run, stopped: Callable[[], bool]) -> Iterator[Event]:
    config, progress = run.config, run.progress
    began = time.monotonic() - progress.seconds
    loader = batches(run, progress.step, run.num_steps)
    window_began, window_step = time.monotonic(), progress.step

    for step in range(progress.step, run.num_steps):
        if config.patience is not None and progress.epochs_since_best >= config.patience:
            break
        pictures, labels, indices = next(loader)
        lr = learning_rate(config, step, run.num_steps)
        loss = training_step(run, step, pictures, labels, lr)
        if run.average is not None and math.isfinite(loss):
            run.average.update(run.model, step)
        if math.isfinite(loss):
            progress.epoch_loss, progress.skipped = progress.epoch_loss + loss, 0
        else:
            yield skipped(run, step, loss, [run.train_samples[index].name for index in indices.tolist()])
        progress.step, progress.seconds = step + 1, time.monotonic() - began
        yield {"kind": "tick", "step": step + 1}

        if (step + 1) % config.log_every == 0 or (step + 1) % run.steps_per_epoch == 0:
            images = (step + 1 - window_step) * config.batch_size
            record = {
                "kind": "step", "step": step + 1, "epoch": round((step + 1) / run.steps_per_epoch, 4), "loss": loss,
                "lr": lr, "images_per_second": images / (time.monotonic() - window_began),
            }  # fmt: skip
            window_step = step + 1
            run.log(record)
            yield record
            window_began = time.monotonic()

        if (step + 1) % run.steps_per_epoch == 0:
            yield finish_epoch(run, began)
            window_began = time.monotonic()
        leaving = run.world.any(stopped())
        if run.world.any(leaving or time.monotonic() - run.saved > 60 * config.save_minutes):
            run.save_state()
        if leaving:
            raise KeyboardInterrupt
    record = {"kind": "end", "time": now(), "seconds": progress.seconds}
    run.log(record)
    yield record


def skipped(run: Run, step: int, loss: float, names: list[str]) -> Event:
    """The record of a step whose loss is not finite, where the run is to survive it.

    Raises:
        RunError: it is not, or so many steps one after the other were such.
    """
    run.progress.skipped += 1
    what, where = f"the loss is {loss} at step {step + 1}", f"look at the pictures {', '.join(names)}"
    if run.config.non_finite == "stop":
        raise RunError(f"{what}; lower --lr, or {where}; --set non_finite=skip leaves such steps out")
    if run.progress.skipped == MOST_SKIPPED:
        raise RunError(f"{what}, as at {MOST_SKIPPED - 1} steps before; lower --lr, or {where}")
    record = {"kind": "warning", "step": step + 1, "message": f"{what}: left out; {where}"}
    run.log(record)
    return record


def finish_epoch(run: Run, began: float) -> Event:
    """Validates, and saves a bundle of this epoch, `last`, `best` where it is the best, and the state."""
    config, progress = run.config, run.progress
    epoch = progress.step // run.steps_per_epoch
    judged = run.judged()
    validated = epoch % config.val_every == 0 or epoch == config.epochs
    measured = validate(run, judged, epoch) if validated else {"val": None}
    figures = measured["val"]
    mean_iou = -1.0 if figures is None else figures["mean_iou"] or 0.0
    best = mean_iou > progress.best
    record = {
        "kind": "epoch", "epoch": epoch, "step": progress.step, "train_loss": progress.epoch_loss / run.steps_per_epoch,
        "seconds": time.monotonic() - began, **measured, "best": best,
    }  # fmt: skip
    if figures is not None:
        progress.epochs_since_best = 0 if best else progress.epochs_since_best + config.val_every
    progress.best, progress.epoch_loss, progress.seconds = (
        max(progress.best, mean_iou),
        0.0,
        record["seconds"],
    )

    if run.world.leads:
        save_bundles(run, judged, epoch, figures or {}, best)
    run.save_state()
    run.log(record)
    if run.world.leads and figures is not None:
        drop_extremes(config.out / "samples", epoch)
    return record


def drop_extremes(samples: Path, epoch: int) -> None:
    """Removes the drawings of the best and the worst pictures of other epochs; the log keeps their names."""
    for key in ("best", "worst"):
        for file in samples.glob(f"epoch_*_{key}.jpg"):
            if file.name != f"epoch_{epoch:04d}_{key}.jpg":
                file.unlink(missing_ok=True)


def save_bundles(run: Run, judged: nn.Module, epoch: int, figures: Event, best: bool) -> None:
    """The network of an epoch under its number, as `last`, and as `best` where it is; the oldest numbers go."""
    checkpoints = run.config.out / "checkpoints"
    trained = {
        "data": run.dataset.name,
        "epoch": epoch,
        "epochs": run.config.epochs,
        "seconds": round(run.progress.seconds, 1),
        "pictures": len(run.train_samples),
        "recipe": run.config.recipe,
        "licence": run.config.licence,
        "limits": run.config.limits,
    }
    for name in (f"epoch_{epoch:04d}", "last", *(["best"] if best else [])):
        save_bundle(
            checkpoints / name,
            judged.state_dict(),
            run.architecture,
            run.dataset.labels,
            run.preprocessing,
            trained=trained,
            metrics=figures,
            heads=run.dataset.heads,
            extra=run.dataset.extra,
        )
    for old in sorted(checkpoints.glob("epoch_*"))[: -run.config.keep_epochs]:
        shutil.rmtree(old)


def validate(run: Run, judged: nn.Module, epoch: int) -> Event:
    """Measures the validation split, of which each process takes its share.

    A few samples are drawn to `samples/epoch_NNNN.jpg`, the best and the worst to `epoch_NNNN_best.jpg` and `_worst.jpg`, of
    which the last epoch's are kept; with several processes they are those of the leading one's share.

    Returns:
        Of the epoch's record: `val`, the figures; `val_seconds`, what it took; `pictures`, see `Evaluation.extremes`.
    """
    began = time.monotonic()
    evaluation = evaluate(
        judged,
        run.world.share(run.val_samples),
        run.dataset.labels,
        run.preprocessing,
        run.device,
        run.precision,
        heads=run.dataset.heads,
    )
    evaluation.num_images = int(run.world.sum(torch.tensor(evaluation.num_images)))
    for tensor in (tensor for scores in evaluation.measured for tensor in scores.counts):
        run.world.sum(tensor)
    if run.world.leads:
        for name, grid in evaluation.grids().items():
            part = "" if name == "samples" else f"_{name}"
            save_jpeg(grid, run.config.out / "samples" / f"epoch_{epoch:04d}{part}.jpg", quality=88)
    return {
        "val": evaluation.summary(run.config.val_split),
        "val_seconds": time.monotonic() - began,
        "pictures": evaluation.extremes(),
    }
