"""What layouts have in common: pictures paired with masks, and one message where they are not."""

from collections.abc import Mapping
from pathlib import Path

from fullconv.data.classes import read_lines
from fullconv.data.pictures import SUFFIXES
from fullconv.data.samples import Sample
from fullconv.data.sources import MaskFile
from fullconv.errors import DataError, Report, fail


def paired(
    split: str, pictures: Mapping[str, Path], masks: Mapping[str, MaskFile], expected: str
) -> tuple[Sample, ...]:
    """The samples of one split, or none where it has no mask at all.

    Args:
        split: its name.
        pictures: name -> picture, in order.
        masks: name -> mask.
        expected: where a mask is looked for, with {} for the name.

    Raises:
        DataError: some masks are missing.
    """
    missing = [name for name in pictures if name not in masks]
    if len(missing) == len(pictures):
        return ()
    if missing:
        name = missing[0]
        raise DataError(
            missing_masks(pictures[name], expected.format(name), split, missing, len(pictures)),
        )
    return tuple(Sample(name, picture, masks[name]) for name, picture in pictures.items())


def missing_masks(picture: Path, expected: str, split: str, missing: list[str], total: int) -> str:
    """The message for a split some of whose masks are missing, `picture`'s first."""
    also = f", also of {', '.join(missing[1:4])}" if len(missing) > 1 else ""
    return (
        f"{picture}: its mask is missing; expected {expected}; split {split!r} lacks {len(missing)} of {total} masks{also}; "
        "add them or take these pictures out of the split"
    )


def first_folder(folder: Path, inside: str, *needed: str) -> Path | None:
    """`folder`, or the folder `inside` it, whichever has all of the `needed` folders and files."""
    for root in (folder, folder / inside):
        if all((root / name).exists() for name in needed):
            return root
    return None


def no_such_layout(folder: Path, name: str, looks: str) -> DataError:
    """The error for a folder that is said to be of a layout, and is not."""
    return DataError(f"{folder}: is not {name}; expected {looks}; name the folder that holds it")


def listed_names(path: Path, report: Report = fail) -> list[str]:
    """The names in a list, each once; a picture's suffix after a name is dropped.

    Raises:
        DataError: as `report` does, which is told where the list cannot be read or is empty.
    """
    try:
        lines = read_lines(path)
    except DataError as error:
        report(DataError(str(error), "list-unreadable", [str(path)]))
        return []
    names = [line[: -len(end)] if (end := Path(line).suffix).lower() in SUFFIXES else line for line in lines]
    if not names:
        told = f"{path}: holds no names; expected one picture's name a line; fill it or remove it"
        report(DataError(told, "list-unreadable", [str(path)]))
    return list(dict.fromkeys(names))


def listed(path: Path, pictures: Mapping[str, Path]) -> dict[str, Path]:
    """The pictures that a list names, in its order, each once.

    Raises:
        DataError: the list cannot be read, is empty, or names what is not there.
    """
    names = listed_names(path)
    absent = [name for name in names if name not in pictures]
    if absent:
        raise DataError(
            f"{path}: {len(absent)} of its {len(names)} names have no picture, {absent[0]!r} for one; "
            "add them or drop the names"
        )
    return {name: pictures[name] for name in names}
