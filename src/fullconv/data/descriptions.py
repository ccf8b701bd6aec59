"""The text of a dataset.yaml."""

from collections.abc import Sequence

import yaml

from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades
from fullconv.labels import Head, LabelSet


def description_text(
    name: str,
    labels: LabelSet,
    *,
    shades: Shades | None = None,
    extra: tuple[str, ExtraFormat] | None = None,
    heads: Sequence[tuple[str, Head]] = (),
) -> str:
    """What dataset.yaml says of a data set's name, its classes with their colours, and its void ids.

    Args:
        name: the data set's.
        labels: its classes.
        shades: given where the masks are grey pictures.
        extra: the folder of the extra channels, and what its files hold.
        heads: the folder of the masks of each further head, and the head.

    >>> print(description_text("bags", LabelSet.from_names(["background", "bag"])), end="")
    name: bags
    classes:
      - {name: background, color: [0, 0, 0]}
      - {name: bag, color: [128, 0, 0]}
    """
    lines = [f"name: {_quoted(name)}", *_class_lines(labels, "")]
    if shades:
        dark, light = (_quoted(labels.names[index]) for index in (shades.dark, shades.light))
        lines.append(f"masks: {{dark: {dark}, light: {light}}}")
    if extra:
        folder, form = extra
        reach = f", range: [{form.range[0]}, {form.range[1]}]" if form.range else ""
        lines.append(f"extra: {{folder: {_quoted(folder)}, channels: {form.channels}{reach}}}")
    if heads:
        lines.append("heads:")
    for folder, head in heads:
        lines += [
            f"  - name: {_quoted(head.name)}",
            f"    masks: {_quoted(folder)}",
            *_class_lines(head.labels, "    "),
        ]
    return "\n".join([*lines, ""])


def _class_lines(labels: LabelSet, indent: str) -> list[str]:
    lines = [f"{indent}classes:"]
    lines += [
        f"{indent}  - {{name: {_quoted(label)}, color: {list(color)}}}"
        for label, color in zip(labels.names, labels.colors, strict=True)
    ]
    return [*lines, f"{indent}ignore: {list(labels.ignore_ids)}"] if labels.ignore_ids else lines


def _quoted(text: str) -> str:
    """The text as YAML, in quotes where it needs them."""
    dumped = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**6)
    return dumped.strip().removeprefix("[").removesuffix("]")
