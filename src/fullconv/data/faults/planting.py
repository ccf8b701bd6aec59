"""Scenes with planted faults, for trying the data doctor, and for measuring it."""

import shutil
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fullconv.data.faults import of_files, of_masks, of_splits
from fullconv.data.faults.ground import Ground
from fullconv.data.scene_painting import SIZE_HW
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, DataError, StorageError, UnknownNameError

Plant = Callable[[Ground, list[str]], None]

NEEDED = 3
"""So many training samples a fault may have for itself."""


@dataclass(frozen=True)
class Fault:
    """A fault that can be planted.

    Attributes:
        plant: does it, to some of the samples that it is given.
        alone: it changes the whole set, so that no other stands beside it.
    """

    plant: Plant
    alone: bool = False


FAULTS: dict[str, Fault] = {
    "layout": Fault(of_files.layout, alone=True),
    "description": Fault(of_files.description, alone=True),
    "no-classes": Fault(of_masks.no_classes, alone=True),
    "list-unreadable": Fault(of_files.list_unreadable, alone=True),
    "listed-missing": Fault(of_files.listed_missing),
    "mask-missing": Fault(of_files.mask_missing),
    "name-doubled": Fault(of_files.name_doubled),
    "companion-missing": Fault(of_files.companion_missing, alone=True),
    "empty-file": Fault(of_files.empty_file),
    "unreadable": Fault(of_files.unreadable),
    "too-large": Fault(of_files.too_large),
    "mask-turned": Fault(of_files.mask_turned),
    "mask-size": Fault(of_files.mask_size),
    "extra-size": Fault(of_files.extra_size, alone=True),
    "mask-jpeg": Fault(of_masks.mask_jpeg),
    "mask-binary": Fault(of_masks.mask_binary, alone=True),
    "mask-from-one": Fault(of_masks.mask_from_one, alone=True),
    "mask-zero-label": Fault(of_masks.mask_zero_label, alone=True),
    "mask-interpolated": Fault(of_masks.mask_interpolated),
    "mask-ids": Fault(of_masks.mask_ids),
    "mask-blended": Fault(of_masks.mask_blended),
    "mask-colours": Fault(of_masks.mask_colours),
    "mask-palette": Fault(of_masks.mask_palette),
    "one-class": Fault(of_masks.one_class, alone=True),
    "palettes-differ": Fault(of_masks.palettes_differ, alone=True),
    "mask-shades": Fault(of_masks.mask_shades, alone=True),
    "picture-missing": Fault(of_files.picture_missing),
    "in-two-splits": Fault(of_splits.in_two_splits),
    "same-across": Fault(of_splits.same_across),
    "near-same-across": Fault(of_splits.near_same_across),
    "contradictory": Fault(of_splits.contradictory),
    "class-unlearnt": Fault(of_splits.class_unlearnt, alone=True),
    "mask-void": Fault(of_masks.mask_void),
    "much-void": Fault(of_masks.much_void, alone=True),
    "some-binary": Fault(of_masks.some_binary, alone=True),
    "misplaced": Fault(of_masks.misplaced, alone=True),
    "mask-copied": Fault(of_masks.mask_copied),
    "picture-blank": Fault(of_files.picture_blank),
    "split-missing": Fault(of_splits.split_missing, alone=True),
    "class-absent": Fault(of_splits.class_absent, alone=True),
    "class-unmeasured": Fault(of_splits.class_unmeasured, alone=True),
    "class-rare": Fault(of_splits.class_rare, alone=True),
    "mask-constant": Fault(of_masks.mask_constant),
    "fits-poorly": Fault(of_masks.fits_poorly),
    "one-sequence": Fault(of_splits.one_sequence, alone=True),
    "sequence-shared": Fault(of_splits.sequence_shared, alone=True),
    "same-within": Fault(of_splits.same_within),
    "mask-shared": Fault(of_masks.mask_shared),
    "listed-twice": Fault(of_files.listed_twice),
    "wrong-suffix": Fault(of_files.wrong_suffix),
    "not-taken": Fault(of_files.not_taken),
    "picture-turned": Fault(of_files.picture_turned),
    "picture-16-bit": Fault(of_files.picture_16_bit),
    "picture-alpha": Fault(of_files.picture_alpha),
    "picture-cmyk": Fault(of_files.picture_cmyk),
    "picture-animated": Fault(of_files.picture_animated),
    "picture-grey": Fault(of_files.picture_grey),
    "size-odd": Fault(of_files.size_odd),
}
"""Each fault by the code of the finding that it makes, in the order of `KINDS`."""


def chosen_faults(names: Sequence[str]) -> list[str]:
    """The faults' names, each once; "all" stands for all that can be planted beside each other.

    Raises:
        UnknownNameError: there is no such fault.
        ConfigError: a fault of the whole set is to be planted beside others.
    """
    for name in names:
        if name not in FAULTS and name != "all":
            raise UnknownNameError("fault", name, FAULTS)
    chosen = {code for code, fault in FAULTS.items() if code in names or ("all" in names and not fault.alone)}
    alone = [code for code in FAULTS if code in chosen and FAULTS[code].alone]
    if alone and len(chosen) > 1:
        raise ConfigError(
            f"--fault {alone[0]} changes the whole set; expected it alone, got {len(chosen)} faults; plant it into a set of "
            "its own"
        )
    return [code for code in FAULTS if code in chosen]


def write_faulty_scenes(
    folder: Path | str,
    faults: Sequence[str],
    num_train: int = 240,
    num_val: int = 60,
    seed: int = 0,
    size_hw: tuple[int, int] = SIZE_HW,
) -> Path:
    """Writes the sample data set with faults planted in it, the same ones for the same seed.

    Each fault has training samples of its own; the folder appears whole or not at all.

    Args:
        folder: must not exist, or be empty.
        faults: names in `FAULTS`, or "all".
        num_train, num_val, seed, size_hw: as for `write_scenes`.

    Raises:
        UnknownNameError, ConfigError: see `chosen_faults`; also where the set is too small for so many faults.
        DataError: the folder holds something.
        StorageError: the disk is full or may not be written.
    """
    codes, folder = chosen_faults(faults), Path(folder).absolute()
    if num_train < NEEDED * len(codes) or num_val < NEEDED:
        raise ConfigError(
            f"got {num_train} training and {num_val} validation scenes for {len(codes)} faults; expected at least "
            f"{NEEDED * len(codes)} and {NEEDED}"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists and is not empty; expected a new folder; choose another or remove it"
        )
    partial = folder.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        write_scenes(partial, num_train, num_val, seed, size_hw)
        plant(partial, codes)
        if folder.exists():
            folder.rmdir()
        partial.rename(folder)
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; choose a folder that may be written"
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return folder


def plant(folder: Path, codes: Sequence[str]) -> None:
    """Plants faults into the sample scenes in a folder.

    Args:
        folder: what `write_scenes` wrote.
        codes: of `FAULTS`; each gets samples of its own.
    """
    lists = folder / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    train, val = (tuple((lists / f"{split}.txt").read_text().split()) for split in ("train", "val"))
    for number, code in enumerate(codes):
        own = list(train[NEEDED * number : NEEDED * (number + 1)])
        FAULTS[code].plant(Ground(folder, train, val), own)
