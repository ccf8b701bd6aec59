"""`log.jsonl`: a JSON object per line, appended as a run goes."""

import json
import os
from pathlib import Path
from typing import Any

from fullconv.errors import StorageError

LOG = "log.jsonl"

Event = dict[str, Any]
"""What `training.loop.train` yields; its "kind" says what it is."""


def append(run: Path, record: Event) -> None:
    """Adds a line, and waits until it is on disk.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    line = (json.dumps(record) + "\n").encode()
    try:
        with (run / LOG).open("ab") as file:
            # A line that a crash cut off must not swallow this one.
            if file.tell() and not ends_with_newline(run / LOG):
                file.write(b"\n")
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StorageError(
            f"cannot write {run / LOG}: {error.strerror}; free space, then go on with --resume"
        ) from None


def ends_with_newline(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(-1, os.SEEK_END)
        return opened.read(1) == b"\n"
