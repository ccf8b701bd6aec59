"""Writing a file whole or not at all."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fullconv.errors import StorageError


def write_atomically(path: Path, data: bytes) -> None:
    """Writes a file so that, whatever happens, the name holds either the old content or all of the new.

    The bytes go to a temporary name in the same folder, reach the disk, and take the name last. Folders that
    are missing are made.

    Raises:
        StorageError: the disk is full, or the file may not be written.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_atomically(Path(folder) / "new" / "a.bin", b"abc")
    ...     (Path(folder) / "new" / "a.bin").read_bytes()
    b'abc'
    """
    path = Path(path)
    partial = path.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with partial.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(partial, path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageError(f"disk full: cannot write {path}; free space and try again") from error
        raise StorageError(
            f"cannot write {path}: {error.strerror}; choose a folder that may be written"
        ) from error


def clean(folder: Path) -> None:
    """Removes what writers that were killed left in a folder and below: nobody else may be writing there."""
    for left in (*folder.rglob(".*.partial"), *folder.rglob(".*.new")):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


def write_text_atomically(path: Path, text: str) -> None:
    """`write_atomically` for text, as UTF-8."""
    write_atomically(path, text.encode("utf-8"))


@contextmanager
def replaced_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder beside `folder` to be filled; it takes the other's place when all of it has reached the disk.

    In between, for a moment, there is only the old one, under the name `.NAME.old`.

    Raises:
        StorageError: the disk is full or may not be written; what was there before is still there.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     with replaced_folder(Path(parent) / "a") as fresh:
    ...         _ = (fresh / "b.txt").write_text("b")
    ...     [str(path.relative_to(parent)) for path in Path(parent).rglob("*")]
    ['a', 'a/b.txt']
    """
    fresh, old = fresh_name(folder), old_name(folder)
    try:
        # What a killed writer left is the only one: it stays until another has its place.
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        yield fresh
        _sync_tree(fresh)
        shutil.rmtree(old, ignore_errors=True)
        if folder.exists():
            folder.rename(old)
        fresh.rename(folder)
        _sync_folder(folder.parent)
        shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror or error}; free space or choose another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


@contextmanager
def placed_files(folder: Path, last: str) -> Iterator[Path]:
    """Gives an empty folder to be filled; its files move into `folder` when all of them have reached the disk, `last` last.

    A folder that is missing is made. Whoever finds the file called `last` finds the others too.

    Raises:
        StorageError: the disk is full or may not be written; nothing has been left in `folder`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     with placed_files(Path(parent) / "a", last="b.txt") as fresh:
    ...         _ = (fresh / "b.txt").write_text("b"), (fresh / "c.txt").write_text("c")
    ...     [str(path.relative_to(parent)) for path in sorted(Path(parent).rglob("*"))]
    ['a', 'a/b.txt', 'a/c.txt']
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    fresh = folder / f".{uuid.uuid4().hex[:12]}.new"
    placed = False
    try:
        fresh.mkdir(parents=True)
        yield fresh
        files = sorted(fresh.iterdir(), key=lambda file: file.name == last)
        for file in files:
            with file.open("rb+") as written:
                os.fsync(written.fileno())
        for file in files:
            os.replace(file, folder / file.name)
        _sync_folder(folder)
        placed = True
    except OSError as error:
        raise StorageError(
            f"cannot write into {folder}: {error.strerror or error}; free space or choose another folder"
        ) from None
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        for each in () if placed else made:
            with suppress(OSError):
                each.rmdir()


def fresh_name(folder: Path) -> Path:
    """Where `replaced_folder` has a folder filled."""
    return folder.with_name(f".{folder.name}.new")


def old_name(folder: Path) -> Path:
    """Where `replaced_folder` leaves the folder that was there before, should it be killed before the new one has its place."""
    return folder.with_name(f".{folder.name}.old")


def newest(folder: Path) -> Path:
    """Where a folder that is replaced as a whole is: for a moment only under its old name."""
    return folder if folder.exists() or not old_name(folder).exists() else old_name(folder)


FEW = 100
"""So many files are synced one by one."""


def _sync_tree(folder: Path) -> None:
    """Brings to the disk what is in a folder and in the folders in it; links are left to those who own the files."""
    found = [path for path in folder.rglob("*") if not path.is_symlink()]
    if len(found) > FEW and hasattr(os, "sync"):
        os.sync()  # of everything at once is faster than one by one
        return
    for path in found:
        _sync_folder(path) if path.is_dir() else _sync_file(path)
    _sync_folder(folder)


def _sync_file(file: Path) -> None:
    # read-only, but on Windows: the file may be a link to one that may not be written
    descriptor = os.open(file, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    """Makes a rename outlive a power cut: the name is part of the folder, which has to reach the disk too."""
    if os.name == "nt":  # Windows opens no folders
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
