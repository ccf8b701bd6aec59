"""Hugging Face data sets as `save_to_disk` writes them: `train/data-00000-of-00001.arrow` with state.json beside.

The files lie in the tables as they are, so that a sample is a place in a file, and reading it reads no more than that.

Source: Hugging Face datasets, `Dataset.save_to_disk` (https://huggingface.co/docs/datasets/process#save).
"""

from pathlib import Path

from fullconv.data.arrowfile import Place, Stream, read_schema, read_stream, read_texts
from fullconv.data.contents import Dataset
from fullconv.data.layouts.huggingface import (
    SPLIT_WORDS,
    assembled,
    features_of,
    json_of,
    picture_and_mask,
    unique_names,
)
from fullconv.data.layouts.pairing import no_such_layout
from fullconv.data.samples import Sample
from fullconv.data.sources import Member
from fullconv.errors import DataError

NAME = "arrow"
LOOKS = "dataset_dict.json and SPLIT/state.json, or state.json"

Rows = list[tuple[Path, int, str | None, Place, Place]]
"""Of each row the file, the row's number in it, the picture's own path, and the places of picture and mask."""


def detect(folder: Path) -> bool:
    return (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file()


def read(folder: Path) -> Dataset:
    states = (
        [folder / "state.json"] if (folder / "state.json").is_file() else sorted(folder.glob("*/state.json"))
    )
    if not states:
        raise no_such_layout(folder, "a data set of save_to_disk", LOOKS)
    splits: dict[str, list[Sample]] = {}
    stream, columns = None, ("", "")
    for state in states:
        name = "train" if state.parent == folder else state.parent.name
        rows: Rows = []
        for path in _files(state):
            stream = read_schema(path)
            columns = picture_and_mask([field[0] for field in stream.fields if field[1:] == ("bytes",)], path)
            rows += _rows(path, stream, columns)
        splits.setdefault(SPLIT_WORDS.get(name.lower(), name), []).extend(_samples(rows, columns))
    kind = f"Arrow with the columns {columns[0]} and {columns[1]}"
    return assembled(folder, kind, splits, columns[1], features_of(stream.notes if stream else {}))


def _files(state: Path) -> list[Path]:
    content = json_of(state)
    files = content.get("_data_files") if isinstance(content, dict) else None
    files = files if isinstance(files, list) else []
    names = [each.get("filename") if isinstance(each, dict) else None for each in files]
    paths = [state.parent / name for name in names if isinstance(name, str) and Path(name).name == name]
    if not paths or len(paths) < len(names):
        raise DataError(
            f"{state}: names no data files; expected _data_files with their names; save the set again"
        )
    if content.get("_indices_data_files"):
        raise DataError(
            f"{state}: shows a selection of its rows; expected all; call flatten_indices() and save it again"
        )
    absent = next((path for path in paths if not path.is_file()), None)
    if absent:
        raise DataError(f"{absent}: no such file, though {state.name} names it; copy the folder again")
    return paths


def _rows(path: Path, schema: Stream, columns: tuple[str, str]) -> Rows:
    picture, mask, name = (columns[0], "bytes"), (columns[1], "bytes"), (columns[0], "path")
    stream = read_stream(path, (picture, mask, name) if name in schema.fields else (picture, mask))
    places = [stream.places[picture], stream.places[mask]]
    names = read_texts(path, stream.places[name]) if name in stream.places else [None] * len(places[0])
    counts = sorted({len(each) for each in (*places, names)})
    if len(counts) > 1:
        raise DataError(
            f"{path}: {columns[0]}, {columns[1]} and their paths have {counts[0]} to {counts[-1]} rows; expected as many of "
            "each; save it again"
        )
    rows: Rows = []
    for number, (own, *both) in enumerate(zip(names, *places, strict=True)):
        if both[0] is None or both[1] is None:
            raise DataError(
                f"{path}: row {number} holds no bytes, perhaps only paths; save it with its pictures embedded"
            )
        rows.append((path, number, own, both[0], both[1]))
    return rows


def _samples(rows: Rows, columns: tuple[str, str]) -> list[Sample]:
    names = unique_names([own for _, _, own, _, _ in rows])
    picture, mask = columns
    return [
        Sample(name, Member(path, f"{picture}[{row}]", *first), Member(path, f"{mask}[{row}]", *second))
        for name, (path, row, _, first, second) in zip(names, rows, strict=True)
    ]
