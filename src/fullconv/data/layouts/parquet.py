"""Hugging Face data sets as Parquet: `data/train-00000-of-00002.parquet`, with a column of pictures and one of masks.

A cell is a struct of a file's bytes and its path. When the set is opened, only the paths are read; a sample costs a page
of each of its two columns.

Source: see `huggingface` for the columns, and `parquetfile` for the format.
"""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from fullconv.data.contents import Dataset
from fullconv.data.layouts.huggingface import (
    assembled,
    features_of,
    picture_and_mask,
    split_of,
    unique_names,
)
from fullconv.data.layouts.pairing import no_such_layout
from fullconv.data.parquetfile import Table, read_cell, read_column, read_table
from fullconv.data.samples import Sample
from fullconv.errors import DataError

NAME = "parquet"
LOOKS = "NAME.parquet, data/NAME.parquet or SPLIT/NAME.parquet"


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
            OSError: the file cannot be read.
            DataError: it is damaged, or the cell holds no bytes.
        """
        content = read_cell(self.path, (self.column, "bytes"), self.group, self.row)
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
    columns: tuple[str, str] | None = None
    cells: dict[str, list[tuple[Cell, Cell]]] = {}
    names: dict[str, list[str | None]] = {}
    table = None
    for path in files:
        table = read_table(path)
        found = picture_and_mask([column[0] for column in table.levels if column[1:] == ("bytes",)], path)
        columns = columns or found
        if found != columns:
            raise DataError(f"{path}: has the columns {found}; expected {columns}, as in {files[0].name}")
        split = split_of(path, folder)
        for group, (rows, _) in enumerate(table.groups):
            names.setdefault(split, []).extend(_paths(path, table, columns[0], group))
            picture, mask = columns
            pairs = [(Cell(path, picture, group, row), Cell(path, mask, group, row)) for row in range(rows)]
            cells.setdefault(split, []).extend(pairs)
    picture, mask = columns or ("", "")
    splits = {
        split: [Sample(name, *pair) for name, pair in zip(unique_names(names[split]), pairs, strict=True)]
        for split, pairs in cells.items()
    }
    kind = f"Parquet with the columns {picture} and {mask}"
    return assembled(folder, kind, splits, mask, features_of(table.notes if table else {}))


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for pattern in ("*.parquet", "*/*.parquet", "*/*/*.parquet")
        for path in folder.glob(pattern)
        if path.is_file() and not path.name.startswith(".")
    )


def _paths(path: Path, table: Table, column: str, group: int) -> list[str | None]:
    """The path of each picture in a row group, None where there is none."""
    rows, chunks = table.groups[group]
    if (column, "path") not in table.levels or (column, "path") not in chunks:
        return [None] * rows
    values = read_column(path, (column, "path"), group)
    return [None if value is None else value.decode("utf-8", "replace") for value in values]
