"""A public data set, from its addresses to a folder that opens."""

import re
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from fullconv.data.dataset import Dataset, open_dataset
from fullconv.data.public_archives import Archive
from fullconv.data.public_sets import PublicSet, public_set
from fullconv.download import RemoteFile, digest, fetch, unpack
from fullconv.download.archives import free_bytes
from fullconv.download.files import what_is_wrong
from fullconv.errors import DataError, RunError, StorageError
from fullconv.storage import replaced_folder, write_text_atomically

SOURCE = "SOURCE.txt"
"""In the folder of a set: where it comes from and who may use it. It is written last, so that its presence says: complete."""

UNPACKED = 1.2
"""About how much more than the archives their content takes."""

Tell = Callable[[str, str, int, int | None], None]
"""Called with what is being done, with which file, how many bytes are done and of how many."""


@dataclass(frozen=True)
class Fetched:
    """One file that a set is made of, as it was got.

    Attributes:
        name: the file's.
        size: in bytes.
        sha256: of the whole file.
        checked: what was compared with what is published: "SHA-256", "MD5", "length" or "nothing".
    """

    name: str
    size: int
    sha256: str
    checked: str


@dataclass(frozen=True)
class Obtained:
    """A public set on disk.

    Attributes:
        dataset: as it opens.
        files: what it was made of; empty where it was there already.
        was_there: there was nothing to do.
    """

    dataset: Dataset
    files: tuple[Fetched, ...]
    was_there: bool


def obtain(name: str, folder: Path, given: Sequence[Path] = (), tell: Tell | None = None) -> Obtained:
    """Fetches, checks and unpacks a public set, unless it is there, and opens it.

    What was fetched before an interruption is kept in `.NAME.download` beside the folder until the set is unpacked.

    Args:
        name: one of `PUBLIC_SETS`.
        folder: appears when all of the set is in it.
        given: archives that were fetched by hand.
        tell: called as the work goes on.

    Raises:
        UnknownNameError: there is no such set.
        DataError: the folder holds something else; archives are missing, damaged, or not what they should be; the set does not
            open, or has another number of pictures than it should.
        RunError: an archive could not be fetched.
        StorageError: the disk is too small or may not be written.
    """
    wanted = public_set(name)
    tell = tell or (lambda what, which, done, total: None)
    if _is_there(name, folder):
        return Obtained(_opened(name, wanted, folder), (), was_there=True)
    by_hand = _by_hand(name, wanted, given)
    downloads = folder.absolute().with_name(f".{folder.absolute().name}.download")
    _check_disk(name, wanted, by_hand, downloads)
    paths, files = [], []
    for archive in wanted.archives:
        path = by_hand.get(archive.file.name) or _fetched(archive.file, downloads, tell)
        paths.append(path)
        files.append(_as_got(path, archive.file, tell))
    with replaced_folder(folder) as fresh:
        for archive, path in zip(wanted.archives, paths, strict=True):
            _place(archive, path, fresh, tell)
        if wanted.prepare:
            tell("preparing", name, 0, None)
            wanted.prepare(fresh)
        write_text_atomically(fresh / SOURCE, source_text(name, wanted, files))
    shutil.rmtree(downloads, ignore_errors=True)
    return Obtained(_opened(name, wanted, folder), tuple(files), was_there=False)


def _is_there(name: str, folder: Path) -> bool:
    source = folder / SOURCE
    if source.is_file():
        first = source.read_text("utf-8", "replace").partition("\n")[0]
        if first == first_line(name):
            return True
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(
            f"{folder}: is there, and is not {name}; expected a new or an empty folder; choose another"
        )
    return False


def _by_hand(name: str, wanted: PublicSet, given: Sequence[Path]) -> dict[str, Path]:
    """The archives that were given, by the names of those they stand for."""
    names = [archive.file.name for archive in wanted.archives]
    found = {}
    for path in given:
        if not path.is_file():
            raise DataError(f"{path}: no such file; expected an archive of {name}; check the path")
        stands_for = path.name if path.name in names else names[0]
        if stands_for != path.name and len(names) > 1:
            raise DataError(
                f"{path}: is no archive of {name} by its name; expected {', '.join(names)}; rename it"
            )
        found[stands_for] = path
    missing = [archive.file.name for archive in wanted.archives if archive.file.name not in found]
    if wanted.account and missing:
        options = " ".join(f"--archive {each}" for each in names)
        raise DataError(
            f"{name} needs an account: log in at {wanted.account}, fetch {' and '.join(missing)} by hand, and run "
            f"'fullconv data download {name} DST {options}'"
        )
    return found


