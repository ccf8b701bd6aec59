"""SBD, the Semantic Boundaries Dataset: `img/NAME.jpg`, `cls/NAME.mat`, and the lists `train.txt` and `val.txt`.

The masks are `GTcls.Segmentation` in MAT-files: VOC's 21 classes without a border of void. Its pictures are VOC 2011's,
in other splits: SBD's val holds pictures of VOC's train and the other way round.

Source: Hariharan et al. 2011; the archive's README
(http://home.bharathh.info/pubs/codes/SBD/download.html).
"""

from pathlib import Path

from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import first_folder, listed, no_such_layout, paired
from fullconv.data.mapped import MatMask
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, VOC

NAME = "sbd"
LOOKS = "img/, cls/NAME.mat, train.txt and val.txt, as in benchmark_RELEASE/dataset"


def detect(folder: Path) -> bool:
    root = _root(folder)
    return root is not None and any((root / "cls").glob("*.mat"))


def read(folder: Path) -> Dataset:
    root = _root(folder)
    if root is None:
        raise no_such_layout(folder, "SBD", LOOKS)
    pictures = files_by_key(root / "img")
    masks = {
        path.stem: MatMask(path, "GTcls.Segmentation", 0, (IGNORE_INDEX,))
        for path in (root / "cls").glob("*.mat")
    }
    lists = [path for path in sorted(root.glob("*.txt")) if path.stem.startswith(("train", "val"))]
    splits = {}
    for path in lists:
        found = paired(path.stem, listed(path, pictures), masks, f"{root}/cls/{{}}.mat")
        if found:
            splits[path.stem] = found
    if not splits:
        raise DataError(f"{root}: no list names a picture with a mask; expected train.txt and val.txt")
    layout = f"SBD with lists {', '.join(path.name for path in lists)}"
    return Dataset(folder.resolve().name, root, layout, VOC, splits)


def _root(folder: Path) -> Path | None:
    inside = ("benchmark_RELEASE/dataset", "dataset")
    return next((root for name in inside if (root := first_folder(folder, name, "img", "cls"))), None)
