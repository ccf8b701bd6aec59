"""A data set divided anew, as a folder of its own: lists, and links to the pictures and masks of the old one."""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.dataset import Dataset
from fullconv.data.descriptions import description_text
from fullconv.data.masks import read_mask, write_mask
from fullconv.data.pictures import SUFFIXES, open_file, open_header
from fullconv.data.samples import Sample
from fullconv.data.sources import MaskFile, PictureFile
from fullconv.data.splitting import (
    class_pixels,
    divide,
    fold_fractions,
    groups_by_pattern,
    groups_by_sequence,
    groups_from_csv,
)
from fullconv.errors import ConfigError, DataError
from fullconv.labels import LabelSet
from fullconv.storage import replaced_folder

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Division:
    """How a data set is to be divided.

    Attributes:
        val, test: the parts that they get; the rest is train.
        folds: so many folds instead, each of which is val once.
        by: what stays together: "" nothing, "sequence", "folder", the name of a .csv file, or a regular expression.
        stratify: the classes' pixels are spread evenly.
        seed: another number gives another division.
    """

    val: float = 0.1
    test: float = 0.0
    folds: int | None = None
    by: str = ""
    stratify: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.val < 1 and 0 <= self.test < 1 and 0 < self.val + self.test < 1):
            raise ConfigError(
                f"got val {self.val} and test {self.test}; expected parts of 1, together more than 0 and less than 1"
            )
        if self.folds is not None and self.folds < 2:
            raise ConfigError(f"got {self.folds} folds; expected at least 2")

    @property
    def fractions(self) -> dict[str, float]:
        """Of each split that is made; of folds "0", "1", ..."""
        if self.folds:
            return fold_fractions(self.folds)
        parts = {"train": 1 - self.val - self.test, "val": self.val, "test": self.test}
        return {split: part for split, part in parts.items() if part > 0}


@dataclass(frozen=True)
class Resplit:
    """What was made.

    Attributes:
        folder: where.
        splits: the names in each split; of folds the first one's parts by "0", "1", ..., and test where it was kept.
        kept: the name of the split that stayed as it was, or "".
        num_groups: groups among the pictures that were divided.
        largest: pictures in the largest of them.
        shares: of each split, the part that each class has of its pixels.
    """

    folder: Path
    splits: dict[str, list[str]]
    kept: str
    num_groups: int
    largest: int
    shares: dict[str, list[float]]


def resplit(
    dataset: Dataset,
    folder: Path,
    division: Division,
    *,
    copy: bool = False,
    progress: Progress | None = None,
) -> Resplit:
    """Divides a data set anew and writes it as a folder of lists and links.

    A split named test stays as it is, unless the division makes one. Pictures and masks that are files are linked, by
    relative links; where there are no links, or `copy` is set, they are copied. What is no file of its own is written as one.

    Args:
        dataset: what is divided.
        folder: the new data set's; must be new or empty.
        division: how.
        copy: copies, so that the folder stands alone.
        progress: called with (done, total) as the masks are read.

    Raises:
        DataError: the folder is there; groups are missing or too few; a mask cannot be read.
        StorageError: the disk is full or may not be written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder}: is there; expected a new or an empty folder; choose another")
    samples, fixed = _samples(dataset, keep_test=not division.test)
    if not samples:
        raise DataError(
            f"{dataset.root}: has no picture to divide, as test stays as it is; give --test a part, too"
        )
    groups = _groups(samples, division.by)
    both = {**samples, **fixed}
    counts = dict(zip(both, class_pixels(list(both.values()), dataset.labels, progress), strict=True))
    pixels = {name: counts[name].tolist() for name in samples} if division.stratify else None
    splits = divide(groups, division.fractions, pixels, division.seed)
    if fixed:
        splits["test"] = list(fixed)
    with replaced_folder(folder) as fresh:
        files = _Files(fresh, folder, copy, dataset)
        for name, sample in both.items():
            files.add(name, sample)
        if division.folds:
            _write_folds(fresh, splits, division.folds, files)
        else:
            _write_lists(fresh, splits, files)
    sizes = np.unique(list(groups.values()), return_counts=True)[1]
    shares = {split: _shares([counts[name] for name in names]) for split, names in splits.items()}
    return Resplit(folder, splits, "test" if fixed else "", len(sizes), int(sizes.max()), shares)


def _samples(dataset: Dataset, keep_test: bool) -> tuple[dict[str, Sample], dict[str, Sample]]:
    """The samples to divide, and those of test where it stays, each once, by names that are unique."""
    kept = "test" if keep_test and "test" in dataset.splits else ""
    chosen: dict[str, Sample] = {}
    fixed: dict[str, Sample] = {}
    seen = {str(sample.picture) for sample in dataset.splits.get(kept, ())}
    for split in sorted(dataset.splits):
        for sample in sorted(dataset.splits[split], key=lambda sample: sample.name):
            if split != kept and str(sample.picture) in seen:
                continue  # as in VOC's trainval
            seen.add(str(sample.picture))
            name = _file_name(sample.name)
            if name in chosen or name in fixed:
                name = f"{split}_{name}"
            while name in chosen or name in fixed:
                name += "_"
            (fixed if split == kept else chosen)[name] = sample
    return chosen, fixed


def _file_name(name: str) -> str:
    """A sample's name as one that a file in a folder may have, and that a list does not shorten."""
    name = name.replace("/", "_").lstrip(".") or "_"
    return name.replace(".", "_") if Path(name).suffix.lower() in SUFFIXES else name


