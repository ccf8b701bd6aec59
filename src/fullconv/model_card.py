"""The card of a bundle: what its `model.json` says, in Markdown, for people who come upon the folder.

Source: Mitchell et al. 2019, "Model Cards for Model Reporting", for what belongs in one.
"""

import math
import re
from collections.abc import Mapping
from typing import Any

CARD = "README.md"

FIGURES = {
    "mean_iou": "mean IU",
    "pixel_accuracy": "pixel accuracy",
    "mean_accuracy": "mean accuracy of the classes",
    "frequency_weighted_iou": "frequency-weighted IU",
    "boundary_iou": "boundary IU",
    "boundary_f": "boundary F",
}
"""Shares among a bundle's `metrics` -> what people call them."""

MARKUP = r"[\\`*{}\[\]()<>#+!|~&$@^=:\"]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
"""What Markdown may take for more than a letter; an underscore within a word is but that."""

HOW_TO_USE = """\
In place of `MODEL`, give the path of the folder that holds this file:

```
fullconv predict MODEL photo.jpg --out predictions
fullconv evaluate MODEL DATA
```

```python
import fullconv

prediction = fullconv.load("MODEL").predict("photo.jpg")
prediction.label_map  # (H, W) class ids, at the picture's own size
prediction.scores()  # (K, H, W) float32, 0..1
```
"""


def model_card(content: Mapping[str, Any], num_values: int) -> str:
    """The card; the same bundle has the same card.

    Names that were given by users stand there as they are: nothing in them is taken for Markdown or HTML.

    Args:
        content: of `model.json`: `architecture`, `classes`, `heads`, `extra`, `mean`, `std`, `trained`, `metrics`, and
            `weights_sha256`. Of `trained` and `metrics`, which are free, what is not there is left out or said to be unknown.
        num_values: the numbers in the weights file.

    Returns:
        Markdown as GitHub has it, with tables.
    """
    architecture, trained, metrics = content["architecture"], content["trained"], content["metrics"]
    over = "" if architecture["backbone"] == "none" else f" over {escaped(architecture['backbone'])}"
    on = f" It was trained on {escaped(trained['data'])}." if "data" in trained else ""
    parts = [
        f"# {escaped(architecture['model'])}{over}",
        f"A fully convolutional network that gives each pixel of a picture one of {len(content['classes'])} classes.{on}",
        "## How to use it",
        HOW_TO_USE.rstrip(),
        *figures_part(metrics),
        f"## Classes\n\n{classes_table(content['classes'], metrics)}",
        *(
            f"## Classes of head {escaped(head['name'])}\n\n"
            f"{classes_table(head['classes'], metrics.get('heads', {}).get(head['name'], {}))}"
            for head in content["heads"]
        ),
        f"## Network\n\n{table(network_rows(content, num_values))}",
        f"## Training\n\n{table(training_rows(trained))}",
        "## Licence and limits",
        f"- Licence: {escaped(trained.get('licence') or 'not stated')}\n"
        f"- Limits: {escaped(trained.get('limits') or 'not stated')}\n"
        "- Every pixel gets one of the classes above, also where the picture shows none of them.\n"
        "- The figures hold for pictures like those that they were measured on.",
    ]
    return "\n\n".join(parts) + "\n"


def escaped(value: object) -> str:
    r"""Text that Markdown shows as it is, in one line, also in a cell of a table.

    >>> print(escaped("a|b `c` <b>_d_</b>\n# e"))
    a\|b \`c\` \<b\>\_d\_\</b\> \# e
    """
    text = "".join(letter if letter.isprintable() else " " for letter in str(value))
    return re.sub(MARKUP, r"\\\g<0>", " ".join(text.split()))


def percent(share: float | None) -> str:
    """
    >>> percent(0.5), percent(None)
    ('50.0 %', 'n/a')
    """
    return "n/a" if share is None or not math.isfinite(share) else f"{100 * share:.1f} %"


def table(rows: list[tuple[str, str]]) -> str:
    """Names and texts that have been escaped; said to be unknown where there are none."""
    if not rows:
        return "Not stated."
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])


def figures_part(metrics: Mapping[str, Any]) -> list[str]:
    """The heading and what was measured of the first head."""
    rows = [(name, percent(metrics[key])) for key, name in FIGURES.items() if key in metrics]
    ceiling = metrics.get("stride_ceiling", {}).get(str(metrics.get("stride")))
    if ceiling is not None:
        rows.append((f"highest mean IU that stride {metrics['stride']} admits", percent(ceiling)))
    if "calibration" in metrics:
        rows.append(("expected calibration error", percent(metrics["calibration"]["ece"])))
    if not rows:
        return ["## Figures", "Not measured."]
    notes = (
        "Void pixels do not count; n/a is what is not defined, such as the IU of a class that does not occur."
    )
    if "num_images" in metrics and "split" in metrics:
        notes = f"Measured on {metrics['num_images']} pictures of split {escaped(metrics['split'])}. {notes}"
    return ["## Figures", table(rows), notes]


def classes_table(classes: list[Mapping[str, Any]], metrics: Mapping[str, Any]) -> str:
    """A row for each class: id, name and colour, and where they were measured, its figures."""
    scores = metrics.get("per_class")
    heads = ["id", "class", "colour", *(["IU", "accuracy", "true pixels"] if scores else [])]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for index, entry in enumerate(classes):
        red, green, blue = entry["color"]
        cells = [str(index), escaped(entry["name"]), f"`#{red:02x}{green:02x}{blue:02x}`"]
        if scores:
            score = scores[entry["name"]]
            cells += [percent(score["iou"]), percent(score["accuracy"]), f"{score['pixels']:,}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def network_rows(content: Mapping[str, Any], num_values: int) -> list[tuple[str, str]]:
    named = {key: content["architecture"][key] for key in ("model", "backbone")} | content["architecture"]
    rows = [(escaped(name), escaped(value)) for name, value in named.items()]
    mean, std = (", ".join(f"{value:g}" for value in content[key]) for key in ("mean", "std"))
    channels = "red, green, blue"
    if content["extra"] is not None:
        channels += f" and {content['extra']['channels']} more, from a file beside the picture"
    return [
        *rows,
        ("values in the weights", f"{num_values:,}, the statistics of normalisation included"),
        ("input", f"pictures of any size: {channels}, each value divided by 255"),
        ("normalisation", f"minus {mean}, then divided by {std}"),
        ("SHA-256 of the weights", f"`{content['weights_sha256']}`"),
    ]


def training_rows(trained: Mapping[str, Any]) -> list[tuple[str, str]]:
    """All that is known of it, and of a mapping in it each entry; licence and limits have a place of their own."""
    rows = []
    for name, value in trained.items():
        if isinstance(value, Mapping):
            rows += [(escaped(key), escaped(each)) for key, each in value.items()]
        elif name not in ("licence", "limits"):
            rows.append((escaped(name), escaped(value)))
    return rows
