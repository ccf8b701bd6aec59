"""What a folder holds, be it a sound data set or not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.classes import UNKNOWN, find_description, read_lines
from fullconv.data.contents import Dataset
from fullconv.data.dataset import IN_FOLDERS, detected, open_dataset, split_name
from fullconv.data.doctor.findings import Finding, Place, finding
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.files import files_by_key
from fullconv.data.layouts.folders import Place as Folders
from fullconv.data.layouts.folders import find_place, read_folders, without_ends
from fullconv.data.pictures import read_picture
from fullconv.data.samples import Sample
from fullconv.errors import DataError, InputError

_PICTURES = (
    ".jfif",
    ".heic",
    ".heif",
    ".avif",
    ".jp2",
    ".jxl",
    ".raw",
    ".dng",
    ".cr2",
    ".nef",
    ".arw",
    ".psd",
    ".xcf",
)
_OTHERS = (
    ".svg",
    ".pdf",
    ".eps",
    ".tga",
    ".exr",
    ".hdr",
    ".npy",
    ".npz",
    ".mat",
    ".mp4",
    ".mov",
    ".avi",
    ".webm",
    ".mkv",
)
NOT_TAKEN = frozenset((*_PICTURES, *_OTHERS))
"""What looks like a picture, and is not read, by its suffix."""


@dataclass(frozen=True)
class Survey:
    """A data set and what is wrong with it as a whole.

    Attributes:
        folder: as it was given.
        dataset: what is sound; None where nothing is.
        findings: on its layout, lists, pairs and classes.
        place: where its files lie, if they are in two folders.
    """

    folder: Path
    dataset: Dataset | None
    findings: tuple[Finding, ...]
    place: Folders | None

    @property
    def knows_classes(self) -> bool:
        return self.dataset is not None and self.dataset.labels != UNKNOWN


def survey(folder: Path | str) -> Survey:
    """Opens a data set as far as that is possible."""
    named, path = split_name(folder)
    faults: list[InputError] = []
    dataset = None
    try:
        dataset = open_dataset(folder)
    except InputError as error:
        in_folders = (named or _layout_of(path)) in IN_FOLDERS and find_place(path) is not None
        if in_folders:
            dataset = read_folders(path, faults.append)
        if not faults:
            faults = [error if error.code in KINDS else DataError(str(error), "layout")]
    place = find_place(path) if dataset and (dataset.layout_name or "flat") in IN_FOLDERS else None
    findings = _of_faults(faults)
    if dataset is not None:
        findings += _of_splits(dataset, place)
    if dataset is not None and place is not None:
        findings += _of_files(dataset, place)
    return Survey(path, dataset, tuple(findings), place)


def _layout_of(folder: Path) -> str:
    """The name of the layout that a folder's dataset.yaml says, or that it looks like; "" where there is none."""
    try:
        described = find_description(folder)
        said = described[1].layout if described else None
    except DataError:  # broken: that is told elsewhere
        said = None
    try:
        return said or detected(folder).NAME
    except (InputError, OSError):
        return ""


def _of_faults(faults: Iterable[InputError]) -> list[Finding]:
    """A finding for each code; what is wrong with a single file is found again when it is read."""
    places: dict[str, list[Place]] = {}
    for error in faults:
        code = error.code
        if code not in KINDS or code in ("mask-jpeg", "empty-file", "too-large", "mask-ids"):
            continue
        file, _, text = str(error).partition(": ")
        if code == "name-doubled":
            places.setdefault(code, []).append(_doubled(*error.files))
            continue
        notes = {} if len(error.files) > 1 else {file: text}
        places.setdefault(code, []).extend(
            Place(each, notes.get(each, "" if len(error.files) > 1 else text))
            for each in error.files or [file]
        )
    return [
        finding(code, found, fixable=None if code != "name-doubled" else any(place.beside for place in found))
        for code, found in places.items()
    ]


def _doubled(file: str, other: str) -> Place:
    """Two files of one name; where they hold the same pixels, the second is named as `beside`."""
    try:
        same = np.array_equal(read_picture(file), read_picture(other))
    except InputError:
        same = False
    words = "holds the same pixels as" if same else "has the name of, and other pixels than,"
    return Place(file, f"{words} {other}", other if same else "")


def _of_splits(dataset: Dataset, place: Folders | None) -> list[Finding]:
    found = []
    there = {
        *dataset.splits,
        *(place.lists if place else ()),
    }  # a list that cannot be read is told of already
    missing = [split for split in ("train", "val") if split not in there]
    if missing and dataset.splits:
        found.append(finding("split-missing", [], detail=" and ".join(missing)))
    measured = {
        _key(sample): split
        for split, samples in dataset.splits.items()
        if is_measured(split)
        for sample in samples
    }
    both = {
        _key(sample): Place(str(sample.picture), f"in {split} and in {measured[_key(sample)]}")
        for split, samples in dataset.splits.items()
        if is_learnt(split)
        for sample in samples
        if _key(sample) in measured
    }
    if both:
        found.append(finding("in-two-splits", both.values()))
    return found


def is_learnt(split: str) -> bool:
    """Whether a split is for training; VOC's trainval is for those who measure elsewhere."""
    return split.startswith("train") and not split.startswith("trainval")


def is_measured(split: str) -> bool:
    return split.startswith(("val", "test"))


def _key(sample: Sample) -> tuple[str, str]:
    return str(sample.picture), str(sample.mask)


def _of_files(dataset: Dataset, place: Folders) -> list[Finding]:
    """What lies in the two folders and belongs to no sample, and what lists say twice."""

    def keys(folder: Path) -> dict[str, Path]:
        return files_by_key(folder, lambda error: None)

    pictures = keys(place.pictures)
    masks = without_ends(keys(place.masks), pictures)
    used = {sample.mask for samples in dataset.splits.values() for sample in samples}
    stems = {Path(key).name for key in pictures}
    partnered = used | {path for key, path in masks.items() if key in pictures or key in stems}
    alone = [Place(str(path)) for path in dict.fromkeys(masks.values()) if path not in partnered]
    strange = [
        Place(str(path))
        for folder in (place.pictures, place.masks)
        for path in sorted([*folder.glob("*"), *folder.glob("*/*")])
        if path.suffix.lower() in NOT_TAKEN and not path.name.startswith(".")
    ]
    twice = []
    for path in place.lists.values():
        try:
            counts = Counter(read_lines(path))
        except DataError:
            continue
        twice += [Place(str(path), f"{name!r} {count} times") for name, count in counts.items() if count > 1]
    found = {"picture-missing": alone, "not-taken": strange, "listed-twice": twice}
    return [finding(code, places) for code, places in found.items() if places]


def without_doubles(dataset: Dataset) -> tuple[list[Sample], dict[str, list[int]]]:
    """Each sample once, however many splits it is in, and the indices of each split's."""
    index: dict[tuple[str, str], int] = {}
    samples: list[Sample] = []
    splits: dict[str, list[int]] = {}
    for split, members in dataset.splits.items():
        for sample in members:
            key = _key(sample)
            if key not in index:
                index[key] = len(samples)
                samples.append(sample)
            splits.setdefault(split, []).append(index[key])
    return samples, splits
