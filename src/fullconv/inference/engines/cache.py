"""Converted models, kept so that a second start is fast."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from fullconv.download import cache_folder
from fullconv.errors import StorageError
from fullconv.storage import write_atomically

LIMIT = 2 << 30
"""Bytes that converted models may take on the disk; beyond it those go that were not used for longest."""

DIGEST = hashlib.sha256().digest_size


def kept(name: str, make: Callable[[], bytes]) -> bytes:
    """What `make` gives, made once per name and then read from `cache_folder()/engines`.

    A file starts with the SHA-256 of what follows; a damaged one is made anew. Where nothing can be written, it is made
    each time.
    """
    file = cache_folder() / "engines" / name
    content = read_checked(file)
    if content is None:
        content = make()
        with contextlib.suppress(StorageError, OSError):
            write_atomically(file, hashlib.sha256(content).digest() + content)
            drop_oldest(file.parent, LIMIT)
    return content


def read_checked(file: Path) -> bytes | None:
    """What follows the digest; None where there is no file, or where it is damaged."""
    try:
        data = file.read_bytes()
    except OSError:
        return None
    digest, content = data[:DIGEST], data[DIGEST:]
    if hashlib.sha256(content).digest() != digest:
        return None
    with contextlib.suppress(OSError):
        os.utime(file)  # says that it was used
    return content


def drop_oldest(folder: Path, limit: int) -> None:
    """Deletes files, those used longest ago first, until `limit` bytes are not exceeded; the newest always stays."""
    ages = sorted(((file.stat().st_mtime_ns, file) for file in folder.iterdir()), reverse=True)
    total = 0
    for index, (_, file) in enumerate(ages):
        total += file.stat().st_size
        if index and total > limit:
            file.unlink()
