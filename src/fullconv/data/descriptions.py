"""The text of a dataset.yaml."""

import yaml

from fullconv.labels import LabelSet


def description_text(name: str, labels: LabelSet) -> str:
    """What dataset.yaml says of a data set's name, its classes with their colours, and its void ids.

    >>> print(description_text("bags", LabelSet.from_names(["background", "bag"])), end="")
    name: bags
    classes:
      - {name: background, color: [0, 0, 0]}
      - {name: bag, color: [128, 0, 0]}
    """
    lines = [f"name: {_quoted(name)}", "classes:"]
    lines += [
        f"  - {{name: {_quoted(label)}, color: {list(color)}}}"
        for label, color in zip(labels.names, labels.colors, strict=True)
    ]
    if labels.ignore_ids:
        lines.append(f"ignore: {list(labels.ignore_ids)}")
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    """The text as YAML, in quotes where it needs them."""
    dumped = yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**6)
    return dumped.strip().removeprefix("[").removesuffix("]")
