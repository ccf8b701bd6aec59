"""Pictures that are no files of their own: in object stores, and in tar shards here or there."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import unquote

from fullconv.data.pictures import SUFFIXES
from fullconv.data.shards.samples import pictures_in
from fullconv.data.shards.tar import entries, entries_of
from fullconv.data.sources import Member, PictureFile, check_size
from fullconv.errors import ConfigError, InputError, PictureError

ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True)
class Stored:
    """A picture in an object store, perhaps in a tar there.

    Attributes:
        root: the store: scheme, bucket and options, such as "s3://bucket/?region=eu-north-1".
        key: the object, as the store's file system calls it.
        modified: when it was last written, in nanoseconds since 1970; 0 where the store does not say.
        size: bytes of the picture file.
        offset: where it begins in the object.
        member: its name in a tar; empty where the object is the picture.
    """

    root: str
    key: str
    modified: int
    size: int
    offset: int = 0
    member: str = ""

    def __str__(self) -> str:
        address = f"{self.root.partition('://')[0]}://{self.key}"
        return f"{address}:{self.member}" if self.member else address

    @property
    def path(self) -> Path:
        """Its name; nothing lies there."""
        return Path(self.key)

    def open(self) -> BinaryIO:
        """Its bytes, in memory.

        Raises:
            PictureError: they cannot be read, are fewer than there were, or more than any picture has.
        """
        check_size(self, self.size)
        try:
            with store_of(self.root)[0].open_input_file(self.key) as file:
                file.seek(self.offset)
                content = file.read(self.size)
        except OSError as error:
            raise PictureError(
                f"{self}: cannot be read ({first_line(error)}); check address and rights"
            ) from None
        if len(content) < self.size:
            raise PictureError(
                f"{self}: ends after {len(content):,} of {self.size:,} bytes; expected what it had when it was listed; run again"
            )
        return BytesIO(content)


@lru_cache(maxsize=16)
def store_of(root: str) -> tuple[Any, str]:
    """pyarrow's file system of a store, and how it calls the bucket.

    Raises:
        ConfigError: pyarrow is missing.
        InputError: there is no such kind of store, or it cannot be reached.
    """
    try:
        from pyarrow import ArrowException
        from pyarrow.fs import FileSystem
    except ImportError as error:
        raise ConfigError(
            f"pyarrow, which reads {root}, cannot be imported ({error}); install it: pip install 'fullconv[formats]'"
        ) from None
    try:
        return FileSystem.from_uri(root)
    except (OSError, ValueError, ArrowException) as error:
        raise InputError(
            f"{root}: {first_line(error)}; expected an address like s3://BUCKET/FOLDER or gs://BUCKET/FOLDER"
        ) from None


def first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__


def stored(address: str) -> Iterator[Stored]:
    """The pictures at an address: an object, all below a folder, or what a glob names ("*" stays within a folder).

    Raises:
        InputError: the store cannot be reached.
        DataError: a tar there is damaged.
    """
    scheme, _, rest = address.partition("://")
    rest, mark, options = rest.partition("?")
    bucket = rest.partition("/")[0]
    root = f"{scheme}://{bucket}/{mark}{options}"
    store, base = store_of(root)
    key = base.rstrip("/") + rest[len(bucket) :]
    try:
        for info in listed(store, key.rstrip("/") or "/"):
            modified = info.mtime_ns or 0
            if not info.path.endswith(".tar"):
                yield Stored(root, info.path, modified, info.size)
                continue
            with store.open_input_file(info.path) as file:
                for member in pictures_in(entries_of(file, f"{scheme}://{info.path}")):
                    yield Stored(root, info.path, modified, member.size, member.offset, member.name)
    except OSError as error:
        raise InputError(f"{address}: {first_line(error)}; check address and rights") from None


def listed(store: Any, key: str) -> list[Any]:
    """What a store says of the pictures and tars that a key names, in order."""
    from pyarrow.fs import FileSelector, FileType

    if "*" not in key and "[" not in key:
        info = store.get_file_info(key)
        if info.type == FileType.File:
            return [info]
        folder, pattern = key, None
    else:
        folder, pattern = re.split(r"[^/]*[*\[]", key, maxsplit=1)[0].rstrip("/") or "/", key
    found = store.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
    return sorted(
        (
            info
            for info in found
            if info.type == FileType.File
            and PurePosixPath(info.path).suffix.lower() in SUFFIXES | {".tar"}
            and (pattern is None or matches(info.path, pattern))
        ),
        key=lambda info: info.path,
    )


def matches(key: str, pattern: str) -> bool:
    """
    >>> matches("b/x/1.jpg", "b/*/*.jpg"), matches("b/x/y/1.jpg", "b/*/*.jpg")
    (True, False)
    """
    parts, patterns = key.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def members(tar: Path) -> list[Member]:
    """The pictures in a tar shard, without the masks beside them.

    Raises:
        DataError: it is no plain tar, or damaged.
    """
    return [Member(tar, *member) for member in pictures_in(entries(tar))]


def stem_of(source: PictureFile) -> str:
    """What a source's results are called.

    >>> stem_of(Path("a/x.1.jpg")), stem_of(Member(Path("0.tar"), "a/x%2E1.image.jpg", 512, 30))
    ('x.1', 'x.1')
    """
    if isinstance(source, Path):
        return source.stem
    if isinstance(source, Stored):
        return key_of(source.member) if source.member else source.path.stem
    return key_of(source.name) if isinstance(source, Member) else source.path.stem


def key_of(member: str) -> str:
    """A member's key without its folders, safe as a file's name."""
    name = unquote(member.rpartition("/")[2].partition(".")[0]).rpartition("/")[2]
    return re.sub(r"[^\w .,+=@()~-]", "_", name).strip(". ") or "picture"


def modified_ns(source: PictureFile) -> int:
    """When a source was last written, in nanoseconds since 1970.

    Raises:
        OSError: there is no such file.
    """
    if isinstance(source, Stored):
        return source.modified
    return (source if isinstance(source, Path) else source.path).stat().st_mtime_ns


def is_address(source: str) -> bool:
    return ADDRESS.match(source) is not None
