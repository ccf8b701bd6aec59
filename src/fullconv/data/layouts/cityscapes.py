"""Cityscapes: `leftImg8bit/SPLIT/CITY/` and, under the same folders, the masks of `gtFine/` or `gtCoarse/`.

`*_labelTrainIds.png` (ids 0..18) are read where they have been made, `*_labelIds.png` (ids 0..33) where not; both as the
19 scored classes, and all else is void. A split that gtFine lacks, `train_extra`, is read from gtCoarse. The split
`test` is left out: its published masks are void all over.

Source: Cordts et al. 2016; cityscapesScripts, README.md, "Dataset Structure", and helpers/labels.py
(https://github.com/mcordts/cityscapesScripts).
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import first_folder, no_such_layout, paired
from fullconv.data.mapped import MappedMask
from fullconv.data.samples import Sample
from fullconv.data.sources import MaskFile
from fullconv.errors import DataError
from fullconv.labels import CITYSCAPES, IGNORE_INDEX, LabelSet

NAME = "cityscapes"
LOOKS = "leftImg8bit/SPLIT/CITY/ and gtFine/SPLIT/CITY/ or gtCoarse/SPLIT/CITY/"

PICTURES, TRUTHS = "leftImg8bit", ("gtFine", "gtCoarse")

_STORED = LabelSet.from_names(
    [
        "unlabeled", "ego vehicle", "rectification border", "out of roi", "static", "dynamic", "ground", "road", "sidewalk",
        "parking", "rail track", "building", "wall", "fence", "guard rail", "bridge", "tunnel", "pole", "polegroup",
        "traffic light", "traffic sign", "vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "caravan",
        "trailer", "train", "motorcycle", "bicycle",
    ]
)  # fmt: skip
"""What the ids 0..33 stand for."""

_IDS = bytes(
    CITYSCAPES.names.index(name) if name in CITYSCAPES.names else IGNORE_INDEX for name in _STORED.names
)


def detect(folder: Path) -> bool:
    return _root(folder) is not None


def read(folder: Path) -> Dataset:
    root = _root(folder)
    if root is None:
        raise no_such_layout(folder, "Cityscapes", LOOKS)
    splits, kinds = {}, set()
    for tree in sorted(path for path in (root / PICTURES).iterdir() if path.is_dir() and path.name != "test"):
        truth = next((name for name in TRUTHS if (root / name / tree.name).is_dir()), None)
        found = _samples(tree, root / truth / tree.name, truth) if truth else ()
        if found:
            splits[tree.name] = found
            kinds.add(truth)
    if not splits:
        raise DataError(
            f"{root}: no picture in {PICTURES}/ has a mask; expected for {PICTURES}/train/CITY/NAME_{PICTURES}.png "
            f"{TRUTHS[0]}/train/CITY/NAME_{TRUTHS[0]}_labelIds.png; unpack both archives into one folder"
        )
    layout = f"Cityscapes with {' and '.join(sorted(kinds, reverse=True))}, as its 19 scored classes"
    return Dataset(folder.resolve().name, root, layout, CITYSCAPES, splits)


def _root(folder: Path) -> Path | None:
    return next((root for truth in TRUTHS if (root := first_folder(folder, NAME, PICTURES, truth))), None)


def _samples(tree: Path, truths: Path, truth: str) -> tuple[Sample, ...]:
    files = files_by_key(truths)
    pictures = {
        key.split("/")[-1].removesuffix(f"_{PICTURES}"): path for key, path in files_by_key(tree).items()
    }
    masks: dict[str, MaskFile] = {}
    for name, picture in pictures.items():
        start = f"{picture.parent.name}/{name}_{truth}"
        if mask := files.get(f"{start}_labelTrainIds"):
            masks[name] = mask
        elif mask := files.get(f"{start}_labelIds"):
            masks[name] = MappedMask(mask, _STORED, _IDS)
    return paired(tree.name, pictures, masks, f"{truths}/CITY/{{}}_{truth}_labelIds.png")
