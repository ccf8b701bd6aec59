"""Data sets in another form: pictures copied byte for byte, masks written anew, and the result read back and compared."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import yaml

from fullconv.data.contents import Dataset
from fullconv.data.dataset import open_dataset
from fullconv.data.describing import describe
from fullconv.data.masks import read_mask
from fullconv.data.pictures import open_file, open_header, picture_size
from fullconv.data.samples import Sample
from fullconv.data.sources import PictureFile
from fullconv.data.writing import coco, cvat, labelme, labelstudio, supervisely, twin, voc, yolo
from fullconv.data.writing.items import Item, Style, Writer
from fullconv.errors import ConfigError, DataError, UnknownNameError
from fullconv.labels import IGNORE_INDEX, LabelSet
from fullconv.storage import replaced_folder

FORMS: dict[str, Writer] = {
    "voc": voc.write,
    "twin": twin.write,
    "coco": coco.write,
    "yolo": yolo.write,
    "labelme": labelme.write,
    "cvat": cvat.write,
    "labelstudio": labelstudio.write,
    "supervisely": supervisely.write,
}
"""By the names of `--to`, which are those of the layouts that read them back."""

WITH_POLYGONS = ("yolo", "coco", "labelme")
"""The forms that masks can be written in as polygons; yolo has nothing else."""

ENDS = {"JPEG": ".jpg", "MPO": ".jpg", "TIFF": ".tif", "PPM": ".ppm"}

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how many pictures are done, and of how many."""


@dataclass(frozen=True)
class Conversion:
    """What was written, and what of the masks was lost.

    Attributes:
        folder: the new data set.
        form: its form.
        splits: the number of pictures of each.
        confusion: (K + 1, K + 1) int64 pixels: rows as they were, columns as they are read back; void is the last.
        names: the classes' names.
        left_out: what the form has no place for.
    """

    folder: Path
    form: str
    splits: dict[str, int]
    confusion: np.ndarray = field(repr=False)
    names: tuple[str, ...]
    left_out: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """The pixels whose label is another now."""
        return int(self.confusion.sum() - np.trace(self.confusion))

    @property
    def void_lost(self) -> int:
        """The pixels that were void and have a class now."""
        return int(self.confusion[-1, :-1].sum())

    @property
    def pixels(self) -> int:
        return int(self.confusion.sum())

    @property
    def mean_iou(self) -> float:
        """Of old against new masks, over the classes that either has; pixels that were void do not count."""
        counted = self.confusion[:-1]
        right = np.diag(counted)
        either = counted.sum(1) + counted[:, :-1].sum(0) - right
        return float((right[either > 0] / either[either > 0]).mean()) if either.any() else 1.0


def convert(
    dataset: Dataset,
    folder: Path,
    form: str,
    style: Style | None = None,
    *,
    link: bool = False,
    progress: Progress | None = None,
) -> Conversion:
    """Writes a data set in another form; the folder appears whole or not at all.

    Args:
        dataset: its first head's masks are written.
        folder: must not exist, or be empty.
        form: one of `FORMS`.
        style: how masks are written, in forms with a choice.
        link: pictures become hard links to the old ones where that can be.
        progress: told after each picture, from the calling thread.

    Raises:
        UnknownNameError: there is no such form.
        ConfigError: the form has no polygons.
        DataError: the folder is not empty, or a mask is not as expected.
        StorageError: the disk is full or may not be written.
    """
    style, folder = style or Style(polygons=form == "yolo"), Path(folder).absolute()
    if form not in FORMS:
        raise UnknownNameError("format", form, FORMS)
    if (style.polygons or style.tolerance) and form not in WITH_POLYGONS:
        raise ConfigError(
            f"got polygons for {form}, which is written in pixels; expected {', '.join(WITH_POLYGONS)}"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists and is not empty; expected a new folder; choose another or remove it"
        )
    names = _names(dataset)
    tell = progress or (lambda *_: None)
    with replaced_folder(folder) as fresh:
        FORMS[form](fresh, dataset.labels, dict(_items(dataset, names, link, tell)), style)
        plain = Dataset(dataset.name, fresh, "", dataset.labels, {}, layout_name=form)
        splits = yaml.safe_dump(
            {"splits": list(dataset.splits)}, default_flow_style=None, allow_unicode=True, width=10**6
        )
        (fresh / "dataset.yaml").write_text(describe(plain) + splits, "utf-8")
        confusion = _read_back(dataset, names, fresh, form, tell)
    left_out = [f"head {head.name}" for head in dataset.heads] + ["extra channels"] * (
        dataset.extra is not None
    )
    sizes = {split: len(samples) for split, samples in dataset.splits.items()}
    return Conversion(folder, form, sizes, confusion, dataset.labels.names, tuple(left_out))


