"""Pictures and masks in two folders under equal names: what the layouts voc, twin and flat have in common.

A mask has its picture's name, up to the suffix, and up to an end such as `_mask` that says what it is. Further
folders, of extra channels or of other heads' masks, are named by dataset.yaml.
"""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

from fullconv.data.binary import BINARY, BINARY_NOTE, BINARY_SHADES, are_binary
from fullconv.data.classes import (
    CLASS_LISTS,
    UNKNOWN,
    Description,
    existing,
    find_description,
    infer_labels,
    read_class_list,
)
from fullconv.data.color_lists import COLOR_LISTS, VOID, read_colors
from fullconv.data.companions import add_companions
from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import listed_names, missing_masks
from fullconv.data.samples import Sample
from fullconv.errors import DataError, Report, fail
from fullconv.labels import VOC, LabelSet

PICTURE_FOLDERS = ("images", "img", "pictures", "JPEGImages")
MASK_FOLDERS = ("masks", "labels", "annotations", "SegmentationClass")
MASK_ENDS = (
    "_mask",
    "_segmentation",
    "_gt",
    "_seg",
    "_label",
    "_labels",
    "_annotation",
    "_matte",
    "_L",
    "-mask",
)
"""What may stand behind a picture's name in its mask's: `_segmentation` in ISIC, `_mask` in Carvana, `_L` in CamVid."""

SPLIT_NAMES = {"training": "train", "valid": "val", "validation": "val", "testing": "test"}
"""Folders and lists by the names on the left become the split on the right."""

LOOKS = (
    "VOCdevkit (JPEGImages/, SegmentationClass/, ImageSets/Segmentation/), images/train/ + masks/train/, or "
    "images/ + masks/ with train.txt and val.txt"
)


@dataclass(frozen=True)
class Place:
    """Where a data set's files lie; `lists` holds each split's list of names, if there are lists."""

    root: Path
    pictures: Path
    masks: Path
    lists: dict[str, Path]
    is_voc: bool


def find_place(folder: Path) -> Place | None:
    """The two folders, in `folder`, in its VOCdevkit, or in the newest year there."""
    for root in _roots(folder):
        pictures, masks = two_folders(root)
        if pictures and masks:
            voc_lists = sorted((root / "ImageSets" / "Segmentation").glob("*.txt"))
            lists = voc_lists or [
                path for path in sorted(root.glob("*.txt")) if path.stem.startswith(("train", "val", "test"))
            ]
            by_split = {SPLIT_NAMES.get(path.stem, path.stem): path for path in lists}
            return Place(root, pictures, masks, by_split, is_voc=bool(voc_lists))
    return None


def half_found(folder: Path) -> str:
    """A clause on pictures without masks or masks without pictures; empty where there is neither."""
    clause = ""
    for root in _roots(folder):
        pictures, masks = two_folders(root)
        if pictures or masks:
            clause = f"{pictures or masks} is there, but {'masks' if pictures else 'images'}/ is not; "
    return clause


def has_trees(place: Place) -> bool:
    """Whether the folder of the pictures has folders in it."""
    return bool(_subfolders(place.pictures))


def read_folders(folder: Path, report: Report = fail) -> Dataset:
    """Reads a data set of any of the three layouts.

    Args:
        folder: where.
        report: told of each fault; the data set is then what is sound beside it, with `UNKNOWN` classes where they
            cannot be known.

    Raises:
        DataError: there are no such folders; and as `report` does.
    """
    place = find_place(folder)
    if place is None:
        raise DataError(f"{folder}: is no such layout; {half_found(folder)}expected {LOOKS}")
    layout, splits = _find_splits(place, report)
    roots = [place.root, folder]
    dataset = Dataset(folder.resolve().name, place.root, layout, VOC, splits)
    dataset = with_labels(dataset, roots, place.is_voc, report)
    if dataset.labels == UNKNOWN:
        return dataset
    described = find_description(*roots)
    return dataset if described is None else _described(dataset, *described, place, report)


def with_labels(
    dataset: Dataset, folders: list[Path], are_known: bool = False, report: Report = fail
) -> Dataset:
    """The data set with the classes that dataset.yaml or a list in one of the folders names, or that its masks hold.

    Args:
        dataset: its samples' masks are files.
        folders: where dataset.yaml and lists of classes may lie.
        are_known: its own classes are right where no file says otherwise.
        report: told of files that cannot be read; the classes are then `UNKNOWN`, or those of the other masks.

    Raises:
        DataError: as `report` does.
    """
    try:
        named = _named_labels(folders)
    except DataError as error:
        report(DataError(str(error), "description"))
        named = UNKNOWN
    if named is not None or are_known:
        return dataset if named is None else replace(dataset, labels=named)
    masks = sorted({sample.mask for samples in dataset.splits.values() for sample in samples}, key=str)
    if not are_binary(masks, report):
        return replace(dataset, labels=infer_labels(masks, report))
    splits = {
        split: tuple(replace(sample, shades=BINARY_SHADES) for sample in samples)
        for split, samples in dataset.splits.items()
    }
    return replace(dataset, labels=BINARY, splits=splits, layout=f"{dataset.layout}; {BINARY_NOTE}")


