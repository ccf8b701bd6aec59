"""Unpacking tar and zip archives from strangers.

Only folders and plain files are made, all of them inside the folder that is given; links, devices and names that lead
elsewhere are refused, and so is an archive that unpacks to far more than its own length.
"""

import bz2
import gzip
import lzma
import shutil
import stat
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from fullconv.download.transfer import unwritable, write_all
from fullconv.errors import DataError, StorageError

MOST_FILES = 1_000_000
MOST_TIMES = 20
"""An archive may unpack to so many times its own length: pictures hardly shrink, annotations in text to a tenth."""

ALWAYS = 1 << 28
"""And to so many bytes whatever its length."""

CHUNK = 1 << 20
LONGEST_HEADER = 1 << 22
"""Bytes that are read at once at most: what a header claims must not fill the memory."""

JUNK = ("__MACOSX", ".DS_Store", "Thumbs.db")
"""What operating systems add to archives."""

Places = tuple[tuple[str, str], ...]
Count = Callable[[int], None]


def unpack(
    archive: Path, folder: Path, places: Places = (("", ""),), count: Count | None = None
) -> list[Path]:
    """Unpacks an archive into a folder; what it is, its first bytes say.

    Args:
        archive: a zip, or a tar that may be packed with gzip, bzip2 or xz.
        folder: made where it is missing; files that are there already are overwritten.
        places: pairs (inside, into): what lies in the archive's folder `inside` comes into the folder `into` of
            `folder`. "" is the archive's, and the folder's, own level; what is in none of them is left out.
        count: called with the length of each piece that has been written.

    Returns:
        The files that were written.

    Raises:
        DataError: it is no such archive, damaged, encrypted, holds what is refused, or unpacks to too much.
        StorageError: the disk is full or may not be written.
    """
    if not archive.is_file():
        raise DataError(f"{archive}: no such file; expected a tar or zip archive; check the path")
    written = []
    with _reading(archive):
        most = max(ALWAYS, MOST_TIMES * archive.stat().st_size)
        budget = _Budget(archive, most, count)
        with archive.open("rb") as file:
            is_zip = file.read(2) == b"PK"
        for name, open_member in _members_of_zip(archive) if is_zip else _members_of_tar(archive, most):
            parts = _safe_parts(name, archive)
            if set(parts) & set(JUNK):
                continue
            target = _target(parts, folder, places)
            if target is None:
                continue
            with open_member() as source:
                budget.write(source, target)
            written.append(target)
    return written


def _target(parts: tuple[str, ...], folder: Path, places: Places) -> Path | None:
    for inside, into in places:
        above = PurePosixPath(inside).parts
        if parts[: len(above)] == above and len(parts) > len(above):
            return folder.joinpath(into, *parts[len(above) :])
    return None


def _safe_parts(name: str, archive: Path) -> tuple[str, ...]:
    """The folders and the name of a member, once it is sure that they lead nowhere else.

    >>> _safe_parts("./a/b.png", Path("x.tar"))
    ('a', 'b.png')
    """
    path = PurePosixPath(name)
    strange = any(letter in name for letter in "\\:\0") or any(len(part) > 200 for part in path.parts)
    if strange or path.is_absolute() or ".." in path.parts or not path.parts or len(name) > 1000:
        raise DataError(
            f"{archive}: holds the name {name[:100]!r}, which may lead out of the folder; refused; get the archive from "
            "another address"
        )
    return path.parts


def _refused(archive: Path, name: str, what: str) -> DataError:
    return DataError(
        f"{archive}: {name[:100]!r} is {what}; expected folders and plain files; refused; get the archive from another "
        "address"
    )


@contextmanager
def _reading(archive: Path) -> Iterator[None]:
    """Turns whatever the modules for archives raise about a damaged one into one error."""
    try:
        yield
    except (DataError, StorageError):
        raise
    except Exception as error:  # damaged archives make these modules raise nearly any type
        reason = " ".join(str(error).split())[:100] or type(error).__name__
        raise DataError(f"{archive}: is damaged or cut short ({reason}); download it again") from None