def _items(
    dataset: Dataset, names: Mapping[tuple[str, str], str], link: bool, progress: Progress
) -> Iterator[tuple[str, Iterator[Item]]]:
    """For each split its pictures with their masks, which are read one by one."""
    total, copied, done = sum(map(len, dataset.splits.values())), dict[str, Path](), 0

    def items(split: str, samples: Sequence[Sample]) -> Iterator[Item]:
        nonlocal done
        for sample in samples:
            label_map = _label_map(sample, dataset.labels)
            name = names[split, sample.name]
            yield Item(name, name + _suffix(sample.picture), sample.picture, label_map, copied, link)
            done += 1
            progress("writing", done, total)

    return ((split, items(split, samples)) for split, samples in dataset.splits.items())


def _label_map(sample: Sample, labels: LabelSet) -> np.ndarray:
    label_map = read_mask(sample.mask, labels, sample.shades)
    shown = picture_size(sample.picture)
    if label_map.shape != shown:
        raise DataError(
            f"{sample.mask}: is {label_map.shape[0]} x {label_map.shape[1]} (height x width), its picture {shown[0]} x "
            f"{shown[1]}; expected equal sizes; see 'fullconv data check'"
        )
    return label_map


def _names(dataset: Dataset) -> dict[tuple[str, str], str]:
    """The new name of each sample: no two pictures share one, and no letter in it means anything to a file system."""
    names, owners = {}, dict[str, tuple[str, str]]()
    for split, samples in dataset.splits.items():
        for sample in samples:
            owner = (str(sample.picture), str(sample.mask))
            plain = re.sub(r'[\x00-\x1f/\\:*?"<>|]', "_", sample.name).lstrip(".")[:180] or "picture"
            choices = (plain, f"{split}_{plain}", *(f"{plain}_{n}" for n in range(2, len(samples) + 3)))
            name = next(name for name in choices if owners.get(name.casefold(), owner) == owner)
            owners[name.casefold()] = owner
            names[split, sample.name] = name
    return names


def _suffix(picture: PictureFile) -> str:
    if isinstance(picture, Path):
        return picture.suffix
    with open_file(picture) as stream:
        form = str(open_header(stream, str(picture)).format)
    return ENDS.get(form, f".{form.lower()}")


def _read_back(
    dataset: Dataset, names: Mapping[tuple[str, str], str], folder: Path, form: str, progress: Progress
) -> np.ndarray:
    """How the masks that were written compare with the old ones: a confusion, as in `Conversion`."""
    written, num_classes = open_dataset(folder, form), dataset.labels.num_classes
    pairs = []
    for split, samples in dataset.splits.items():
        by_name = {sample.name: sample for sample in written.split(split)}
        pairs += [(sample, by_name[names[split, sample.name]]) for sample in samples]

    def compare(pair: tuple[Sample, Sample]) -> np.ndarray:
        old = _label_map(pair[0], dataset.labels).astype(np.int64)
        new = _label_map(pair[1], written.labels).astype(np.int64)
        old[old == IGNORE_INDEX] = new[new == IGNORE_INDEX] = num_classes
        return np.bincount((old * (num_classes + 1) + new).ravel(), minlength=(num_classes + 1) ** 2)

    confusion = np.zeros((num_classes + 1) ** 2, np.int64)
    with ThreadPoolExecutor() as pool:
        for done, counts in enumerate(pool.map(compare, pairs), start=1):
            confusion += counts
            progress("reading back", done, len(pairs))
    return confusion.reshape(num_classes + 1, num_classes + 1)
