"""Downloading a file once, whole, and checked."""

import hashlib
import os
import re
import urllib.error
import urllib.request
from pathlib import Path

from fullconv.errors import InputError, RunError, StorageError

CHUNK = 1 << 20


def cache_folder() -> Path:
    """Where downloads are kept: $FULLCONV_CACHE, or ~/.cache/fullconv."""
    return Path(os.environ.get("FULLCONV_CACHE", Path.home() / ".cache" / "fullconv"))


def download(address: str, folder: Path | None = None, mirrors: tuple[str, ...] = ()) -> Path:
    """Fetches a file into a folder, unless it is already there; a broken transfer goes on where it stopped.

    The file gets its name only when its SHA-256 is right, so what has the name is whole.

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
    expected, target = found[1], (folder or cache_folder()) / name
    if target.exists() and digest(target).startswith(expected):
        return target
    partial = target.with_name(name + ".partial")
    failures = []
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for source in (plain, *mirrors):
            try:
                fetch(source, partial)
            except (urllib.error.URLError, OSError, TimeoutError) as error:
                if isinstance(error, OSError) and error.errno == 28:
                    raise
                failures.append(f"{source}: {error}")
                continue
            got = digest(partial)
            if got.startswith(expected):
                os.replace(partial, target)
                return target
            partial.unlink()
            failures.append(f"{source}: SHA-256 is {got[:16]}..., expected {expected[:16]}...")
    except OSError as error:
        raise StorageError(
            f"cannot write {partial}: {error.strerror}; free space or set FULLCONV_CACHE"
        ) from None
    raise RunError(f"download failed: {'; '.join(failures)}; fetch {name} by hand into {target.parent}")


def answers(address: str, seconds: float = 5) -> bool:
    """Whether a server replies to a request for `address`, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def fetch(source: str, partial: Path) -> None:
    """Appends to `partial` what it lacks, or starts anew where the server cannot go on."""
    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(source, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        reply = urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        if error.code == 416:  # nothing is left to fetch
            return
        raise
    with reply, partial.open("ab" if reply.status == 206 else "wb") as file:
        length = reply.headers.get("Content-Length")
        received = 0
        while chunk := reply.read(CHUNK):
            file.write(chunk)
            received += len(chunk)
        if length is not None and received < int(length):
            raise urllib.error.URLError(f"the connection broke after {have + received} bytes")
        file.flush()
        os.fsync(file.fileno())


def digest(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
