"""CamVid as Cambridge publishes it: colour-coded masks of 32 classes; what the layouts camvid32 and camvid11 share.

Pictures and masks lie in `701_StillsRaw_full/X.png` and `LabeledApproved_full/X_L.png`, or, as on Kaggle, in `train/X.png`
and `train_labels/X_L.png`, and so on for val and test. The colours are those of `label_colors.txt` or `class_dict.csv`,
or the same built in. Void, black, is void and no class, which leaves 31. Without folders for the splits they are
SegNet's, which follow from a picture's name: of the sequence 0016E5 the second at 15 Hz is val; the other half of 0001TP,
and Seq05VD, are test.

Source: Brostow, Fauqueur & Cipolla 2009 (http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/); the 11 groups of
MathWorks' example "Semantic Segmentation Using Deep Learning", function camvidPixelLabelIDs.
"""

import re
from pathlib import Path

from fullconv.data.classes import existing
from fullconv.data.color_lists import COLOR_LISTS, VOID, read_colors
from fullconv.data.contents import Dataset
from fullconv.data.files import files_by_key
from fullconv.data.layouts.pairing import first_folder, no_such_layout, paired
from fullconv.data.mapped import MappedMask
from fullconv.errors import DataError
from fullconv.labels import CAMVID, IGNORE_INDEX, Color, LabelSet

LOOKS = "701_StillsRaw_full/ and LabeledApproved_full/, or train/ and train_labels/ with class_dict.csv"

PICTURES, MASKS = "701_StillsRaw_full", "LabeledApproved_full"
SEQUENCES = ("0001TP_", "0006R0_", "0016E5_", "Seq05VD_")

_COLORS: dict[str, Color] = {
    "Animal": (64, 128, 64), "Archway": (192, 0, 128), "Bicyclist": (0, 128, 192), "Bridge": (0, 128, 64),
    "Building": (128, 0, 0), "Car": (64, 0, 128), "CartLuggagePram": (64, 0, 192), "Child": (192, 128, 64),
    "Column_Pole": (192, 192, 128), "Fence": (64, 64, 128), "LaneMkgsDriv": (128, 0, 192),
    "LaneMkgsNonDriv": (192, 0, 64), "Misc_Text": (128, 128, 64), "MotorcycleScooter": (192, 0, 192),
    "OtherMoving": (128, 64, 64), "ParkingBlock": (64, 192, 128), "Pedestrian": (64, 64, 0), "Road": (128, 64, 128),
    "RoadShoulder": (128, 128, 192), "Sidewalk": (0, 0, 192), "SignSymbol": (192, 128, 128), "Sky": (128, 128, 128),
    "SUVPickupTruck": (64, 128, 192), "TrafficCone": (0, 0, 64), "TrafficLight": (0, 64, 64), "Train": (192, 64, 128),
    "Tree": (128, 128, 0), "Truck_Bus": (192, 128, 192), "Tunnel": (64, 0, 64), "VegetationMisc": (192, 192, 0),
    "Void": (0, 0, 0), "Wall": (64, 192, 0),
}  # fmt: skip

_GROUPS = {
    "sky": ("Sky",),
    "building": ("Building", "Bridge", "Wall", "Tunnel", "Archway"),
    "pole": ("Column_Pole", "TrafficCone"),
    "road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "tree": ("Tree", "VegetationMisc"),
    "sign_symbol": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "fence": ("Fence",),
    "car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
"""The 11 classes, and what each is made of."""

GROUP_OF = {name: CAMVID.names.index(group) for group, names in _GROUPS.items() for name in names}


def find_root(folder: Path) -> Path | None:
    return first_folder(folder, "CamVid", PICTURES, MASKS) or first_folder(
        folder, "CamVid", "train", "train_labels"
    )


def has_camvid(folder: Path) -> bool:
    """Whether CamVid is there: folders as on Kaggle have other data sets too, so one picture's name has to tell."""
    root = find_root(folder)
    if root is None or (root / PICTURES).is_dir():
        return root is not None
    return next((root / "train").glob("*"), root).name.startswith(SEQUENCES)


def read_raw(folder: Path, grouped: bool) -> Dataset:
    """Reads CamVid with its 31 classes and void, or with the 11 groups.

    Raises:
        DataError: files are missing, or a list of colours is not understood.
    """
    root = find_root(folder)
    if root is None:
        raise no_such_layout(folder, "Cambridge's CamVid", LOOKS)
    path = next(existing([root, folder], COLOR_LISTS), None)
    stored = read_colors(path) if path else LabelSet(tuple(_COLORS), tuple(_COLORS.values()))
    kept = [index for index, name in enumerate(stored.names) if name != VOID]
    if grouped:
        labels, ids = CAMVID, [GROUP_OF.get(name, IGNORE_INDEX) for name in stored.names]
    else:
        names, colors = [stored.names[index] for index in kept], [stored.colors[index] for index in kept]
        labels = LabelSet(tuple(names), tuple(colors))
        ids = [kept.index(index) if index in kept else IGNORE_INDEX for index in range(stored.num_classes)]
    unknown = [stored.names[index] for index in kept if stored.names[index] not in GROUP_OF]
    if grouped and unknown:
        raise DataError(
            f"{path}: {unknown[0]!r} belongs to none of the 11 groups; read it with its own classes, as camvid32"
        )
    splits = {}
    for split, pictures, masks in _splits(root):
        mapped = {key.removesuffix("_L"): MappedMask(mask, stored, bytes(ids)) for key, mask in masks.items()}
        found = paired(split, pictures, mapped, f"{root}/{MASKS}/{{}}_L.png")
        if found:
            splits[split] = found
    if not splits:
        raise DataError(f"{root}: no picture has a mask; expected X.png and X_L.png in {LOOKS}")
    what = "in 11 groups" if grouped else f"with {labels.num_classes} classes"
    return Dataset(folder.resolve().name, root, f"CamVid {what} from colours", labels, splits)


def _splits(root: Path) -> list[tuple[str, dict[str, Path], dict[str, Path]]]:
    if not (root / PICTURES).is_dir():
        names = [name for name in ("train", "val", "test") if (root / f"{name}_labels").is_dir()]
        return [(name, files_by_key(root / name), files_by_key(root / f"{name}_labels")) for name in names]
    pictures, masks = files_by_key(root / PICTURES), files_by_key(root / MASKS)
    by_split: dict[str, dict[str, Path]] = {"train": {}, "val": {}, "test": {}}
    for name, path in pictures.items():
        by_split[split_of(name)][name] = path
    return [(split, found, masks) for split, found in by_split.items() if found]


def split_of(name: str) -> str:
    """SegNet's split of a picture, by its sequence and frame.

    >>> split_of("0016E5_07961"), split_of("0001TP_008550"), split_of("0006R0_f00930")
    ('val', 'test', 'train')
    """
    sequence, _, rest = name.partition("_")
    digits = re.sub(r"\D", "", rest)[:9]
    frame = int(digits) if digits.isascii() and digits else 0
    if sequence == "Seq05VD" or (sequence == "0001TP" and frame > 8520):
        return "test"
    return "val" if sequence == "0016E5" and 7959 <= frame <= 8159 else "train"
