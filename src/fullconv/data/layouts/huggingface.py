"""What the layouts parquet and arrow have in common: which columns hold pictures and masks, and the classes' names.

Source: Hugging Face datasets, "Image" feature: a struct of `bytes` and `path`
(https://huggingface.co/docs/datasets/about_dataset_features); "File names and splits"
(https://huggingface.co/docs/hub/datasets-file-names-and-splits).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from fullconv.data.binary import BINARY
from fullconv.data.classes import existing, named_labels
from fullconv.data.contents import Dataset
from fullconv.data.layouts.folders import tenth_for_val, with_labels
from fullconv.data.samples import Sample
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet

PICTURE_COLUMNS = ("image", "images", "img", "pixel_values", "picture", "input_image")
MASK_COLUMNS = (
    "mask", "masks", "label", "labels", "annotation", "annotations", "segmentation", "segmentation_mask", "label_map",
    "semantic_segmentation", "semantic_mask", "seg_map", "gt", "ground_truth", "seg", "target",
)  # fmt: skip

SPLIT_WORDS = {
    "train": "train", "training": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val",
    "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip

MAX_TEXT = 2**24
"""The longest dataset card or JSON file that is looked at."""


def picture_and_mask(columns: Sequence[str], path: Path) -> tuple[str, str]:
    """Which of the columns of pictures holds the pictures, and which the masks.

    Raises:
        DataError: that cannot be told.
    """
    pictures = [name for name in PICTURE_COLUMNS if name in columns]
    masks = [name for name in MASK_COLUMNS if name in columns]
    if len(columns) == 2 and len(pictures) + len(masks) == 1:  # the other column is the other
        other = next(name for name in columns if name not in (*pictures, *masks))
        pictures, masks = pictures or [other], masks or [other]
    if not pictures or not masks:
        raise DataError(
            f"{path}: its columns of pictures are {', '.join(columns) or 'none'}; expected one of pictures, such as "
            f"{', '.join(PICTURE_COLUMNS[:3])}, and one of masks, such as {', '.join(MASK_COLUMNS[:5:2])}"
        )
    return pictures[0], masks[0]


def features_of(notes: Mapping[bytes, bytes]) -> Any:
    """What the `datasets` package notes in a table about its columns; None where that is nothing."""
    try:
        return json.loads(notes.get(b"huggingface", b"null"))
    except (ValueError, RecursionError):
        return None


def split_of(path: Path, root: Path) -> str:
    """The split that a file's name tells, or else a folder's; train without any."""
    for part in reversed(path.relative_to(root).with_suffix("").parts):
        words = (word for word in re.split(r"[\W_0-9]+", part.lower()) if word in SPLIT_WORDS)
        if word := next(words, None):
            return SPLIT_WORDS[word]
    return "train"


def unique_names(paths: Sequence[str | None]) -> list[str]:
    """A name for each row: its picture's, up to the suffix, or the row's number where these are not unique."""
    names = [Path(path).stem if path else "" for path in paths]
    if "" in names or len(set(names)) < len(names):
        return [f"{index:06d}" for index in range(len(paths))]
    return names


def assembled(
    folder: Path, kind: str, splits: dict[str, list[Sample]], mask_column: str, features: Any
) -> Dataset:
    """The data set of samples that have been found.

    Args:
        folder: what the user named.
        kind: the layout, in words.
        splits: the samples.
        mask_column: the column of the masks.
        features: what the files say about their columns.

    Raises:
        DataError: there is no sample, or the classes cannot be known.
    """
    found = {split: tuple(samples) for split, samples in splits.items() if samples}
    if not found:
        raise DataError(f"{folder}: its tables have no rows; expected pictures and masks; download it again")
    if list(found) == ["train"]:
        by_name = {sample.name: sample for sample in found["train"]}
        parts = tenth_for_val(list(by_name))
        found = {split: tuple(by_name[name] for name in names) for split, names in parts.items()}
        kind = f"{kind}, all of it train; val is a tenth, chosen by the names' SHA-256"
    labels = written_labels(folder, mask_column, features)
    dataset = Dataset(folder.resolve().name, folder, kind, labels or BINARY, found)
    return with_labels(dataset, [folder], are_known=labels is not None)


def written_labels(folder: Path, column: str, features: Any) -> LabelSet | None:
    """The classes as id2label.json, the dataset card, dataset_infos.json or the tables give them."""
    for path in existing([folder, folder / "data"], ("id2label.json",)):
        labels = _from_id2label(json_of(path), path)
        if labels is not None:
            return labels
    card = next(existing([folder], ("README.md",)), None)
    infos = next(existing([folder], ("dataset_infos.json",)), None)
    told = [_front_matter(card)] if card else []
    told += [json_of(infos)] if infos else []
    for each in (*told, features):
        if isinstance(each, dict) and isinstance(each.get("id2label"), dict):
            return _from_id2label(each["id2label"], folder)
        names = next(_class_names(each, column), None)
        if names:
            return _from_id2label(dict(enumerate(names)), folder)
    return None


def _from_id2label(content: Any, path: Path) -> LabelSet | None:
    """{"0": "wall", ...}; ids without a name get one, and those from 255 on are void."""
    try:
        by_id = {int(key): str(name) for key, name in content.items()}
    except (AttributeError, ValueError):
        raise DataError(f'{path}: expected names by id, such as {{"0": "background"}}') from None
    by_id = {index: name for index, name in by_id.items() if 0 <= index < IGNORE_INDEX}
    if len(by_id) < 2:
        return None
    return named_labels([by_id.get(index, f"class_{index}") for index in range(max(by_id) + 1)], path)


def _class_names(content: Any, column: str, depth: int = 0) -> Iterator[list[str]]:
    """Lists or dicts of names within what is said about a column, wherever that stands."""
    if depth > 8:
        return
    if isinstance(content, list):
        for item in content:
            if isinstance(item, dict) and item.get("name") == column:
                yield from _named(item, 0)
            else:
                yield from _class_names(item, column, depth + 1)
    elif isinstance(content, dict):
        for key, value in content.items():
            yield from _named(value, 0) if key == column else _class_names(value, column, depth + 1)


def _named(content: Any, depth: int) -> Iterator[list[str]]:
    if not isinstance(content, dict) or depth > 8:
        return
    names = content.get("names")
    if isinstance(names, dict):
        names = list(names.values())
    if isinstance(names, list) and 2 <= len(names) < IGNORE_INDEX:
        yield [str(name) for name in names]
    for value in content.values():
        yield from _named(value, depth + 1)


def _front_matter(path: Path) -> Any:
    """The YAML between the first two lines of dashes; None where there is none, or it is not understood."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MAX_TEXT)
        parts = re.split(r"^---\s*$", text, maxsplit=2, flags=re.MULTILINE)
        return yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return None


def json_of(path: Path) -> Any:
    """The content of a JSON file.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            return json.loads(file.read(MAX_TEXT))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: cannot be read ({' '.join(str(error).split())[:120]}); expected JSON"
        ) from None
