"""Label maps of any height on disk, band after band, in a file that can be gone on with wherever its process was stopped.

The file's first line is JSON: what the labels depend on. Bands follow, each a header (rows, bytes, CRC-32) and the compressed
labels. A band that was cut short is dropped when the file is opened again.
"""

import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.inference.outputs import SYNC_SECONDS, storing

HEADER = struct.Struct("<QQI")


class BandFile:
    """Label maps of one picture, one per head, appended from the top.

    Args:
        path: the file; its folder is made where it is missing.
        num_maps: T.
        width: W.
        dtype: uint8 or uint16.
        identity: what the labels depend on. A file with the same is gone on with; None: none is.

    Attributes:
        rows: finished rows.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "a.partial"
    ...     with BandFile(path, 1, 4, np.uint8, {"model": "m"}) as bands:
    ...         bands.append(np.ones((1, 3, 4), np.uint8))
    ...     with BandFile(path, 1, 4, np.uint8, {"model": "m"}) as bands:
    ...         bands.rows, [band.shape for band in bands]
    (3, [(1, 3, 4)])
    """

    def __init__(
        self, path: Path, num_maps: int, width: int, dtype: Any, identity: dict[str, Any] | None
    ) -> None:
        self.path = path
        self.num_maps = num_maps
        self.width = width
        self.dtype = dtype
        self.rows = 0
        self.synced = time.monotonic()
        first_line = json.dumps(identity, sort_keys=True).encode() + b"\n"
        self.start = len(first_line)
        with storing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file = path.open("r+b" if path.exists() else "w+b")
            if identity is None or self.file.read(self.start) != first_line:
                self.file.seek(0)
                self.file.truncate()
                self.file.write(first_line)
            else:
                self.rows = sum(band.shape[1] for band in self)
            self.file.truncate()

    def __enter__(self) -> "BandFile":
        return self

    def __exit__(self, *_: object) -> None:
        with storing(self.path):
            self.file.close()

    def append(self, band: np.ndarray) -> None:
        """Adds a (T, h, W) band of `dtype`."""
        data = zlib.compress(band.astype(self.dtype, copy=False).tobytes(), level=1)
        with storing(self.path):
            self.file.seek(0, os.SEEK_END)
            self.file.write(HEADER.pack(band.shape[1], len(data), zlib.crc32(data)) + data)
            self.file.flush()
            if time.monotonic() - self.synced > SYNC_SECONDS:
                os.fsync(self.file.fileno())
                self.synced = time.monotonic()
        self.rows += band.shape[1]

    def __iter__(self) -> Iterator[np.ndarray]:
        """The finished bands from the top, (T, h, W) each; leaves the file's position behind the last."""
        place = self.start
        while True:
            self.file.seek(place)
            header = self.file.read(HEADER.size)
            rows, size, crc = HEADER.unpack(header) if len(header) == HEADER.size else (0, 0, 0)
            data = self.file.read(size)
            if not rows or len(data) < size or zlib.crc32(data) != crc:
                self.file.seek(place)
                return
            yield np.frombuffer(zlib.decompress(data), self.dtype).reshape(self.num_maps, rows, self.width)
            place += HEADER.size + size