Member = tuple[str, Callable[[], IO[bytes]]]


def _members_of_zip(archive: Path) -> Iterator[Member]:
    with zipfile.ZipFile(archive) as file:
        members = file.infolist()
        if len(members) > MOST_FILES:
            raise DataError(f"{archive}: holds {len(members):,} files; at most {MOST_FILES:,} are unpacked")
        for member in members:
            kind = stat.S_IFMT(member.external_attr >> 16)
            if member.is_dir():
                continue
            if kind not in (0, stat.S_IFREG):
                raise _refused(archive, member.filename, "a link or a device")
            if member.flag_bits & 1:
                raise _refused(archive, member.filename, "encrypted")
            yield member.orig_filename, lambda member=member: file.open(member)


def _members_of_tar(archive: Path, most: int) -> Iterator[Member]:
    with _unpacked(archive) as stream, tarfile.open(fileobj=_Bounded(stream), mode="r:") as file:  # type: ignore[arg-type]
        last, number = -1, 0
        while (member := file.next()) is not None:
            file.members.clear()  # tarfile would keep them all
            number += 1
            if member.offset_data <= last or member.size < 0:
                raise _refused(archive, member.name, "before the one that it follows")
            last = member.offset_data
            if last > most:
                raise _too_much(archive)
            if number > MOST_FILES:
                raise DataError(f"{archive}: holds more than {MOST_FILES:,} files; no more are unpacked")
            if member.isdir():
                continue
            if not member.isreg():
                raise _refused(archive, member.name, "a link or a device")
            yield member.name, lambda member=member: _content(file, member)


def _content(file: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = file.extractfile(member)
    assert content is not None, "it is a regular file"
    return content


@contextmanager
def _unpacked(archive: Path) -> Iterator[Any]:
    """The bytes of a tar, whatever it is packed with."""
    with archive.open("rb") as raw:
        start = raw.read(6)
        raw.seek(0)
        if start.startswith(b"\x1f\x8b"):
            with gzip.GzipFile(fileobj=raw) as stream:
                yield stream
        elif start.startswith(b"BZh"):
            with bz2.BZ2File(raw) as stream:
                yield stream
        elif start.startswith(b"\xfd7zXZ\0"):
            with lzma.LZMAFile(raw) as stream:
                yield stream
        else:
            yield raw


class _Bounded:
    """A stream for tarfile, which reads headers of whatever length they claim in one piece."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self.stream.read(size)

    def seek(self, place: int, whence: int = 0) -> int:
        return self.stream.seek(place, whence)

    def tell(self) -> int:
        return self.stream.tell()


@dataclass
class _Budget:
    """Writes files until an archive has unpacked to as much as it may."""

    archive: Path
    left: int
    count: Count | None = None
    folders: set[Path] = field(default_factory=set)

    def write(self, source: IO[bytes], target: Path) -> None:
        with self._opened(target) as file:
            while chunk := source.read(CHUNK):
                self.left -= len(chunk)
                if self.left < 0:
                    raise _too_much(self.archive)
                write_all(file, chunk, target)
                if self.count:
                    self.count(len(chunk))

    def _opened(self, target: Path) -> IO[bytes]:
        try:
            if target.parent not in self.folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                self.folders.add(target.parent)
            return open(target, "wb", buffering=0)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise DataError(
                f"{self.archive}: holds {target.name!r} both as a folder and as a file; download it again"
            ) from None
        except OSError as error:
            raise unwritable(target, error) from None


def _too_much(archive: Path) -> DataError:
    return DataError(
        f"{archive}: unpacks to far more than its {archive.stat().st_size:,} bytes; such an archive is made to fill disks; "
        "get it from another address"
    )


def free_bytes(folder: Path) -> int:
    """How much room the disk has on which `folder` is, or will be."""
    there: Any = folder.absolute()
    while not there.exists():
        there = there.parent
    return shutil.disk_usage(there).free
