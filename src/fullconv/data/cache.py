"""A cache of decoded samples: one file, from which a training set takes pictures and label maps as they are.

It is for sets so small that their pixels fit on the disk, and better in memory, and for networks that learn faster than
pictures are decoded. What is read from it is what would be decoded, bit for bit.

The file: a SHA-256 in hexadecimal; then for each sample where it begins, and its height and width, as int64; then
the pixels of each, (H, W, C) and (T, H, W) uint8. The digest is of the table, and the file's name of all that decides
the pixels, so another data set, or other programs that decode, have another file.
"""

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.sources import MaskFile, signature
from fullconv.errors import DataError, InputError, StorageError
from fullconv.labels import Head, LabelSet
from fullconv.lookahead import ahead, pool

READING = 1
"""To be raised whenever the reading of pictures or masks gives other pixels."""

MOST_OF_DISK = 0.5
"""The part of the free disk that a cache may take."""

TRIED = 20
"""After so many samples the size of the whole is estimated."""

_DIGEST = 64


@dataclass(frozen=True)
class Cache:
    """Decoded samples.

    Attributes:
        path: the file.
        table: (n, 3) int64: where each begins, its height and width.
        channels: C, of pictures.
        heads: T, label maps of each.
    """

    path: Path
    table: np.ndarray
    channels: int
    heads: int

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A sample's picture, (H, W, C) uint8, and its label maps, (T, H, W) uint8.

        Raises:
            DataError: the file is gone or was cut.
        """
        start, height, width = self.table[index].tolist()
        size = height * width
        try:
            pixels = np.fromfile(self.path, np.uint8, size * (self.channels + self.heads), offset=start)
            picture = pixels[: size * self.channels].reshape(height, width, self.channels)
            return picture, pixels[size * self.channels :].reshape(self.heads, height, width)
        except (OSError, ValueError):
            raise DataError(
                f"{self.path}: the cache was changed while it was used; start again, and it is made anew"
            ) from None


def open_cache(
    folder: Path, samples: Sequence[Sample], labels: LabelSet, heads: Sequence[Head] = ()
) -> Cache:
    """The cache of these samples in a folder; made where it is not there, or not whole.

    Several processes may ask at once: one makes it, the others wait.

    Args:
        folder: where caches are kept; made where it is missing.
        samples: all pictures and masks.
        labels, heads: what the masks are read with.

    Raises:
        PictureError, DataError: a sample cannot be read.
        InputError: the cache would take more than half of the free disk.
        StorageError: the disk is full or may not be written.
    """
    key = _key(samples, labels, heads)
    path = folder / f"{key}.cache"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder / f"{key}.lock"):
            found = _opened(path, len(samples), heads)
            return found or _made(path, samples, labels, heads)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}; free space or choose another --cache"
        ) from error


def _key(samples: Sequence[Sample], labels: LabelSet, heads: Sequence[Head]) -> str:
    """A digest of the files' names, sizes and times, of what the masks are read with, and of what reads them."""
    digest = hashlib.sha256(
        f"{READING} {PIL.__version__} {labels} {heads}".encode("utf-8", "surrogateescape")
    )
    for sample in samples:
        sources: list[MaskFile] = [sample.picture, sample.mask, *sample.head_masks]
        if sample.extra is not None:
            sources.append(sample.extra)
        for source in sources:
            path = source if isinstance(source, Path) else source.path
            try:
                told = f"{source} {signature(source)} {path.stat().st_mtime_ns}\n"
            except OSError:
                raise DataError(f"{source}: no such file; check the path") from None
            digest.update(told.encode("utf-8", "surrogateescape"))
        digest.update(f"{sample.shades} {sample.extra_format}\n".encode())
    return digest.hexdigest()[:32]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """While open, no other process on the machine is inside; where there are no such locks (Windows), one may be."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.open("ab") as file:
        fcntl.lockf(file, fcntl.LOCK_EX)
        yield


def _opened(path: Path, num_samples: int, heads: Sequence[Head]) -> Cache | None:
    """The cache in a file, if it is whole."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        digest, content = file.read(_DIGEST), file.read(24 * num_samples)
        length = file.seek(0, 2)
    if hashlib.sha256(content).hexdigest().encode() != digest or len(content) < 24 * num_samples:
        return None
    table = np.frombuffer(content, np.int64).reshape(-1, 3)
    pixels = int((table[:, 1] * table[:, 2]).sum())
    planes, left = divmod(length - _DIGEST - len(content), pixels)
    if left or planes < 1 + len(heads):
        return None
    return Cache(path, table, planes - 1 - len(heads), 1 + len(heads))


def _made(path: Path, samples: Sequence[Sample], labels: LabelSet, heads: Sequence[Head]) -> Cache:
    partial = path.with_name(f".{path.stem}.partial")
    limit = MOST_OF_DISK * shutil.disk_usage(path.parent).free
    table = np.empty((len(samples), 3), np.int64)
    position = _DIGEST + table.nbytes

    def decoded(sample: Sample) -> tuple[np.ndarray, np.ndarray]:
        if heads:
            return read_heads(sample, labels, heads)
        picture, label_map = read_sample(sample, labels)
        return picture, label_map[None]

    try:
        with pool() as threads, partial.open("wb") as file:
            file.seek(position)
            for index, (picture, label_maps) in enumerate(ahead(threads, decoded, samples)):
                table[index] = position, *picture.shape[:2]
                file.write(picture.tobytes())
                file.write(label_maps.tobytes())
                position += picture.nbytes + label_maps.nbytes
                if index + 1 >= min(TRIED, len(samples)) and position / (index + 1) * len(samples) > limit:
                    raise InputError(
                        f"{path.parent}: the decoded samples would take about {position / (index + 1) * len(samples) / 1e9:.1f} "
                        f"GB, more than half of the {limit / MOST_OF_DISK / 1e9:.1f} GB that are free; leave --cache away"
                    )
            file.seek(0)
            file.write(hashlib.sha256(table.tobytes()).hexdigest().encode())
            file.write(table.tobytes())
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    found = _opened(path, len(samples), heads)
    assert found is not None
    return found