def _named_labels(folders: list[Path]) -> LabelSet | None:
    """The classes that dataset.yaml or a list names."""
    described = find_description(*folders)
    if described is not None and described[1].classes:
        return described[1].labels()
    for path in existing(folders, CLASS_LISTS):
        return read_class_list(path)
    for path in existing(folders, COLOR_LISTS):
        labels = read_colors(path)
        void = [index for index, name in enumerate(labels.names) if name == VOID]
        return replace(labels, ignore_ids=tuple(void))
    return None


def _described(
    dataset: Dataset, path: Path, description: Description, place: Place, report: Report
) -> Dataset:
    """The data set with the name, heads and extra channels of its dataset.yaml."""
    return replace(
        dataset,
        name=description.name or path.parent.resolve().name,
        splits={
            split: add_companions(samples, description, place.root, place.pictures, report)
            for split, samples in dataset.splits.items()
        },
        heads=description.further_heads(),
        extra=description.extra.form() if description.extra else None,
    )


def _roots(folder: Path) -> list[Path]:
    roots = [folder, folder / "VOCdevkit"]
    return [*roots, *(year for root in roots for year in sorted(root.glob("VOC20*"), reverse=True))]


def two_folders(root: Path) -> tuple[Path | None, Path | None]:
    pictures = next((root / name for name in PICTURE_FOLDERS if (root / name).is_dir()), None)
    masks = next((root / name for name in MASK_FOLDERS if (root / name).is_dir()), None)
    return pictures, masks


def _find_splits(place: Place, report: Report) -> tuple[str, dict[str, tuple[Sample, ...]]]:
    pictures = files_by_key(place.pictures, report)
    masks = without_ends(files_by_key(place.masks, report), pictures)
    if not pictures:
        told = f"{place.pictures}: holds no pictures; expected files such as NAME.jpg or NAME.png"
        report(DataError(told, "layout", [str(place.pictures)]))
    trees = {SPLIT_NAMES.get(path.name, path.name): path.name for path in _subfolders(place.pictures)}
    in_trees = any("/" in key for key in pictures)
    listed = {split: listed_names(path, report) for split, path in place.lists.items()}
    names = {split: found for split, found in listed.items() if found}
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
        names = tenth_for_val(list(pictures))

    splits = {}
    for split, members in names.items():
        found = _pairs(place, split, trees.get(split, split), members, pictures, masks, report)
        if found:
            splits[split] = found
    if pictures and not splits:
        key, picture = next(iter(pictures.items()))
        told = (
            f"{place.masks}: none of {len(pictures)} pictures has a mask there; for {picture} expected "
            f"{place.masks / key}.png; give each mask its picture's name"
        )
        report(DataError(told, "mask-missing", [str(path) for path in pictures.values()]))
    return layout, splits


def without_ends(masks: dict[str, Path], pictures: dict[str, Path]) -> dict[str, Path]:
    """The masks by their pictures' names: what `a_mask.png` is called where there is a picture `a`, and no mask `a`."""
    named = dict(masks)
    for key, path in masks.items():
        end = next((end for end in MASK_ENDS if key.endswith(end)), "")
        if end and key not in pictures and key.removesuffix(end) in pictures:
            named.setdefault(key.removesuffix(end), path)
    return named


def _pairs(
    place: Place,
    split: str,
    tree: str,
    names: list[str],
    pictures: dict[str, Path],
    masks: dict[str, Path],
    report: Report,
) -> tuple[Sample, ...]:
    """The samples of one split, or none where it has no mask at all."""
    keys = {name: f"{tree}/{name}" if f"{tree}/{name}" in pictures else name for name in names}
    absent = [name for name, key in keys.items() if key not in pictures]
    if absent:
        told = (
            f"{place.lists[split]}: {len(absent)} of its {len(names)} names have no picture; for "
            f"{absent[0]!r} expected {place.pictures / absent[0]}.jpg or .png; add them or drop the names"
        )
        report(DataError(told, "listed-missing", [f"{place.lists[split]}: {name}" for name in absent]))
    mask_keys = {name: key if key in masks else name for name, key in keys.items() if key in pictures}
    samples = tuple(
        Sample(name, pictures[keys[name]], masks[key]) for name, key in mask_keys.items() if key in masks
    )
    if samples and len(samples) < len(mask_keys):
        missing = [name for name, key in mask_keys.items() if key not in masks]
        key = keys[missing[0]]
        told = missing_masks(pictures[key], f"{place.masks / key}.png", split, missing, len(names))
        report(DataError(told, "mask-missing", [str(pictures[keys[name]]) for name in missing]))
    return samples


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]


def tenth_for_val(names: list[str]) -> dict[str, list[str]]:
    """Splits names 9 : 1, the same way on every machine."""
    by_hash = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    num_val = max(1, round(len(names) / 10)) if len(names) > 1 else 0
    val = set(by_hash[:num_val])
    splits = {
        "train": [name for name in names if name not in val],
        "val": [name for name in names if name in val],
    }
    return {split: members for split, members in splits.items() if members}
