"""Hugging Face data sets as `save_to_disk` writes them: `train/data-00000-of-00001.arrow` with state.json beside.

The files lie in the tables as they are, so that a sample is a place in a file, and reading it needs no pyarrow.

Source: Hugging Face datasets, `Dataset.save_to_disk` (https://huggingface.co/docs/datasets/process#save); Apache Arrow,
"IPC Streaming Format" (https://arrow.apache.org/docs/format/Columnar.html).
"""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.contents import Dataset
from fullconv.data.layouts.huggingface import (
    SPLIT_WORDS,
    assembled,
    image_columns,
    json_of,
    picture_and_mask,
    unique_names,
)
from fullconv.data.layouts.pairing import no_such_layout
from fullconv.data.layouts.parquet import features_of
from fullconv.data.samples import Sample
from fullconv.data.sources import Member
from fullconv.errors import DataError

NAME = "arrow"
LOOKS = "dataset_dict.json and SPLIT/state.json, or state.json"

Rows = list[tuple[str | None, tuple[int, int], tuple[int, int]]]
"""Of each row the picture's path, and where picture and mask begin and how long they are."""


def detect(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read(folder: Path) -> Dataset:
    states = (
        [folder / "state.json"] if (folder / "state.json").is_file() else sorted(folder.glob("*/state.json"))
    )
    if not states:
        raise no_such_layout(folder, "a data set of save_to_disk", LOOKS)
    splits: dict[str, list[Sample]] = {}
    columns, features = ("", ""), None
    for state in states:
        name = "train" if state.parent == folder else state.parent.name
        split = SPLIT_WORDS.get(name.lower(), name)
        tables = []
        for path in _files(state):
            try:
                columns, features, rows = _rows(path)
            except DataError:
                raise
            except Exception as error:  # a damaged file can make pyarrow raise nearly any type
                reason = " ".join(str(error).split())[:160]
                raise DataError(f"{path}: is damaged, or no Arrow file ({reason}); save it again") from None
            tables.append((path, rows))
        splits.setdefault(split, []).extend(_samples(tables, columns))
    kind = f"Arrow with the columns {columns[0]} and {columns[1]}"
    return assembled(folder, kind, splits, columns[1], features)


def _files(state: Path) -> list[Path]:
    content = json_of(state)
    files = content.get("_data_files") if isinstance(content, dict) else None
    names = [each.get("filename") if isinstance(each, dict) else None for each in files or []]
    paths = [state.parent / name for name in names if isinstance(name, str) and Path(name).name == name]
    if not paths or len(paths) < len(names):
        raise DataError(
            f"{state}: names no data files; expected _data_files with their names; save the set again"
        )
    if content.get("_indices_data_files"):
        raise DataError(
            f"{state}: shows a selection of its rows; expected all; call flatten_indices() and save it again"
        )
    return paths


def _samples(tables: list[tuple[Path, Rows]], columns: tuple[str, str]) -> list[Sample]:
    rows = [(path, row, *each) for path, rows in tables for row, each in enumerate(rows)]
    names = unique_names([name for _, _, name, _, _ in rows])
    return [
        Sample(
            name,
            Member(path, f"{columns[0]}[{row}]", *picture),
            Member(path, f"{columns[1]}[{row}]", *mask),
        )
        for name, (path, row, _, picture, mask) in zip(names, rows, strict=True)
    ]


def _rows(path: Path) -> tuple[tuple[str, str], Any, Rows]:
    try:
        import pyarrow
        import pyarrow.ipc
    except ImportError as error:
        raise DataError(
            f"the package pyarrow cannot be imported ({error}); install it: pip install 'fullconv[formats]'"
        ) from None
    with pyarrow.memory_map(str(path)) as file:
        whole = file.read_buffer()
        reader = pyarrow.ipc.open_stream(whole)
        columns = picture_and_mask(image_columns(reader.schema), path)
        rows: Rows = []
        for batch in reader:
            pictures, masks = (batch.column(column) for column in columns)
            places = [_places(column.field("bytes"), whole, path) for column in (pictures, masks)]
            has_path = any(field.name == "path" for field in pictures.type.fields)
            names = pictures.field("path").to_pylist() if has_path else [None] * len(batch)
            rows += zip(names, *places, strict=True)
        return columns, features_of(reader.schema.metadata), rows


def _places(values: Any, whole: Any, path: Path) -> list[tuple[int, int]]:
    """Where each value of an array of bytes begins in the file, and how long it is."""
    values.validate(full=True)
    if values.null_count:
        raise DataError(
            f"{path}: holds rows without bytes, perhaps only paths; save it with its pictures embedded"
        )
    _, offsets, data = values.buffers()
    kind = np.int64 if str(values.type).startswith("large") else np.int32
    ends = np.frombuffer(offsets, kind)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    start = data.address - whole.address if data is not None else 0
    if not 0 <= start <= whole.size or (len(ends) and not 0 <= start + ends[-1] <= whole.size):
        raise DataError(f"{path}: is compressed; expected what save_to_disk writes; save it again")
    return [(start + int(a), int(b - a)) for a, b in pairwise(ends)]
