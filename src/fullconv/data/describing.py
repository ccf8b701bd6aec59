"""dataset.yaml from what has been found out about a data set: a start for names that the files cannot tell."""

from pathlib import Path

import yaml

from fullconv.data.classes import existing
from fullconv.data.contents import Dataset
from fullconv.data.dataset import IN_FOLDERS
from fullconv.errors import DataError
from fullconv.labels import LabelSet
from fullconv.storage import write_text_atomically

NAME = "dataset.yaml"


def describe(dataset: Dataset, folder: Path | None = None) -> str:
    """The text of a dataset.yaml with which the data set would be read as it has been; its own where it has one.

    Args:
        dataset: what has been found.
        folder: the folder that was opened, if its root is another one.

    Raises:
        DataError: its own is not beside its files, and says more than these tell.

    >>> labels = LabelSet.from_names(["background", "bag"])
    >>> print(describe(Dataset("bags", Path("."), "", labels, {}, layout_name="flat")), end="")
    name: bags
    layout: flat
    classes:
      - {name: background, color: [0, 0, 0]}
      - {name: bag, color: [128, 0, 0]}
    """
    own = next(existing([dataset.root, folder or dataset.root], (NAME,)), None)
    if own is not None:
        return own.read_text("utf-8-sig")
    if dataset.extra or (dataset.heads and dataset.layout_name in IN_FOLDERS):
        raise DataError(
            f"{dataset.root}: has extra channels or heads that a {NAME} elsewhere names; copy that one"
        )
    lines = [f"name: {_plain(dataset.name)}"]
    if dataset.layout_name:
        lines.append(f"layout: {_plain(dataset.layout_name)}")
    lines += _classes(dataset.labels)
    sample = next((sample for samples in dataset.splits.values() for sample in samples), None)
    if sample is not None and sample.shades is not None:
        dark, light = (dataset.labels.names[index] for index in (sample.shades.dark, sample.shades.light))
        lines.append(f"masks: {{dark: {_plain(dark)}, light: {_plain(light)}}}")
    return "\n".join(lines) + "\n"


def write_description(dataset: Dataset, folder: Path) -> Path:
    """Writes `describe(dataset)` as dataset.yaml into the data set's folder.

    Returns:
        The file.

    Raises:
        DataError: there is one already.
        StorageError: it cannot be written.
    """
    there = next(existing([folder, dataset.root], (NAME,)), None)
    if there is not None:
        raise DataError(f"{there}: is there already; expected none; change it by hand, or remove it first")
    write_text_atomically(folder / NAME, describe(dataset))
    return folder / NAME


def _classes(labels: LabelSet) -> list[str]:
    entries = [
        f"  - {{name: {_plain(name)}, color: {list(color)}}}"
        for name, color in zip(labels.names, labels.colors, strict=True)
    ]
    ignored = [f"ignore: {list(labels.ignore_ids)}"] if labels.ignore_ids else []
    return ["classes:", *entries, *ignored]


def _plain(text: str) -> str:
    """A text as YAML has it on a line, in quotes where it needs them."""
    return yaml.safe_dump([text], default_flow_style=True, allow_unicode=True, width=10**6).strip()[1:-1]
