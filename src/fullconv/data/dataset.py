"""Data sets as folders: which pictures and masks there are, which belong together, and in which split.

Three layouts are found by looking at the folder:

- VOCdevkit: `JPEGImages/`, `SegmentationClass/`, and each list in `ImageSets/Segmentation/` is a split;
- twin trees: `images/train/`, `images/val/`, ... and `masks/train/`, `masks/val/`, ...;
- flat: `images/` and `masks/`, with the lists `train.txt` and `val.txt` beside; without lists a tenth becomes
  `val`.

A mask has its picture's name, up to the suffix. Further folders, of extra channels or of other heads' masks,
are named by dataset.yaml.
"""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from fullconv.data.classes import (
    CLASS_LISTS,
    Description,
    infer_labels,
    read_class_list,
    read_description,
    read_lines,
)
from fullconv.data.companions import add_companions
from fullconv.data.extra import ExtraFormat
from fullconv.data.files import files_by_key
from fullconv.data.pictures import SUFFIXES, picture_size
from fullconv.data.samples import Sample
from fullconv.errors import DataError
from fullconv.labels import VOC, Head, LabelSet

PICTURE_FOLDERS = ("images", "img", "pictures", "JPEGImages")
MASK_FOLDERS = ("masks", "labels", "annotations", "SegmentationClass")
SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
"""Folders and lists by the names on the left become the split on the right."""

