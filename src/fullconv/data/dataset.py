"""Opening a data set: which layout a folder has, and what dataset.yaml says beyond it.

A layout is a module in `fullconv.data.layouts`, and docs/data.md shows each.
"""

from dataclasses import replace
from pathlib import Path
from typing import Protocol

from fullconv.data.classes import Description, find_description
from fullconv.data.contents import Dataset
from fullconv.data.layouts import (
    ade20k,
    arrow,
    camvid,
    camvid11,
    camvid32,
    cityscapes,
    coco,
    coco_panoptic,
    coco_stuff,
    cvat,
    flat,
    folders,
    labelme,
    labelstudio,
    nested,
    parquet,
    sbd,
    siftflow,
    supervisely,
    twin,
    voc,
    webdataset,
    yolo,
)
from fullconv.data.shards.samples import ShardSamples
from fullconv.errors import DataError, UnknownNameError

__all__ = ["LAYOUTS", "Dataset", "open_dataset"]

MOST_SEEN = 5
"""So many of a folder's entries are told where its layout is not recognised."""


class Layout(Protocol):
    """What a module in `fullconv.data.layouts` has."""

    @property
    def NAME(self) -> str: ...

    def detect(self, folder: Path) -> bool:
        """Whether a folder looks so, by names and at most the head of one file."""
        ...

    def read(self, folder: Path) -> Dataset:
        """The data set in it.

        Raises:
            DataError, PictureError: files are missing or hold what is not expected in them.
        """
        ...


LAYOUTS: tuple[Layout, ...] = (
    cityscapes,
    ade20k,
    siftflow,
    sbd,
    camvid,
    camvid32,
    camvid11,
    coco,
    coco_panoptic,
    coco_stuff,
    cvat,
    labelstudio,
    supervisely,
    yolo,
    labelme,
    voc,
    twin,
    flat,
    nested,
    arrow,
    parquet,
    webdataset,
)
"""In the order in which they are looked for: who looks like two of them is taken for the first."""

IN_FOLDERS = ("voc", "twin", "flat", "webdataset")
"""The layouts to which dataset.yaml may add extra channels, further heads and what is dark in grey masks."""


def open_dataset(folder: Path | str, layout: str | None = None) -> Dataset:
    """Finds the layout, the splits and the classes of a data set.

    A dataset.yaml in the folder goes before what the layout says. A split none of whose masks is there, such as a
    public test set, is left out.

    Args:
        folder: the data set's folder, or `NAME:PATH` with the name of its layout, if no file has this very name.
        layout: the name of its layout; found by looking, unless it or dataset.yaml says it.

    Raises:
        DataError: no layout is recognised, files are missing, or the classes cannot be known.
        UnknownNameError: there is no layout of that name.
    """
    named, folder = split_name(folder)
    name = layout or named
    found = None if name is None else _by_name(name)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder; expected a data set; check the path")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; expected a data set's folder; unpack it first")
    described = find_description(folder)
    if found is None and described is not None and described[1].layout is not None:
        found = _by_name(described[1].layout)
    if found is None:
        found = detected(folder)
    dataset = replace(found.read(folder), layout_name=found.NAME)
    described = find_description(dataset.root, folder)
    return dataset if described is None else _described(dataset, *described)


def split_name(folder: Path | str) -> tuple[str | None, Path]:
    """The layout's name and the path in `NAME:PATH`; a single letter before the colon is a drive."""
    name, colon, path = str(folder).partition(":")
    if colon and len(name) > 1 and not {"/", "\\"} & set(name) and not Path(folder).exists():
        return name, Path(path or ".")
    return None, Path(folder)


def _by_name(name: str) -> Layout:
    by_name = {layout.NAME: layout for layout in LAYOUTS}
    if name not in by_name:
        raise UnknownNameError("layout", name, by_name, f"(layouts: {', '.join(sorted(by_name))})")
    return by_name[name]


def detected(folder: Path) -> Layout:
    for layout in LAYOUTS:
        if layout.detect(folder):
            return layout
    names = sorted(f"{path.name}/" if path.is_dir() else path.name for path in folder.iterdir())
    if not names:
        raise DataError(f"{folder}: is empty; expected {folders.LOOKS}, or another layout of docs/data.md")
    seen = ", ".join(names[:MOST_SEEN]) + (f" and {len(names) - MOST_SEEN} more" if names[MOST_SEEN:] else "")
    raise DataError(
        f"{folder}: layout not recognised; {folders.half_found(folder) or f'it holds {seen}; '}expected {folders.LOOKS}, or "
        f"another of {', '.join(layout.NAME for layout in LAYOUTS)}; docs/data.md shows them; NAME:PATH says which it is"
    )


def _described(dataset: Dataset, path: Path, description: Description) -> Dataset:
    """The data set under the name and with the classes of its dataset.yaml."""
    beyond = {"extra": description.extra, "heads": description.heads}
    given = [key for key, value in beyond.items() if value]
    if given and dataset.layout_name not in IN_FOLDERS:
        raise DataError(
            f"{path}: {given[0]}: is read in the layouts {', '.join(IN_FOLDERS)}, and this is {dataset.layout_name}; "
            "remove it, or convert the data set"
        )
    splits, shades = dataset.splits, description.shades()
    if shades is not None:
        splits = {
            split: samples  # which already have them, and are not to be listed
            if isinstance(samples, ShardSamples)
            else tuple(replace(sample, shades=shades) for sample in samples)
            for split, samples in splits.items()
        }
    return replace(
        dataset,
        name=description.name or path.parent.resolve().name,
        labels=description.labels() if description.classes else dataset.labels,
        splits=splits,
    )
