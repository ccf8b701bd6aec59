"""What commands share: messages and progress on stderr, results on stdout."""

import json
import sys
import time
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from fullconv.reporting.tables import mean_iou_text, percent
from fullconv.training.runlog import Event

PLAIN_SECONDS = 15


def say(message: str) -> None:
    """A message for people, on stderr."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: dict[str, Any]) -> None:
    """One JSON object on one line of stdout."""
    print(json.dumps(value), flush=True)


def progress_bar(unit: str) -> Progress:
    """A progress bar with ETA on stderr; hidden where that is no terminal."""
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn(unit),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[figures]}"),
        console=console,
        disable=not console.is_terminal,
    )


class TrainingDisplay:
    """Shows the events of a training: a bar on a terminal, now and then a plain line elsewhere."""

    def __init__(self) -> None:
        self.bar = progress_bar("steps")
        self.task = None
        self.num_steps = 1
        self.first_step = 0
        self.began = self.spoke = time.monotonic()
        self.figures = ""

    def __enter__(self) -> "TrainingDisplay":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def show(self, event: Event) -> None:
        kind = event["kind"]
        if kind == "check":
            self.line(f"check  reading {event['samples']} pictures and masks")
        elif kind == "warning":
            self.line(f"warning: {event['message']}")
        elif kind == "start":
            self.start(event)
        elif kind == "tick" and self.task is not None:
            self.bar.update(self.task, completed=event["step"], figures=self.figures)
        elif kind == "step":
            self.figures = (
                f"loss {event['loss']:.3f}  lr {event['lr']:.1e}  {event['images_per_second']:.1f} images/s"
            )
            if not self.bar.console.is_terminal and time.monotonic() - self.spoke > PLAIN_SECONDS:
                self.line(
                    f"step {event['step']}/{self.num_steps}  {self.figures}  {self.left(event['step'])}"
                )
        elif kind == "epoch":
            val, mark = event["val"], "  best so far" if event["best"] else ""
            scores = (
                ""
                if val is None
                else f"{mean_iou_text(val)}  pixel accuracy {percent(val['pixel_accuracy'])}  "
            )
            self.line(
                f"epoch {event['epoch']}  loss {event['train_loss']:.3f}  {scores}{self.left(event['step'])}{mark}"
            )

    def start(self, event: Event) -> None:
        data, model, environment = event["data"], event["model"], event["environment"]
        splits = ", ".join(f"{count} {split}" for split, count in data["splits"].items())
        over = "" if model["backbone"] == "none" else f" over {model['backbone']}"
        self.line(f"data   {data['name']}: {splits}, {len(event['classes'])} classes ({data['layout']})")
        self.line(
            f"model  {model['name']}{over}: {model['parameters'] / 1e6:.1f} M parameters; "
            f"{environment['precision']} on {environment['device']}"
        )
        self.num_steps, self.first_step, self.began = event["num_steps"], event["step"], time.monotonic()
        if self.first_step:
            self.line(f"resumed at step {self.first_step} of {self.num_steps}")
        self.task = self.bar.add_task("training", total=self.num_steps, completed=self.first_step, figures="")

    def left(self, step: int) -> str:
        done = step - self.first_step
        seconds = (time.monotonic() - self.began) / max(1, done) * (self.num_steps - step)
        return f"{seconds / 60:.0f} min left" if seconds >= 90 else f"{seconds:.0f} s left"

    def line(self, text: str) -> None:
        self.spoke = time.monotonic()
        self.bar.console.print(text, highlight=False, markup=False, soft_wrap=True)
