"""Downloading a file once, whole, and checked."""

import hashlib
import os
import random
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from fullconv.download.transfer import Broken, Progress, attempt, drop, note_of
from fullconv.errors import InputError, RunError, StorageError

WAITS = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth attempt at one address; an attempt that brought much starts the count anew."""

MUCH = 1 << 16
LONGEST_WAIT = 120.0
"""A server that asks for more patience is given up in favour of the next."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that can be had from elsewhere.

    Attributes:
        name: what it is called here.
        addresses: http:// or https://; each gives the same bytes, and they are tried in turn.
        digest: "sha256:HEX" or "md5:HEX", where HEX may be a beginning of at least 8 digits; "" where none is published.
        size: its length in bytes, where that is published.
    """

    name: str
    addresses: tuple[str, ...]
    digest: str = ""
    size: int | None = None


def cache_folder() -> Path:
    """Where downloads are kept: $FULLCONV_CACHE, or ~/.cache/fullconv."""
    return Path(os.environ.get("FULLCONV_CACHE", Path.home() / ".cache" / "fullconv"))


def download(address: str, folder: Path | None = None, mirrors: tuple[str, ...] = ()) -> Path:
    """Fetches a file whose address carries its SHA-256 into a folder, unless it is already there; see `fetch`.

    Args:
        address: "https://host/path/name#sha256=HEX"; HEX has 64 digits, or fewer as a prefix of at least 8. Without the
            fragment the name must carry it as torch's files do: "resnet18-f37072fd.pth".
        folder: where to; the cache folder without.
        mirrors: other addresses of the same file, tried in turn.

    Raises:
        InputError: the address gives no SHA-256.
        RunError: no address answered, or what came has another SHA-256.
        StorageError: the disk is full or may not be written.
    """
    plain, _, fragment = address.partition("#")
    name = plain.rsplit("/", 1)[-1]
    found = re.fullmatch(r"sha256=([0-9a-f]{8,64})", fragment) or re.search(r"-([0-9a-f]{8,64})\.\w+$", name)
    if found is None:
        raise InputError(f"{address} gives no SHA-256; append '#sha256=HEX' so that the file can be checked")
    return fetch(RemoteFile(name, (plain, *mirrors), f"sha256:{found[1]}"), folder or cache_folder())


def fetch(remote: RemoteFile, folder: Path, progress: Progress | None = None) -> Path:
    """Fetches a file into a folder, unless it is already there; a broken transfer goes on where it stopped.

    The file gets its name only when its length and digest are right, so what has the name is whole. Of several
    processes that want the same file one fetches it, and the others wait.

    Args:
        remote: the file.
        folder: where to; made where it is missing.
        progress: called after each piece with the bytes that are there and the length of the whole, if known.

    Returns:
        `folder / remote.name`.

    Raises:
        RunError: no address gave the file.
        StorageError: the disk is full or may not be written.
    """
    target = folder / remote.name
    if target.is_file() and not what_is_wrong(target, remote):
        return target
    partial = target.with_name(remote.name + ".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(partial):
            if target.is_file() and not what_is_wrong(target, remote):  # another process was faster
                drop(partial)
                return target
            failures = []
            for address in remote.addresses:
                reason = _from_one(address, remote, partial, progress)
                if not reason:
                    os.replace(partial, target)
                    note_of(partial).unlink(missing_ok=True)
                    return target
                failures.append(f"{address}: {reason}")
    except OSError as error:
        raise StorageError(
            f"cannot write {partial}: {error.strerror}; free space or choose another folder"
        ) from None
    raise RunError(
        f"download failed: {'; '.join(failures)}; try again later, or fetch {remote.name} by hand into {folder}"
    )


def _from_one(address: str, remote: RemoteFile, partial: Path, progress: Progress | None) -> str:
    """Fetches the whole from one address, in as many attempts as it takes; the reason why that failed, or ""."""
    if not address.startswith(("http://", "https://")):
        return "is no http:// or https:// address"
    failures, anew = 0, False
    while True:
        before = partial.stat().st_size if partial.exists() else 0
        try:
            attempt(address, partial, size=remote.size, has_digest=bool(remote.digest), progress=progress)
        except Broken as fault:
            gained = (partial.stat().st_size if partial.exists() else 0) - before
            failures = 0 if gained >= MUCH else failures + 1
            if fault.final or failures > len(WAITS) or fault.seconds > LONGEST_WAIT:
                asks = (
                    f"; it asks to come back in {fault.seconds:.0f} s" if fault.seconds > LONGEST_WAIT else ""
                )
                return f"{fault}{asks}"
            # spread out, so that many who were cut off at once do not come back at once
            time.sleep(max(fault.seconds, WAITS[max(0, failures - 1)] * random.uniform(0.5, 1)))
            continue
        wrong = what_is_wrong(partial, remote)
        if not wrong:
            return ""
        drop(partial)
        if not before or anew:
            return wrong
        anew = True  # what was there before may have been of another version


def what_is_wrong(file: Path, remote: RemoteFile) -> str:
    """How a file differs from what is expected of it, or ""."""
    size = file.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"has {size:,} bytes, expected {remote.size:,}"
    kind, _, expected = remote.digest.partition(":")
    if kind and not (got := digest(file, kind)).startswith(expected):
        name = {"sha256": "SHA-256", "md5": "MD5"}[kind]
        return f"{name} is {got[:16]}..., expected {expected[:16]}..."
    return ""


@contextmanager
def _alone(partial: Path) -> Iterator[None]:
    """Waits until no other process is fetching this file. Where there are no such locks (Windows), it does not."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = partial.with_name(f".{partial.name}.lock")
    while True:
        with path.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            if not _is_at(file.fileno(), path):
                continue  # who had it before has removed it: another may hold a new one by now
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def digest(file: Path, kind: str = "sha256") -> str:
    """The SHA-256 of a file, or its "md5", in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
