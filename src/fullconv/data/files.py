"""The files of a data set's folders, by name."""

from pathlib import Path

from fullconv.data.pictures import SUFFIXES
from fullconv.errors import DataError


def files_by_key(folder: Path) -> dict[str, Path]:
    """The pictures in a folder and in the folders in it, by relative path without suffix, sorted.

    Raises:
        DataError: two files differ in nothing but their suffix.
    """
    files: dict[str, Path] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in files:
            raise DataError(
                f"{path}: has the same name as {files[key].name}; expected one file for each; remove one"
            )
        files[key] = path
    return files
