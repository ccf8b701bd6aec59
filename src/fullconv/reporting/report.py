"""The report of a training run: one HTML file that needs nothing but a browser."""

import base64
import json
import math
import re
import shlex
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from fullconv.errors import RunError
from fullconv.model_card import percent
from fullconv.reporting.plots import confusion_svg, curves_svg, reliability_svg
from fullconv.reporting.run_folder import Line, Log, read_config, read_log
from fullconv.reporting.tables import own_ceiling
from fullconv.storage import write_text_atomically

MAX_EARLIER = 6
"""Sample grids of earlier epochs in the page: each weighs some 100 kB."""


def write_report(run: Path) -> Path:
    """Writes `run/report.html` anew from what the run folder holds: config.yaml, log.jsonl, samples/.

    Works at any time: for a run that has just begun, is under way, was interrupted or is done. The same
    folder gives the same bytes.

    Returns:
        The path of the page.

    Raises:
        InputError: `run` is not a run folder.
        RunError: the log has no readable start, or a line lacks a value.
    """
    run = Path(run)
    log = read_log(run)
    config = read_config(run / "config.yaml")
    try:
        page = _render(run, log, config)
    except (KeyError, jinja2.UndefinedError) as error:
        raise RunError(
            f"{run / 'log.jsonl'} lacks a value ({error}); "
            "expected a log that this version of `fullconv train` wrote"
        ) from error
    path = run / "report.html"
    write_text_atomically(path, page)
    return path


def _render(run: Path, log: Log, config: dict[str, Any]) -> str:
    start = log.start
    epochs = [log.epochs[epoch] for epoch in sorted(log.epochs)]
    steps = [log.steps[step] for step in sorted(log.steps)]
    finite = [line for line in steps if math.isfinite(line["loss"])]
    names = [entry["name"] for entry in start["classes"]]
    best = _best_epoch(epochs)
    loss_svg, scores_svg = curves_svg(finite, epochs) if finite else ("", "")
    speeds = [line["images_per_second"] for line in steps]
    samples = _samples(run)
    calibration = best["val"].get("calibration") if best else None
    if calibration and calibration["ece"] is None:  # not a pixel had a truth
        calibration = None
    return page_environment().get_template("report.html.j2").render(
        name=run.resolve().name,
        folder=shlex.quote(str(run)),
        start=start,
        end=log.end,
        num_unreadable=log.num_unreadable,
        config=config,
        epochs=epochs,
        last_step=steps[-1] if steps else None,
        best=best,
        seconds=(log.end or (epochs[-1] if epochs else {"seconds": 0}))["seconds"],
        speed=float(np.median(speeds)) if speeds else None,
        samples=samples,
        earlier=_spread(samples[:-1], MAX_EARLIER),
        extremes=_extremes(run, epochs),
        loss_svg=loss_svg,
        scores_svg=scores_svg,
        ceiling=own_ceiling(best["val"]) if best else None,
        ceilings=_ceiling_rows(best["val"]) if best else [],
        classes=_class_rows(start, best["val"]) if best else [],
        confusion_svg=confusion_svg(best["val"]["confusion"], names) if best else "",
        confused=_most_confused(best["val"]["confusion"], names) if best else None,
        calibration=calibration,
        reliability_svg=reliability_svg(calibration["bins"]) if calibration else "",
        data=_data_shares(start),
        timings=_timings(epochs, speeds, best),
    )  # fmt: skip


