"""Tar files: where the members lie in them, read with care, and the headers of new ones.

Only plain tar is read, as its members can be reached without what stands before them: POSIX ustar and pax, GNU
with long names, and the old V7.

Source: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Interchange Format",
https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html; GNU tar manual, "Basic Tar Format",
https://www.gnu.org/software/tar/manual/html_node/Standard.html
"""

import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

from fullconv.errors import DataError

BLOCK = 512
END = bytes(2 * BLOCK)
"""What a tar ends with."""

MOST_EXTENDED = 1 << 20
"""The longest header extension that is read; names have a few thousand bytes at most."""

_COMPRESSED = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
}

_REGULAR = b"0\x007"
_WITHOUT_DATA = b"123456"
"""Links, devices, folders and pipes."""

_ABOUT_OTHERS = b"xLgKDVNX"
"""What tells more of the next member, or of the archive."""


class Entry(NamedTuple):
    """A file in a tar: its name, where its bytes begin, and how many they are."""

    name: str
    offset: int
    size: int


def entries(path: Path) -> Iterator[Entry]:
    """The regular files in a tar, in order; only headers are read.

    Raises:
        DataError: it is no plain tar, damaged, or cut short.
    """
    try:
        with path.open("rb") as file:
            yield from entries_of(file, path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check its permissions and the disk"
        ) from None


def entries_of(file: BinaryIO, path: Path | str) -> Iterator[Entry]:
    """`entries` of an open file; `path` is what errors call it.

    Raises:
        OSError: it cannot be read.
        DataError: it is no plain tar, damaged, or cut short.
    """
    length = file.seek(0, 2)
    position, long_name, long_size = 0, None, None
    while position < length:
        file.seek(position)
        block = file.read(BLOCK)
        if block.count(0) == BLOCK:
            return
        kind, name, size = _header(block, position, path)
        position += BLOCK
        if kind in _WITHOUT_DATA:
            long_name = long_size = None
            continue
        if kind in _REGULAR:
            name, size = long_name or name, size if long_size is None else long_size
        elif kind not in _ABOUT_OTHERS:
            raise _damaged(path, position - BLOCK, f"a member of type {kind!r}, which is not read")
        if position + size > length or (kind in b"xL" and size > MOST_EXTENDED):
            raise DataError(
                f"{path}: is cut short or damaged: {_text(name, path)!r} has {size:,} bytes, and {length - position:,} are "
                "left; copy it again"
            )
        if kind in _REGULAR:
            yield Entry(_text(name, path), position, size)
            long_name = long_size = None
        elif kind == b"L":
            long_name = file.read(size).rstrip(b"\0")
        elif kind == b"x":
            long_name, long_size = _extended(file.read(size), position, path)
        position += -(-size // BLOCK) * BLOCK


def _header(block: bytes, position: int, path: Path | str) -> tuple[bytes, bytes, int]:
    """The type, the name and the size in a header."""
    if position == 0:
        for start, kind in _COMPRESSED.items():
            if block.startswith(start):
                raise DataError(
                    f"{path}: is compressed ({kind}); expected a plain tar, whose members can be reached; unpack it"
                )
    if len(block) < BLOCK or _number(block[148:156]) != _checksum(block):
        if position == 0:
            raise DataError(
                f"{path}: is no tar, or damaged; expected a plain tar of pictures and masks; copy it again"
            )
        raise _damaged(path, position, "no header")
    size = _number(block[124:136])
    if size is None:
        raise _damaged(path, position, "a size that is none")
    name = block[:100].split(b"\0", 1)[0]
    prefix = block[345:500].split(b"\0", 1)[0] if block[257:263] == b"ustar\0" else b""
    return block[156:157], b"/".join((prefix, name)) if prefix else name, size


def size_before(file: BinaryIO, offset: int) -> int | None:
    """What the header before an offset says of the size of what begins there; None where there is no header."""
    file.seek(offset - BLOCK)
    block = file.read(BLOCK)
    if len(block) < BLOCK or _number(block[148:156]) != _checksum(block):
        return None
    return _number(block[124:136])


def _checksum(block: bytes) -> int:
    """The sum of a header's bytes, the eight of the sum itself taken as spaces."""
    return sum(block[:148]) + 8 * ord(" ") + sum(block[156:])


def _number(field: bytes) -> int | None:
    """A number in a header: octal digits, or as GNU tar writes large ones, binary behind a set bit."""
    if field[:1] == b"\x80":
        return int.from_bytes(field[1:], "big")
    digits = field.strip(b" \0")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _extended(told: bytes, position: int, path: Path | str) -> tuple[bytes | None, int | None]:
    """The name and the size in a pax header of lines "LENGTH KEY=VALUE\\n"."""
    name, size = None, None
    while told:
        digits, _, _ = told[:10].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        key, equals, value = told[len(digits) + 1 : length].partition(b"=")
        if not equals or not value.endswith(b"\n"):
            raise _damaged(path, position, "an extended header that is none")
        if key == b"path":
            name = value[:-1]
        elif key == b"size":
            if len(value) > 20 or not value[:-1].isdigit():
                raise _damaged(path, position, "a size that is none")
            size = int(value)
        elif key.startswith(b"GNU.sparse"):
            raise _damaged(path, position, "a sparse file, which is not read")
        told = told[length:]
    return name, size


def _text(name: bytes, path: Path | str) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        raise DataError(
            f"{path}: the name {name[:60]!r} is not UTF-8; expected UTF-8 names; pack it again"
        ) from None


def _damaged(path: Path | str, position: int, what: str) -> DataError:
    return DataError(
        f"{path}: at byte {position:,} there is {what}; expected a plain tar; copy or pack it again"
    )


def header(name: str, size: int) -> bytes:
    """The header of a new member, the same whenever and by whomever it is written; ustar, with pax where it does not fit.

    >>> len(header("a.jpg", 30)), len(header("a" * 200, 30))
    (512, 1536)
    """
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.PAX_FORMAT)


def padding(size: int) -> bytes:
    """What follows a member of so many bytes, up to the next block."""
    return bytes(-size % BLOCK)