def _check_disk(name: str, wanted: PublicSet, by_hand: dict[str, Path], downloads: Path) -> None:
    there = sum(path.stat().st_size for path in downloads.glob("*") if path.is_file())
    to_fetch = sum(archive.size for archive in wanted.archives if archive.file.name not in by_hand)
    to_fetch, unpacked = max(0, to_fetch - there), UNPACKED * wanted.size
    free = free_bytes(downloads)
    if to_fetch + unpacked > free:
        raise StorageError(
            f"{downloads.parent}: {name} needs about {to_fetch / 1e9:.2f} GB for its archives and {unpacked / 1e9:.2f} GB "
            f"unpacked, and {free / 1e9:.2f} GB are free; free space or choose another folder"
        )


def _fetched(remote: RemoteFile, downloads: Path, tell: Tell) -> Path:
    try:
        return fetch(remote, downloads, lambda done, total: tell("fetching", remote.name, done, total))
    except RunError:
        with suppress(OSError):
            downloads.rmdir()  # where nothing has come
        raise


def _as_got(path: Path, remote: RemoteFile, tell: Tell) -> Fetched:
    tell("checking", path.name, 0, None)
    wrong = what_is_wrong(path, remote)
    if wrong:
        raise DataError(f"{path}: {wrong}; it is damaged, cut short or another version; fetch it again")
    kind = remote.digest.partition(":")[0]
    checked = {"sha256": "SHA-256", "md5": "MD5"}.get(kind, "length" if remote.size else "nothing")
    sha256 = remote.digest[7:] if kind == "sha256" else digest(path)
    return Fetched(remote.name, path.stat().st_size, sha256, checked)


def _place(archive: Archive, path: Path, fresh: Path, tell: Tell) -> None:
    """Unpacks an archive, and those in it, into the folder that is being filled."""
    done = 0

    def count(num_bytes: int) -> None:
        nonlocal done
        done += num_bytes
        tell("unpacking", path.name, done, None)

    if archive.places is None:
        shutil.copyfile(path, fresh / archive.file.name)
        return
    if not unpack(path, fresh, archive.places, count):
        inside = ", ".join(each or "files" for each, _ in archive.places)
        raise DataError(f"{path}: holds none of what is expected in it ({inside}); fetch it again")
    for name in archive.nested:
        nested = fresh / name
        unpack(nested, nested.parent, count=count)
        nested.unlink()


def _opened(name: str, wanted: PublicSet, folder: Path) -> Dataset:
    dataset = open_dataset(folder)
    for split, expected in wanted.pictures.items():
        got = len({sample.name for each in dataset.splits.values() for sample in each})
        got = got if split == "" else len(dataset.splits.get(split, ()))
        if got != expected:
            where = f"split {split!r} of {name}" if split else name
            raise DataError(
                f"{folder}: {where} has {got:,} pictures, expected {expected:,}; remove the folder and download it again"
            )
    return dataset


def first_line(name: str) -> str:
    """What SOURCE.txt begins with."""
    return f"fullconv data download {name}"


def source_text(name: str, wanted: PublicSet, files: Sequence[Fetched]) -> str:
    """The content of SOURCE.txt."""
    lines = [first_line(name), "", wanted.title, f"Page:    {wanted.page}", f"Licence: {wanted.licence}", ""]
    for archive, got in zip(wanted.archives, files, strict=True):
        lines += [
            got.name,
            *(f"  {address}" for address in archive.file.addresses),
            f"  {got.size} bytes, SHA-256 {got.sha256}",
            f"  compared with what is published: {got.checked}",
        ]
    return re.sub(r"[ ]+\n", "\n", "\n".join([*lines, ""]))
