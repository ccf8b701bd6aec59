"""SIFT Flow's scenes: `Images/`, `SemanticLabels/` and `GeoLabels/`, each with one folder of 2,688 files, and TestSet1.txt.

The masks are `S` in MAT-files: in SemanticLabels 0 is void and 1..33 are the classes that `names` lists; in GeoLabels, a
second head, 1..3 are sky, horizontal and vertical, and 0 and -1 are void. TestSet1.txt is the split `val`; all other
pictures are `train`. Two pictures that nobody labelled are void all over and are left out.

Source: Liu, Yuen & Torralba 2009; Tighe & Lazebnik 2010; the FCN authors' notes
(https://github.com/shelhamer/fcn.berkeleyvision.org, data/sift-flow).
"""

from dataclasses import replace
from pathlib import Path, PureWindowsPath

from fullconv.data.classes import named_labels, read_lines
from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import first_folder, no_such_layout, paired
from fullconv.data.mapped import MatMask
from fullconv.data.matfile import read_mat_names
from fullconv.errors import DataError
from fullconv.labels import Head, LabelSet

NAME = "siftflow"
LOOKS = "Images/, SemanticLabels/ and TestSet1.txt"

SCENES = "spatial_envelope_256x256_static_8outdoorcategories"
TEST_LIST = "TestSet1.txt"
GEOMETRIC = Head("geometric", LabelSet.from_names(["sky", "horizontal", "vertical"]))
UNLABELLED = ("highway_bost181", "street_urb506")


def detect(folder: Path) -> bool:
    return _root(folder) is not None


def read(folder: Path) -> Dataset:
    root = _root(folder)
    if root is None:
        raise no_such_layout(folder, "SIFT Flow", LOOKS)
    pictures = {
        key: path for key, path in files_by_key(_scenes(root / "Images")).items() if key not in UNLABELLED
    }
    files = sorted(_scenes(root / "SemanticLabels").glob("*.mat"))
    if not files:
        raise DataError(f"{root}/SemanticLabels: holds no masks; expected {SCENES}/NAME.mat")
    masks = {path.stem: MatMask(path, "S", 1, (0,)) for path in files}
    tests = _test_names(root)
    splits = {}
    for split, names in (
        ("train", [name for name in pictures if name not in tests]),
        ("val", [name for name in pictures if name in tests]),
    ):
        found = paired(split, {name: pictures[name] for name in names}, masks, f"{files[0].parent}/{{}}.mat")
        if found:
            splits[split] = found
    if not splits:
        raise DataError(
            f"{root}: no picture in Images/ has a mask in SemanticLabels/; unpack the archive again"
        )
    heads = ()
    if (root / "GeoLabels").is_dir():
        heads = (GEOMETRIC,)
        splits = {split: _with_geometry(root, samples) for split, samples in splits.items()}
    labels = named_labels(read_mat_names(files[0], "names"), files[0])
    layout = f"SIFT Flow with {labels.num_classes} classes{' and geometric ones' if heads else ''}; 0 is void"
    return Dataset(folder.resolve().name, root, layout, labels, splits, heads)


def _root(folder: Path) -> Path | None:
    return first_folder(folder, "SiftFlowDataset", "Images", "SemanticLabels")


def _scenes(folder: Path) -> Path:
    """The files lie in one folder more, except where somebody took it away."""
    return folder / SCENES if (folder / SCENES).is_dir() else folder


def _test_names(root: Path) -> set[str]:
    """TestSet1.txt has lines such as `spatial_...\\coast_n291061.jpg`, as Windows writes paths."""
    path = root / TEST_LIST
    return {PureWindowsPath(line).stem for line in read_lines(path)} if path.is_file() else set()


def _with_geometry(root: Path, samples: tuple) -> tuple:
    masks = {path.stem: MatMask(path, "S", 1, (0, -1)) for path in _scenes(root / "GeoLabels").glob("*.mat")}
    missing = [sample for sample in samples if sample.name not in masks]
    if missing:
        raise DataError(
            f"{missing[0].picture}: its geometric mask is missing; expected {root}/GeoLabels/{SCENES}/{missing[0].name}.mat; "
            f"{len(missing)} of {len(samples)} are; add them, or remove GeoLabels/"
        )
    return tuple(replace(sample, head_masks=(masks[sample.name],)) for sample in samples)
