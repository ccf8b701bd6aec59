"""What a run folder says of its run: its log and its configuration."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fullconv.errors import ConfigError, InputError, RunError

Line = dict[str, Any]
"""A line of log.jsonl."""


@dataclass
class Log:
    """What log.jsonl says, without what a resumed run did again."""

    start: Line = field(default_factory=dict)
    steps: dict[int, Line] = field(default_factory=dict)
    epochs: dict[int, Line] = field(default_factory=dict)
    end: Line | None = None
    num_unreadable: int = 0

    def add(self, line: Line) -> None:
        kind = line["kind"]
        if kind == "start":
            self.start = line
        elif kind == "step":
            self.steps[line["step"]] = line
        elif kind == "epoch":
            self.epochs[line["epoch"]] = line
        elif kind == "end":
            self.end = line
        elif kind == "resume":
            # The run goes on from this step: what was logged after it did not lead to the model at hand.
            self.steps = {step: old for step, old in self.steps.items() if step <= line["step"]}
            self.epochs = {epoch: old for epoch, old in self.epochs.items() if old["step"] <= line["step"]}
            self.end = None


def read_log(run: Path) -> Log:
    """Reads log.jsonl.

    Raises:
        InputError: `run` is not a run folder.
        RunError: the log has no readable start, or a line lacks a value.
    """
    path = run / "log.jsonl"
    remedy = "expected a folder that `fullconv train DATA --out RUN` wrote"
    if not run.is_dir():
        raise InputError(f"there is no folder {run}; {remedy}")
    if not path.is_file():
        raise InputError(f"{run} is no run folder, it holds no log.jsonl; {remedy}")
    log = Log()
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError:
            line = None
        if not isinstance(line, dict) or "kind" not in line:
            # A crash cuts a line off; the lines around it are good.
            log.num_unreadable += 1
            continue
        try:
            log.add(line)
        except KeyError as error:
            raise RunError(f"{path}: a line of kind {line['kind']!r} lacks {error}; {remedy}") from error
    if not log.start:
        raise RunError(f"{path} has no readable line of kind 'start'; {remedy}")
    return log


def read_config(path: Path) -> dict[str, Any]:
    """The options in config.yaml; none where there is no such file.

    Raises:
        ConfigError: it is not a mapping in YAML.
    """
    if not path.is_file():
        return {}
    try:
        config = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise ConfigError(f"{path} holds a {type(config).__name__}; expected a mapping of options to values")
    return config
