"""One trainer to a run folder."""

import os
from pathlib import Path
from typing import BinaryIO

from fullconv.errors import RunError

NAME = ".lock"


def lock(folder: Path) -> BinaryIO:
    """Takes a run folder for this process, until the returned file is closed or the process ends, however it ends.

    The lock is the process's own: loading processes do not inherit it, so that it does not outlive their parent.

    Raises:
        RunError: another process has it.
    """
    file = (folder / NAME).open("a+b")
    if not taken(file):
        file.seek(0)
        owner = file.read(32).decode("ascii", "replace").strip()
        file.close()
        raise RunError(
            f"{folder} is being trained in by process {owner or 'unknown'}; wait for its end, or choose another --out"
        )
    file.truncate(0)
    file.write(str(os.getpid()).encode())
    file.flush()
    return file


def taken(file: BinaryIO) -> bool:
    """Whether the lock could be had. Where there are no such locks (Windows), it can always."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True
