"""fullconv train"""

import importlib
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml
from click.core import ParameterSource

if TYPE_CHECKING:
    from fullconv.training.config import TrainConfig


class CropSize(click.ParamType):
    name = "HxW"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"(\d+)x(\d+)", str(value))
        if found is None or "0" in found.groups():
            self.fail(
                f"{value!r} is not a size; expected HEIGHTxWIDTH in pixels, for example 320x480", param, ctx
            )
        return int(found[1]), int(found[2])


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Run folder to write.")
@click.option("--model", default="fcn8s", show_default=True, help="Architecture; see 'fullconv models'.")
@click.option(
    "--backbone",
    default="auto",
    help="A timm name, or torchvision/NAME; default: resnet18, or the model's own.",
)
@click.option(
    "--backbone-weights",
    default="auto",
    show_default=True,
    metavar="none|pretrained|FILE",
    help="Where the backbone starts; auto: pretrained where they can be had.",
)
@click.option("--epochs", type=int, default=50, show_default=True)
@click.option("--batch-size", type=int, default=8, show_default=True)
@click.option(
    "--crop", type=CropSize(), default=None, help="Training crop; default: the pictures' size, up to 480x480."
)
@click.option("--lr", type=float, default=1e-3, show_default=True, help="Highest learning rate.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, ...")
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@click.option("--workers", type=int, default=2, show_default=True, help="Processes that read pictures.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    default=1,
    show_default=True,
    help="Processes of this machine that train it together, one for each GPU.",
)
@click.option(
    "--cache",
    type=click.Path(path_type=Path),
    default=None,
    metavar="DIR",
    help="Keep decoded pictures there, for small data sets and fast GPUs.",
)
@click.option("--resume", is_flag=True, help="Go on from the newest state in the run folder.")
@click.option("--force", is_flag=True, help="Resume although data, threads, processor or torch changed.")
@click.option(
    "--init",
    "init_from",
    default=None,
    metavar="MODEL",
    help="Start from another model's weights; its architecture too, unless --model or --backbone is given.",
)
@click.option(
    "--preset",
    "preset_name",
    default=None,
    metavar="NAME",
    help="A recipe: heavy-8s, cvpr-32s, textbook, ...",
)
@click.option("--config", "config_file", type=click.Path(path_type=Path), help="YAML file of options.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any option of config.yaml; may be repeated.",
)
@click.option(
    "--callback",
    "callbacks",
    multiple=True,
    metavar="MODULE:FUNCTION",
    help="Called with each record of the log, for a tracker of your own; may be repeated.",
)
@click.option("--find-lr", is_flag=True, help="Try learning rates instead of training, and suggest one.")
@click.option("--json", "as_json", is_flag=True, help="Print the run's events as JSON lines on stdout.")
@click.pass_context
def train(
    ctx: click.Context,
    preset_name: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    processes: int,
    resume: bool,
    force: bool,
    find_lr: bool,
    callbacks: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Train a network on the pictures and masks in DATA.

    DATA is a VOCdevkit, a folder with images/{train,val} and masks/{train,val}, or a flat images/ and masks/ with train.txt
    and val.txt, or another of the layouts in docs/data.md, found by looking or named as in camvid11:FOLDER; a dataset.yaml in
    it names the classes. The run folder holds checkpoints, the log, sample predictions and
    report.html; it is itself a MODEL for 'predict' and 'evaluate'.

    \b
    fullconv train photos --out runs/first
    fullconv train photos --out runs/first --resume
    fullconv train photos --out runs/first --processes 4
    fullconv predict runs/first new/*.jpg --out predictions
    """
    from fullconv.training.launch import is_restarted, launch

    if processes > 1 and "RANK" not in os.environ and not find_lr:
        ctx.exit(launch(ctx.obj, processes))
    restarted = is_restarted() and (options["out"] / "config.yaml").exists()
    resume |= restarted

    # Read when torch is imported, which else tells each of several processes that looking for unused parameters takes time.
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")

    from fullconv.training.config import make_config
    from fullconv.training.loop import train as run_training

    given = {name for name in options if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT}
    if (
        restarted
    ):  # what was typed is in the run's own configuration, and what was "auto" there is known by now
        given, settings = set(), ()
    values = gather(options, given, preset_name, config_file, settings, resume)
    config = make_config(values, str(config_file or "the command line"))
    told = [callback(name) for name in callbacks]
    if find_lr:
        show_rates(config, as_json)
        return
    events = run_training(config, resume=resume, force=force)
    if os.environ.get("RANK", "0") == "0":
        watch(events, config.out, told, as_json)
    else:  # one of several processes speaks
        for _ in events:
            pass


def watch(
    events: Iterable[dict[str, Any]], out: Path, told: list[Callable[[dict[str, Any]], None]], as_json: bool
) -> None:
    """Shows a run to its end, and keeps its report."""
    from fullconv.cli.console import TrainingDisplay, print_json, say
    from fullconv.data.loading import worker_deaths_said
    from fullconv.reporting.report import write_report
    from fullconv.reporting.tables import mean_iou_text

    best: dict[str, Any] = {}
    with TrainingDisplay() as display, worker_deaths_said():
        for event in events:
            display.show(event)
            for tell in told:
                tell(event)
            if as_json and event["kind"] != "tick":
                print_json(event)
            if event["kind"] == "epoch":
                write_report(out)
                best = event if event["best"] else best
    report = write_report(out)
    if best:
        say(f"best   epoch {best['epoch']}: {mean_iou_text(best['val'])}")
    say(f"report {report}")
    say(f"next   fullconv predict {out} PICTURE --out predictions")


def callback(name: str) -> Callable[[dict[str, Any]], None]:
    """What tells the function that "package.module:function" names of each record but ticks; the working folder is searched too.

    Raises:
        ConfigError: there is none.
        RunError: later, if it raises anything.
    """
    from fullconv.errors import ConfigError, RunError

    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(
            f"--callback {name}: {error}; expected MODULE:FUNCTION, such as my_tracker:log"
        ) from None
    if not callable(found):
        raise ConfigError(f"--callback {name} is {type(found).__name__}; expected a function of one record")

    def tell(event: dict[str, Any]) -> None:
        if event["kind"] == "tick":
            return
        try:
            found(event)
        except Exception as error:
            raise RunError(
                f"--callback {name} raised {type(error).__name__}: {error}; mend it and go on with --resume"
            ) from error

    return tell


def show_rates(config: "TrainConfig", as_json: bool) -> None:
    """Tries learning rates, draws the losses to `lr.png` in the run folder, and says which rate to take."""
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.reporting.plots import rates_png
    from fullconv.storage import write_atomically
    from fullconv.training.lr_finder import NUM_STEPS, find_learning_rate
    from fullconv.training.runlog import Event

    with progress_bar("steps") as bar:
        task = bar.add_task("trying rates", total=NUM_STEPS, figures="")

        def show(event: Event) -> None:
            if event["kind"] == "warning":
                say(f"warning: {event['message']}")
            elif event["kind"] == "tick":
                bar.update(task, completed=event["step"])

        curve = find_learning_rate(config, show)
    config.out.mkdir(parents=True, exist_ok=True)
    file = config.out / "lr.png"
    write_atomically(file, rates_png(curve.rates, curve.losses, curve.smoothed, curve.suggested))
    if as_json:
        print_json({"suggested": curve.suggested, "rates": curve.rates, "losses": curve.losses})
    else:
        print(f"{curve.suggested:.1e}")
    say(f"drawn to {file}; train with --lr {curve.suggested:.1e}")


def gather(
    options: dict[str, Any],
    given: set[str],
    preset_name: str | None,
    config_file: Path | None,
    settings: tuple[str, ...],
    resume: bool,
) -> dict[str, Any]:
    """The run's options from, in rising order of authority: defaults, --preset, --config, --set, what was typed."""
    from fullconv.errors import ConfigError
    from fullconv.training.config import read_config
    from fullconv.training.presets import preset

    typed = {name: value for name, value in options.items() if name in given} | dict(map(setting, settings))
    if not resume:
        recipe = preset(preset_name) if preset_name else {}
        chosen = recipe | (read_config(config_file) if config_file else {}) | typed
        start = chosen.get("init_from")
        like = architecture_of(start) if start and not {"model", "backbone"} & chosen.keys() else {}
        return options | like | chosen
    stored = (
        read_config(options["out"] / "config.yaml") if (options["out"] / "config.yaml").exists() else options
    )
    # Where things are and how they are fetched may change; what decides the numbers may not.
    free = {
        "data": str(options["data"]),
        "out": str(options["out"]),
        "workers": options["workers"] if "workers" in given else stored["workers"],
        "cache": str(options["cache"]) if "cache" in given else stored.get("cache"),
    }
    for name, value in typed.items():
        value = list(value) if isinstance(value, tuple) else value
        if name not in free and stored.get(name) != value:
            raise ConfigError(
                f"--resume: {name} is {value!r}, but {options['out']} was trained with {stored.get(name)!r}; leave it away"
            )
    return stored | free


def architecture_of(model: str) -> dict[str, Any]:
    """What makes another model's network: who starts from one, and names no architecture, means its own.

    Raises:
        BundleError: there is no such model.
    """
    from fullconv.bundle import MANIFEST, find_bundle, read_manifest

    architecture = read_manifest(find_bundle(model) / MANIFEST).architecture
    return architecture.model_dump(exclude={"num_classes", "in_channels"})


def setting(text: str) -> tuple[str, Any]:
    """
    >>> setting("scale=[0.5, 2]")
    ('scale', [0.5, 2])
    >>> setting("lr=1e-3")
    ('lr', 0.001)
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise click.BadParameter(f"{text!r} has no '='; expected KEY=VALUE", param_hint="--set")
    found = yaml.safe_load(value)
    if re.fullmatch(r"[+-]?\d+e[+-]?\d+", value.strip()):  # YAML 1.1 wants a point in it
        found = float(value)
    return name.strip(), found
