"""Where a sample's bytes come from, besides files of their own.

A picture may lie packed in another file, such as a tar or a table, and a mask may be drawn from shapes, or read from a
file that is no picture. All sources are small values, which processes can hand each other; what they stand for is
read when it is needed.
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, runtime_checkable

import numpy as np

from fullconv.errors import PictureError
from fullconv.labels import LabelSet

MAX_BYTES = 2**30
"""The longest picture file that is read: any of 178 megapixels in 8 bits fits, even uncompressed with alpha."""


@runtime_checkable
class Packed(Protocol):
    """A picture or mask file packed in another file; `str` names it for messages."""

    @property
    def path(self) -> Path:
        """The file that it is packed in."""
        ...

    def open(self) -> BinaryIO:
        """Its bytes, as a stream in memory.

        Raises:
            OSError, PictureError: they cannot be read.
        """
        ...


@runtime_checkable
class MaskSource(Protocol):
    """A mask that is no picture file; `str` names it for messages."""

    @property
    def path(self) -> Path:
        """The file that it comes from."""
        ...

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids 0..K-1 of `labels` or 255, in the size of the picture as it is shown.

        Raises:
            PictureError, DataError: the file cannot be read, or holds what is not expected in it.
        """
        ...


PictureFile = Path | Packed
MaskFile = Path | Packed | MaskSource


def check_size(picture: object, num_bytes: int) -> None:
    """
    Raises:
        PictureError: a picture that is packed or stored elsewhere has more bytes than are read.
    """
    if num_bytes > MAX_BYTES:
        raise PictureError(
            f"{picture}: has {num_bytes:,} bytes; at most {MAX_BYTES:,} are read; reduce it or cut it into tiles"
        )


@dataclass(frozen=True)
class Member:
    """A file stored in another file as it is, such as a member of a tar.

    Attributes:
        path: the file that holds it.
        name: its own name in there.
        offset: where it begins, in bytes.
        size: its length, in bytes.
    """

    path: Path
    name: str
    offset: int
    size: int

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"

    def open(self) -> BinaryIO:
        """The bytes, in memory.

        Raises:
            OSError: the file cannot be read.
            PictureError: the member is longer than any picture, or the file ends before it does.
        """
        check_size(self, self.size)
        with self.path.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.size)
        if len(content) < self.size:
            raise PictureError(
                f"{self}: ends after {len(content):,} of {self.size:,} bytes; expected the whole of it; "
                f"copy {self.path.name} again"
            )
        return io.BytesIO(content)


def signature(source: MaskFile) -> str:
    """The name of the file that a source is in, without its folder, and how long it is.

    Raises:
        OSError: there is no such file.

    >>> signature(Member(Path("shards/0001.tar"), "a.jpg", 512, 30))
    '0001.tar:a.jpg 30'
    """
    if isinstance(source, Member):
        return f"{source.path.name}:{source.name} {source.size}"
    path = source if isinstance(source, Path) else source.path
    return f"{path.name} {os.stat(path).st_size}"