def _groups(samples: Mapping[str, Sample], by: str) -> dict[str, str]:
    names = list(samples)
    if not by:
        return {name: name for name in names}
    if by == "folder":
        return {name: str(Path(str(sample.picture)).parent) for name, sample in samples.items()}
    own = {name: sample.name for name, sample in samples.items()}
    if by == "sequence":
        found = groups_by_sequence(sorted(set(own.values())))
    elif by.lower().endswith(".csv"):
        found = groups_from_csv(sorted(set(own.values())), Path(by))
    else:
        found = groups_by_pattern(sorted(set(own.values())), by)
    return {name: found[own[name]] for name in names}


def _shares(counts: Sequence[np.ndarray]) -> list[float]:
    totals = np.sum(counts, axis=0)
    return (totals / max(1, int(totals.sum()))).tolist()


def _write_lists(folder: Path, splits: Mapping[str, Iterable[str]], files: "_Files") -> None:
    for split, names in splits.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
    (folder / "dataset.yaml").write_text(files.description, "utf-8")


def _write_folds(folder: Path, splits: Mapping[str, Sequence[str]], folds: int, files: "_Files") -> None:
    """fold0/, fold1/, ...: data sets whose folders of pictures and masks are links to those beside them."""
    for fold in range(folds):
        inside = folder / f"fold{fold}"
        inside.mkdir()
        others = [name for other in range(folds) if other != fold for name in splits[str(other)]]
        parts = {"train": sorted(others), "val": splits[str(fold)]}
        if "test" in splits:
            parts["test"] = splits["test"]
        _write_lists(inside, parts, files)
        for kind in files.folders:
            files.link(Path("..") / kind, inside / kind)


class _Files:
    """Fills the folders of pictures, masks, extra channels and further masks."""

    def __init__(self, fresh: Path, folder: Path, copy: bool, dataset: Dataset) -> None:
        self.fresh, self.copy, self.labels, self.heads = fresh, copy, dataset.labels, dataset.heads
        # links lead from where the folder will be
        self.final = folder.absolute().parent.resolve() / folder.absolute().name
        self.folders = ["images", "masks", *(["extra"] if dataset.extra else [])]
        self.head_folders = [f"masks_{number}" for number in range(1, len(dataset.heads) + 1)]
        self.folders += self.head_folders
        for kind in self.folders:
            (fresh / kind).mkdir()
        every = [sample for samples in dataset.splits.values() for sample in samples]
        self.description = description_text(
            dataset.name,
            dataset.labels,
            shades=every[0].shades,
            extra=("extra", dataset.extra) if dataset.extra else None,
            heads=list(zip(self.head_folders, dataset.heads, strict=True)),
        )

    def add(self, name: str, sample: Sample) -> None:
        self._put_picture(sample.picture, "images", name)
        self._put_mask(sample.mask, self.labels, "masks", name)
        if sample.extra:
            self._put_picture(sample.extra, "extra", name)
        for folder, head, mask in zip(self.head_folders, self.heads, sample.head_masks, strict=True):
            self._put_mask(mask, head.labels, folder, name)

    def _put_picture(self, picture: PictureFile, folder: str, name: str) -> None:
        if isinstance(picture, Path):
            self._put(picture, folder, name)
            return
        with open_file(picture) as stream:
            kind = str(open_header(stream, str(picture)).format).lower()
            stream.seek(0)
            suffix = {"jpeg": ".jpg", "mpo": ".jpg"}.get(kind, f".{kind}")
            (self.fresh / folder / f"{name}{suffix}").write_bytes(stream.read())

    def _put_mask(self, mask: MaskFile, labels: LabelSet, folder: str, name: str) -> None:
        if isinstance(mask, Path):
            self._put(mask, folder, name)
        else:
            write_mask(self.fresh / folder / f"{name}.png", read_mask(mask, labels), labels)

    def _put(self, file: Path, folder: str, name: str) -> None:
        target = self.fresh / folder / f"{name}{file.suffix}"
        if self.copy:
            shutil.copyfile(file, target)
            return
        inside = self.final / folder
        try:
            relative = Path(os.path.relpath(file.resolve(), inside))
        except ValueError:  # another drive of Windows
            relative = file.resolve()
        self.link(relative, target, file)

    def link(self, leads_to: Path, target: Path, file: Path | None = None) -> None:
        """A link, or a copy where there are none."""
        try:
            target.symlink_to(leads_to, target_is_directory=file is None)
        except (OSError, NotImplementedError):
            if file is None:
                shutil.copytree(target.parent / leads_to, target, symlinks=False)
            else:
                shutil.copyfile(file, target)
