"""What is written of labelled pictures, where, and what is told of it."""

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.masks import write_mask
from fullconv.data.sources import PictureFile
from fullconv.drawing import before_after, confidence_picture, entropy_picture, overlay, save_jpeg
from fullconv.errors import ConfigError, InputError, StorageError
from fullconv.inference.segmenter import Prediction, Segmenter
from fullconv.labels import LabelSet
from fullconv.storage import write_atomically

Record = dict[str, Any]

SYNC_SECONDS = 1.0
"""So often what is written bit by bit is made to reach the disk, should the power fail."""

ARRAYS: dict[str, Callable[[Prediction], np.ndarray]] = {
    "scores": lambda prediction: prediction.scores().astype(np.float16),
    "confidence": lambda prediction: prediction.confidence(),
    "entropy": lambda prediction: prediction.entropy(),
}
"""The kinds that are arrays -> what makes them of a prediction."""


@dataclass(frozen=True)
class Job:
    """A file to be labelled.

    Attributes:
        source: the file, or where a picture is packed or stored.
        name: what its files are called, without ending; no other file has it.
        extra: the file of the further channels, of a model that takes such.
    """

    source: PictureFile
    name: str
    extra: Path | None = None

    @property
    def path(self) -> Path:
        """The file, or the one that it is packed in."""
        return self.source if isinstance(self.source, Path) else self.source.path


@dataclass(frozen=True)
class Task:
    """What is the same for all files of a run.

    Attributes:
        segmenter: labels them.
        out: the folder that is written into.
        kinds: "mask", "overlay", "json" and keys of `ARRAYS`: what is written.
        batch_size: pictures of one size that the network sees at a time.
        identity: what the results depend on besides the files; None: nothing is taken over from an earlier run.
        progress: is told how far a large file is.
    """

    segmenter: Segmenter
    out: Path
    kinds: frozenset[str]
    batch_size: int = 1
    identity: dict[str, Any] | None = None
    progress: Callable[[str], None] = field(default=lambda text: None)

    def refuse_beyond(self, kinds: frozenset[str], file: str) -> None:
        """Says what cannot be had of a file that is not read as a picture.

        Args:
            kinds: what can be saved of it, besides "json".
            file: the file and what it is.

        Raises:
            ConfigError: something else is to be saved.
            InputError: the model takes more than red, green and blue, of which alone it consists.
        """
        beyond, channels = sorted(self.kinds - kinds - {"json"}), self.segmenter.preprocessing.num_channels
        if beyond:
            raise ConfigError(f"{file}, of which {beyond[0]} cannot be saved; leave it out of --save")
        if channels != 3:
            raise InputError(
                f"{file}, of which red, green and blue are read; the model takes {channels} channels"
            )

    def identity_with(self, source: Path) -> dict[str, Any] | None:
        """`identity`, and what tells one content of a file from another."""
        if self.identity is None:
            return None
        stat = source.stat()
        return {**self.identity, "source": str(source), "bytes": stat.st_size, "modified": stat.st_mtime_ns}


@dataclass(frozen=True)
class Answer:
    """What one head says of a picture: all that is written, with no more need of the network.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        label_map: (H, W) class ids.
        labels: the classes.
        arrays: kind -> what is saved of it.
        heads: by name, what the further heads say.
    """

    picture: np.ndarray
    label_map: np.ndarray
    labels: LabelSet
    arrays: dict[str, np.ndarray]
    heads: "dict[str, Answer]"

    @property
    def num_bytes(self) -> int:
        own = self.picture.nbytes + self.label_map.nbytes + sum(each.nbytes for each in self.arrays.values())
        return own + sum(head.num_bytes for head in self.heads.values())


def answer_of(prediction: Prediction, kinds: frozenset[str]) -> Answer:
    """Does the network's part of the work: label map and arrays."""
    return Answer(
        prediction.picture,
        prediction.label_map,
        prediction.labels,
        {kind: make(prediction) for kind, make in ARRAYS.items() if kind in kinds},
        {name: answer_of(part, kinds) for name, part in prediction.heads.items()},
    )


def save_mask(answer: Answer, path: Path) -> None:
    write_mask(path, answer.label_map, answer.labels)


def save_overlay(answer: Answer, path: Path) -> None:
    save_jpeg(overlay(answer.picture, answer.label_map, answer.labels), path, quality=90)


def save_before_after(answer: Answer, path: Path) -> None:
    save_jpeg(before_after(answer.picture, answer.label_map, answer.labels), path, quality=90)


def save_confidence(answer: Answer, path: Path) -> None:
    least = 1 / answer.labels.num_classes if answer.labels.num_classes > 1 else 0.0
    save_jpeg(confidence_picture(answer.picture, answer.arrays["confidence"], low=least), path, quality=90)


def save_entropy(answer: Answer, path: Path) -> None:
    save_jpeg(entropy_picture(answer.picture, answer.arrays["entropy"]), path, quality=90)


def save_scores(answer: Answer, path: Path) -> None:
    buffer = io.BytesIO()
    np.save(buffer, answer.arrays["scores"])
    write_atomically(path, buffer.getvalue())


FILES: dict[str, tuple[str, str, Callable[[Answer, Path], None]]] = {
    "mask": ("masks", ".png", save_mask),
    "overlay": ("overlays", ".jpg", save_overlay),
    "before-after": ("before_after", ".jpg", save_before_after),
    "confidence": ("confidence", ".jpg", save_confidence),
    "entropy": ("entropy", ".jpg", save_entropy),
    "scores": ("scores", ".npy", save_scores),
}
"""Kind -> folder, ending, and what writes the file. The folders of a further head end in its name."""


def write_answer(answer: Answer, out: Path, kinds: frozenset[str], name: str, suffix: str = "") -> Record:
    """Writes the files of a picture, and gives the part of its record that tells of the label map."""
    for kind, file in files_of(name, kinds, suffix).items():
        FILES[kind][2](answer, out / file)
    height, width = answer.label_map.shape
    record: Record = {"height": height, "width": width, "classes": answer.labels.shares(count(answer))}
    for head, part in answer.heads.items():
        told = write_answer(part, out, kinds, name, f"{suffix}_{head}")
        record.setdefault("heads", {})[head] = {"classes": told["classes"]}
    return record


def files_of(name: str, kinds: frozenset[str], suffix: str = "") -> dict[str, str]:
    """Kind -> file of a picture, relative to the run's folder.

    >>> files_of("cat", frozenset({"mask", "json"}))
    {'mask': 'masks/cat.png'}
    """
    return {kind: f"{row[0]}{suffix}/{name}{row[1]}" for kind, row in FILES.items() if kind in kinds}


def count(answer: Answer) -> np.ndarray:
    """(K,) int64 pixels of each class."""
    return np.bincount(answer.label_map.ravel(), minlength=answer.labels.num_classes)


@contextmanager
def storing(path: Path) -> Iterator[None]:
    """Says in one line what the disk refused."""
    try:
        yield
    except OSError as error:
        reason = " ".join(str(error.strerror or error.__cause__ or error).split())
        raise StorageError(f"cannot write {path}: {reason}; free space or choose another folder") from error


def into_place(partial: Path, path: Path) -> None:
    """Gives a file that was written beside its name, once it has reached the disk."""
    with storing(path):
        with partial.open("r+b") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
