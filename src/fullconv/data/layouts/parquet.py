"""Hugging Face data sets as Parquet: `data/train-00000-of-00002.parquet`, with a column of pictures and one of masks.

A cell is a struct of a file's bytes and its path. Of a file only the names of its pictures are read when the set is
opened; of the pixels one row group of one column at a time. Row groups of more than 128 MiB are streamed instead, which
bounds the memory and takes time.

Source: Apache Parquet, "File Format" (https://parquet.apache.org/docs/file-format/); see `huggingface` for the columns.
"""

import io
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from fullconv.data.contents import Dataset
from fullconv.data.layouts.huggingface import (
    assembled,
    image_columns,
    picture_and_mask,
    split_of,
    unique_names,
)
from fullconv.data.layouts.pairing import no_such_layout
from fullconv.data.samples import Sample
from fullconv.data.sources import MAX_BYTES
from fullconv.errors import DataError, PictureError

NAME = "parquet"
LOOKS = "NAME.parquet, data/NAME.parquet or SPLIT/NAME.parquet"

MAX_GROUP = 2**27
"""A column of a row group is kept in memory up to this many bytes, and at most `KEPT_GROUPS` of them are."""

KEPT_GROUPS = 4
STREAMED_ROWS = 8


@dataclass(frozen=True)
class Cell:
    """A picture file in a table.

    Attributes:
        path: the Parquet file.
        column: the column.
        group: the row group.
        row: the row within it.
    """

    path: Path
    column: str
    group: int
    row: int

    def __str__(self) -> str:
        return f"{self.path}:{self.column}[{self.group}, {self.row}]"

    def open(self) -> BinaryIO:
        """The bytes, in memory.

        Raises:
            DataError: the file cannot be read, or the cell holds no bytes.
        """
        try:
            content = _content(self)
        except (DataError, PictureError):
            raise
        except Exception as error:  # a damaged file can make pyarrow raise nearly any type
            raise _unreadable(self.path, error) from None
        if content is None:
            raise DataError(
                f"{self}: holds no bytes, perhaps only a path; expected the picture in the table; write it again "
                "with its pictures embedded"
            )
        return io.BytesIO(content)


def detect(folder: Path) -> bool:
    return bool(_files(folder))


def read(folder: Path) -> Dataset:
    files = _files(folder)
    if not files:
        raise no_such_layout(folder, "a data set in Parquet", LOOKS)
    tables: dict[str, list[tuple[Path, list[int]]]] = {}
    paths: dict[str, list[str | None]] = {}
    columns, features = ("", ""), None
    for path in files:
        try:
            schema, sizes, names = _head(path)
        except DataError:
            raise
        except Exception as error:  # as in Cell.open
            raise _unreadable(path, error) from None
        found = picture_and_mask(image_columns(schema), path)
        if columns[0] and found != columns:
            raise DataError(f"{path}: has the columns {found}; expected {columns}, as in {files[0].name}")
        columns, features = found, features or features_of(schema.metadata)
        split = split_of(path, folder)
        tables.setdefault(split, []).append((path, sizes))
        paths.setdefault(split, []).extend(names)
    splits = {split: _samples(tables[split], unique_names(paths[split]), columns) for split in tables}
    kind = f"Parquet with the columns {columns[0]} and {columns[1]}"
    return assembled(folder, kind, splits, columns[1], features)


def features_of(metadata: Any) -> Any:
    """What the `datasets` package notes in a table's metadata."""
    try:
        return json.loads(metadata[b"huggingface"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet")
        for path in folder.glob(pattern)
        if path.is_file() and not path.name.startswith(".")
    )


def _samples(
    tables: list[tuple[Path, list[int]]], names: list[str], columns: tuple[str, str]
) -> list[Sample]:
    places = [
        (path, group, row)
        for path, sizes in tables
        for group, rows in enumerate(sizes)
        for row in range(rows)
    ]
    picture, mask = columns
    return [
        Sample(name, Cell(path, picture, group, row), Cell(path, mask, group, row))
        for name, (path, group, row) in zip(names, places, strict=True)
    ]


def _unreadable(path: Path, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:160]
    return DataError(f"{path}: is damaged, or no Parquet file ({reason}); download it again")


def _parquet() -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"the package pyarrow cannot be imported ({error}); install it: pip install 'fullconv[formats]'"
        ) from None
    return pyarrow.parquet


def _opened(path: Path, metadata: Any = None) -> Any:
    # without threads: a process that loads data may be a fork of one that had some
    return _parquet().ParquetFile(path, metadata=metadata, pre_buffer=False, buffer_size=2**16)


Stamp = tuple[int, int]


def _stamp(path: Path) -> Stamp:
    """Length and time of a file, so that what is kept of it ends with it."""
    about = path.stat()
    return about.st_size, about.st_mtime_ns


@lru_cache(maxsize=256)
def _metadata(path: Path, stamp: Stamp) -> Any:
    return _opened(path).metadata


def _head(path: Path) -> tuple[Any, list[int], list[str | None]]:
    """The schema, the rows of each row group, and the path of each picture."""
    metadata = _checked(path)
    schema = metadata.schema.to_arrow_schema()
    sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
    picture, _ = picture_and_mask(image_columns(schema), path)
    names: list[str | None] = [None] * sum(sizes)
    if any(field.name == "path" for field in schema.field(picture).type.fields):
        names = []
        for group in range(len(sizes)):
            table = _opened(path, metadata).read_row_group(
                group, columns=[f"{picture}.path"], use_threads=False
            )
            names += [(value or {}).get("path") for value in table.column(picture).to_pylist()]
    return schema, sizes, names


def _checked(path: Path) -> Any:
    """The metadata, once its sizes have been held against the file's."""
    size, time = _stamp(path)
    metadata = _metadata(path, (size, time))
    for group in range(metadata.num_row_groups):
        about = metadata.row_group(group)
        columns = [about.column(index) for index in range(about.num_columns)]
        lengths = [column.total_compressed_size for column in columns]
        if min(lengths, default=0) < 0 or sum(lengths) > size or not 0 <= about.num_rows <= 10 * size:
            raise DataError(f"{path}: is damaged: its row groups are longer than the file; download it again")
    return metadata


def _content(cell: Cell) -> bytes | None:
    metadata = _checked(cell.path)
    about = metadata.row_group(cell.group)
    name = f"{cell.column}.bytes"
    length = next(
        about.column(index).total_uncompressed_size
        for index in range(about.num_columns)
        if about.column(index).path_in_schema == name
    )
    if length <= MAX_GROUP:
        value = _column(cell.path, _stamp(cell.path), cell.group, name)[cell.row]
    else:
        file = _opened(cell.path, metadata)
        first, value = 0, None
        for batch in file.iter_batches(
            STREAMED_ROWS, row_groups=[cell.group], columns=[name], use_threads=False
        ):
            if cell.row < first + len(batch):
                value = batch.column(0)[cell.row - first]
                break
            first += len(batch)
    content = value["bytes"].as_py() if value is not None and value.is_valid else None
    if content is not None and len(content) > MAX_BYTES:
        raise PictureError(f"{cell}: has {len(content):,} bytes; at most {MAX_BYTES:,} are read; reduce it")
    return content


@lru_cache(maxsize=KEPT_GROUPS)
def _column(path: Path, stamp: Stamp, group: int, name: str) -> Any:
    table = _opened(path, _metadata(path, stamp)).read_row_group(group, columns=[name], use_threads=False)
    return table.column(0)