LAYOUTS = (
    "VOCdevkit (JPEGImages/, SegmentationClass/, ImageSets/Segmentation/), images/train/ + masks/train/, or "
    "images/ + masks/ with train.txt and val.txt"
)


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    Attributes:
        name: from dataset.yaml, or the folder's.
        root: the folder that holds pictures and masks.
        layout: in words, which layout was found.
        labels: the classes.
        splits: the samples of each split, in the order of its list or of the names.
        heads: further labellings of the same pictures, as in `Sample.head_masks`.
        extra: what the files of extra channels hold, where there are some.
        least_hw: the least height and width of its pictures, if `at_least` chose them.
    """

    name: str
    root: Path
    layout: str
    labels: LabelSet
    splits: dict[str, tuple[Sample, ...]]
    heads: tuple[Head, ...] = ()
    extra: ExtraFormat | None = None
    least_hw: tuple[int, int] | None = None

    @property
    def num_channels(self) -> int:
        """Of the pictures that `read_sample` gives: 3, and the extra ones."""
        return 3 + (self.extra.channels if self.extra else 0)

    def split(self, name: str) -> tuple[Sample, ...]:
        """The samples of a split, or of several: "train+val".

        Raises:
            DataError: there is no such split.
        """
        if "+" in name and name not in self.splits:
            return tuple(sample for part in name.split("+") for sample in self.split(part))
        if name not in self.splits:
            there = ", ".join(f"{split!r} ({len(samples)})" for split, samples in self.splits.items())
            large = (
                " and pictures of at least {} x {} (height x width)".format(*self.least_hw)
                if self.least_hw
                else ""
            )
            raise DataError(f"{self.root}: got split {name!r}, expected one that has masks{large}: {there}")
        return self.splits[name]

    def at_least(self, size_hw: tuple[int, int]) -> "Dataset":
        """The data set without smaller pictures; `layout` says how many of each split are left.

        Reads the headers of all pictures. A split that would be empty is left out.

        Args:
            size_hw: the least height and the least width, for pictures as they are shown.

        Raises:
            DataError: no picture is that large.
            PictureError: one of them cannot be read.
        """
        height, width = size_hw
        splits, counts = {}, []
        with ThreadPoolExecutor() as pool:
            for split, samples in self.splits.items():
                sizes = pool.map(picture_size, [sample.picture for sample in samples])
                large = [h >= height and w >= width for h, w in sizes]
                kept = tuple(sample for sample, fits in zip(samples, large, strict=True) if fits)
                counts.append(f"{split} {len(kept)} of {len(samples)}")
                if kept:
                    splits[split] = kept
        chosen = f"pictures of at least {height} x {width} (height x width): {', '.join(counts)}"
        if not splits:
            raise DataError(f"{self.root}: got {chosen}; expected some; lower the least size")
        return replace(self, layout=f"{self.layout}; {chosen}", splits=splits, least_hw=size_hw)


@dataclass(frozen=True)
class _Place:
    """Where a data set's files lie; `lists` holds each split's list of names, if there are lists."""

    root: Path
    pictures: Path
    masks: Path
    lists: dict[str, Path]
    is_voc: bool


def open_dataset(folder: Path | str) -> Dataset:
    """Finds the layout, the splits and the classes of a data set.

    The classes are those of dataset.yaml or of a classes.txt; without either, the 21 of VOC in a VOCdevkit,
    and the ids found in the masks elsewhere. A split none of whose masks is there, such as a public test set,
    is left out.

    Args:
        folder: the data set's folder; for VOC the VOCdevkit, its parent, or one year in it.

    Raises:
        DataError: no layout is recognised, files are missing, or the classes cannot be known.
    """
    folder = Path(folder)
    if not folder.exists():
        raise DataError(f"{folder}: no such folder; expected a data set; check the path")
    if not folder.is_dir():
        raise DataError(f"{folder}: is a file; expected a data set's folder; unpack it first")
    place = _find_place(folder)
    layout, splits = _find_splits(place)
    folders = list(dict.fromkeys([place.root, folder]))
    path = next(_existing(folders, ("dataset.yaml",)), None)
    if path is None:
        labels = _find_labels(folders, place, splits)
        return Dataset(folder.resolve().name, place.root, layout, labels, splits)
    return _described(read_description(path), path.parent.resolve().name, place, layout, splits)


def _described(
    description: Description, name: str, place: _Place, layout: str, splits: dict[str, tuple[Sample, ...]]
) -> Dataset:
    splits = {
        split: add_companions(samples, description, place.root, place.pictures)
        for split, samples in splits.items()
    }
    return Dataset(
        description.name or name,
        place.root,
        layout,
        description.labels(),
        splits,
        description.further_heads(),
        extra=description.extra.form() if description.extra else None,
    )


def _find_place(folder: Path) -> _Place:
    roots = [folder, folder / "VOCdevkit"]
    years = [year for root in roots for year in sorted(root.glob("VOC20*"), reverse=True)]
    half_found = ""
    for root in (*roots, *years):
        pictures = next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), None)
        masks = next((root / name for name in MASK_FOLDERS if (root / name).is_dir()), None)
        if pictures and masks:
            voc_lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
            lists = voc_lists or [
                path for path in sorted(root.glob("*.txt")) if path.stem.startswith(("train", "val", "test"))
            ]
            by_split = {SPLIT_NAMES.get(path.stem, path.stem): path for path in lists}
            return _Place(root, pictures, masks, by_split, is_voc=bool(voc_lists))
        if pictures or masks:
            half_found = f"{pictures or masks} is there, but {'masks' if pictures else 'images'}/ is not; "
    if not any(folder.iterdir()):
        raise DataError(f"{folder}: is empty; expected {LAYOUTS}")
    raise DataError(f"{folder}: layout not recognised; {half_found}expected {LAYOUTS}")


def _find_splits(place: _Place) -> tuple[str, dict[str, tuple[Sample, ...]]]:
    pictures, masks = files_by_key(place.pictures), files_by_key(place.masks)
    if not pictures:
        raise DataError(f"{place.pictures}: holds no pictures; expected files such as NAME.jpg or NAME.png")
    trees = {SPLIT_NAMES.get(path.name, path.name): path.name for path in _subfolders(place.pictures)}
    in_trees = any("/" in key for key in pictures)
    names: dict[str, list[str]] = {split: _listed_names(path) for split, path in place.lists.items()}
    for split, tree in trees.items():
        inside = [key.removeprefix(f"{tree}/") for key in pictures if key.startswith(f"{tree}/")]
        names.setdefault(split, inside)
    kind = f"{'twin trees' if in_trees else 'flat'} {place.pictures.name}/ + {place.masks.name}/"
    kind = "VOCdevkit" if place.is_voc else kind
    if place.lists:
        layout = f"{kind} with lists {', '.join(path.name for path in place.lists.values())}"
    elif in_trees:
        layout = kind
    else:
        layout = f"{kind} without lists; val is a tenth, chosen by the names' SHA-256"
        names = _tenth_for_val(list(pictures))

    splits = {}
    for split, listed in names.items():
        found = _pairs(place, split, trees.get(split, split), listed, pictures, masks)
        if found:
            splits[split] = found
    if not splits:
        key, picture = next(iter(pictures.items()))
        raise DataError(
            f"{place.masks}: none of {len(pictures)} pictures has a mask there; for {picture} expected "
            f"{place.masks / key}.png; give each mask its picture's name"
        )
    return layout, splits


def _pairs(
    place: _Place, split: str, tree: str, names: list[str], pictures: dict[str, Path], masks: dict[str, Path]
) -> tuple[Sample, ...]:
    """The samples of one split, or none where it has no mask at all."""
    keys = {name: f"{tree}/{name}" if f"{tree}/{name}" in pictures else name for name in names}
    absent = [name for name, key in keys.items() if key not in pictures]
    if absent:
        raise DataError(
            f"{place.lists[split]}: {len(absent)} of its {len(names)} names have no picture; for "
            f"{absent[0]!r} expected {place.pictures / absent[0]}.jpg or .png; add them or drop the names"
        )
    mask_keys = {name: key if key in masks else name for name, key in keys.items()}
    samples = tuple(
        Sample(name, pictures[keys[name]], masks[key]) for name, key in mask_keys.items() if key in masks
    )
    if samples and len(samples) < len(names):
        missing = [name for name, key in mask_keys.items() if key not in masks]
        key = keys[missing[0]]
        also = f", also of {', '.join(missing[1:4])}" if len(missing) > 1 else ""
        raise DataError(
            f"{pictures[key]}: its mask is missing; expected {place.masks / key}.png; split {split!r} lacks "
            f"{len(missing)} of {len(names)} masks{also}; add them or take these pictures out of the split"
        )
    return samples


def _find_labels(folders: list[Path], place: _Place, splits: dict[str, tuple[Sample, ...]]) -> LabelSet:
    """The classes of a data set without dataset.yaml."""
    for path in _existing(folders, CLASS_LISTS):
        return read_class_list(path)
    if place.is_voc:
        return VOC
    return infer_labels(sorted({sample.mask for samples in splits.values() for sample in samples}))


def _existing(folders: list[Path], names: tuple[str, ...]) -> Iterator[Path]:
    return (folder / name for folder in folders for name in names if (folder / name).is_file())


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def _listed_names(path: Path) -> list[str]:
    """The names in a list, each once; a picture's suffix after a name is dropped."""
    names = [
        line[: -len(end)] if (end := Path(line).suffix).lower() in SUFFIXES else line
        for line in read_lines(path)
    ]
    if not names:
        raise DataError(f"{path}: holds no names; expected one picture's name a line; fill it or remove it")
    return list(dict.fromkeys(names))


def _tenth_for_val(names: list[str]) -> dict[str, list[str]]:
    """Splits names 9 : 1, the same way on every machine."""
    by_hash = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    num_val = max(1, round(len(names) / 10)) if len(names) > 1 else 0
    val = set(by_hash[:num_val])
    splits = {
        "train": [name for name in names if name not in val],
        "val": [name for name in names if name in val],
    }
    return {split: members for split, members in splits.items() if members}
