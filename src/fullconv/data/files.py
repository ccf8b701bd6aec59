"""The files of a data set's folders, by name."""

from pathlib import Path

from fullconv.data.pictures import SUFFIXES
from fullconv.errors import DataError, Report, fail


def files_by_key(folder: Path, report: Report = fail) -> dict[str, Path]:
    """The pictures in a folder and in the folders in it, by relative path without suffix, sorted.

    Args:
        folder: where.
        report: told of files that differ in nothing but their suffix; the first of them is taken.

    Raises:
        DataError: as `report` does.
    """
    files: dict[str, Path] = {}
    for path in sorted([*folder.glob("*"), *folder.glob("*/*")]):
        if path.suffix.lower() not in SUFFIXES or path.name.startswith("."):
            continue
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in files:
            report(
                DataError(
                    f"{path}: has the same name as {files[key].name}; expected one file for each; remove one",
                    "name-doubled",
                    [str(path), str(files[key])],
                )
            )
        files.setdefault(key, path)
    return files