def page_environment() -> jinja2.Environment:
    """Templates of pages, and how they show numbers."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        percent=percent,
        count=_count,
        short=_short,
        duration=_duration,
        when=_when,
        plain=_plain,
        size=lambda size_hw: f"{size_hw[1]} × {size_hw[0]}",
        inline=_inline,
        shell=shlex.quote,
    )
    return environment


def _best_epoch(epochs: list[Line]) -> Line | None:
    """The last epoch that the run called its best, else the one of highest mean IU; None without scores."""
    scored = [line for line in epochs if line["val"]]
    called = [line for line in scored if line["best"]]
    if called or not scored:
        return called[-1] if called else None
    return max(scored, key=lambda line: -1 if line["val"]["mean_iou"] is None else line["val"]["mean_iou"])


def _class_rows(start: Line, val: Line) -> list[Line]:
    """Rows of the table of classes, by id; the weakest are three, or fewer where there are few classes."""
    scores = [val["per_class"][entry["name"]] for entry in start["classes"]]
    total = sum(score["pixels"] for score in scores)
    order = sorted(
        (i for i, score in enumerate(scores) if score["iou"] is not None), key=lambda i: scores[i]["iou"]
    )
    weakest = set(order[: min(3, len(order) // 2)])
    return [
        {
            "id": index,
            "name": entry["name"],
            "color": _css(entry["color"]),
            **score,
            "share": score["pixels"] / total if total else None,
            "weak": index in weakest,
        }
        for index, (entry, score) in enumerate(zip(start["classes"], scores, strict=True))
    ]


def _ceiling_rows(val: Line) -> list[Line]:
    """The mean IU that each stride admits, coarsest first; none in logs from before ceilings were counted.

    >>> _ceiling_rows({"stride": 8, "stride_ceiling": {"16": 0.93, "8": 0.96}})
    [{'stride': '16', 'iou': 0.93, 'own': False}, {'stride': '8', 'iou': 0.96, 'own': True}]
    """
    return [
        {"stride": stride, "iou": iou, "own": stride == str(val["stride"])}
        for stride, iou in val.get("stride_ceiling", {}).items()
    ]


def _most_confused(confusion: list[list[int]], names: list[str]) -> Line | None:
    """The pair of classes that is mistaken in the most pixels; None where nothing is.

    >>> _most_confused([[5, 3], [1, 7]], ["road", "kerb"])
    {'truth': 'road', 'predicted': 'kerb', 'pixels': 3, 'share': 0.375, 'of_errors': 0.75}
    """
    wrong = np.array(confusion, np.int64)
    totals = wrong.sum(axis=1)
    np.fill_diagonal(wrong, 0)
    if not wrong.any():
        return None
    truth, predicted = (int(i) for i in np.unravel_index(wrong.argmax(), wrong.shape))
    pixels = int(wrong[truth, predicted])
    return {
        "truth": names[truth],
        "predicted": names[predicted],
        "pixels": pixels,
        "share": pixels / int(totals[truth]),
        "of_errors": pixels / int(wrong.sum()),
    }


def _data_shares(start: Line) -> list[Line]:
    """The part of the training pixels that each class has, by id, then void."""
    pixels = [*start["data"]["pixels_per_class"], start["data"]["void_pixels"]]
    entries = [*start["classes"], {"name": "void", "color": None}]
    total = sum(pixels)
    return [
        {
            "name": entry["name"],
            "color": _css(entry["color"]) if entry["color"] else "var(--line)",
            "pixels": count,
            "share": count / total if total else 0.0,
            "rare": entry["color"] is not None and count < 0.1 * total / len(start["classes"]),
        }
        for entry, count in zip(entries, pixels, strict=True)
    ]


def _extremes(run: Path, epochs: list[Line]) -> Line | None:
    """The best and worst pictures of the last validation: `epoch`, and by `best` and `worst`, `path` and `pictures`.

    None in logs from before they were kept.
    """
    told = [line for line in epochs if line.get("pictures")]
    if not told:
        return None
    epoch, pictures = told[-1]["epoch"], told[-1]["pictures"]
    found = {
        key: {"path": path, "pictures": pictures[key]}
        for key in ("best", "worst")
        if pictures[key] and (path := run / "samples" / f"epoch_{epoch:04d}_{key}.jpg").is_file()
    }
    return {"epoch": epoch, "found": found} if found else None


def _timings(epochs: list[Line], speeds: list[float], best: Line | None) -> list[tuple[str, str]]:
    """What took how long, as names and texts; nothing before the first epoch."""
    if not epochs:
        return []
    ends = [0.0, *(line["seconds"] for line in epochs)]
    rows = [("an epoch, median", _duration(float(np.median(np.diff(ends)))))]
    validations = [line["val_seconds"] for line in epochs if "val_seconds" in line]
    if validations:
        rows.append(("validation in it, median", _duration(float(np.median(validations)))))
    if speeds:
        low, middle, high = np.percentile(speeds, [5, 50, 95])
        text = f"{middle:.1f} pictures/s; {low:.1f} to {high:.1f} in nine of ten intervals"
        rows.append(("training speed, median", text))
    if best:
        rows.append((f"until epoch {best['epoch']}, the best", _duration(best["seconds"])))
    return [*rows, ("in all", _duration(ends[-1]))]


def _samples(run: Path) -> list[Line]:
    """The prediction grids on disk, by epoch: `epoch` and `path`."""
    found = []
    for path in (run / "samples").glob("epoch_*.jpg"):
        if match := re.fullmatch(r"epoch_(\d+)", path.stem):
            found.append((int(match[1]), path))
    return [{"epoch": epoch, "path": path} for epoch, path in sorted(found)]


def _spread(items: list[Line], number: int) -> list[Line]:
    """At most `number` of the items, evenly spread, the first and the last among them.

    >>> [item["epoch"] for item in _spread([{"epoch": i} for i in range(10)], 4)]
    [0, 3, 6, 9]
    """
    if len(items) <= number:
        return items
    return [items[round(i * (len(items) - 1) / (number - 1))] for i in range(number)]


def _inline(path: Path) -> str:
    """The JPEG file as an address that holds the whole of it."""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


def _css(color: list[int]) -> str:
    red, green, blue = (int(value) for value in color)
    return f"rgb({red}, {green}, {blue})"


def _count(number: int) -> str:
    return f"{number:,}"


def _short(number: int) -> str:
    """
    >>> _short(134_500_000), _short(9_400), _short(12)
    ('134.5 M', '9.4 k', '12')
    """
    for size, unit in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _duration(seconds: float) -> str:
    """
    >>> _duration(0.4), _duration(75), _duration(3700), _duration(200_000)
    ('0.4 s', '1 min 15 s', '1 h 1 min', '2 d 7 h')
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, unit, smaller_size, smaller in (
        (86400, "d", 3600, "h"),
        (3600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // smaller_size} {smaller}"
    return f"{whole} s"


def _when(time: str) -> str:
    """
    >>> _when("2025-03-02T14:03:59+00:00"), _when("yesterday")
    ('2 March 2025, 14:03', 'yesterday')
    """
    try:
        moment = datetime.fromisoformat(time)
    except ValueError:
        return time
    return f"{moment.day} {moment:%B %Y, %H:%M}"


def _plain(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
