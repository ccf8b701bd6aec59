"""Many pictures: some are read, and others are written, while the network is at work on one."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch

from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.pictures import picture_size, read_picture
from fullconv.errors import InputError, PictureError
from fullconv.inference.outputs import Answer, Job, Record, Task, answer_of, files_of, write_answer
from fullconv.lookahead import ahead, pool

Item = TypeVar("Item")


def batches(items: Iterable[Item], size: int, key: Callable[[Item], Any]) -> Iterator[list[Item]]:
    """Up to `size` neighbours each, which agree in their key; in order.

    >>> list(batches([1, 3, 4, 5, 7, 9], 2, lambda item: item % 2))
    [[1, 3], [4], [5, 7], [9]]
    """
    batch: list[Item] = []
    for item in items:
        if batch and key(item) != key(batch[0]):
            yield batch
            batch = []
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


@dataclass(frozen=True)
class Failed:
    """A file of which nothing comes, and why."""

    job: Job
    error: str


@dataclass(frozen=True)
class Read:
    """A picture, (H, W, 3) uint8, and its further channels, (H, W, m) uint8, where the model takes such."""

    job: Job
    picture: np.ndarray
    channels: np.ndarray | None


@dataclass(frozen=True)
class Labelled:
    """A picture that the network has seen, and for how long."""

    job: Job
    answer: Answer
    seconds: float


def label_pictures(task: Task, jobs: Iterable[Job]) -> Iterator[Record]:
    """Labels picture files, writes what `task.kinds` asks for, and yields a record for each, in order.

    A record holds "source", the files of each kind, "height", "width", "classes" (name: share) and "seconds", those of the
    network; further heads have "heads". Of a picture that cannot be labelled it holds "source" and "error".
    """
    with pool() as readers, pool() as writers:
        pictures = ahead(readers, partial(read, task), jobs, decoded_bytes)
        labelled = (
            each for batch in batches(pictures, task.batch_size, shape_of) for each in label(task, batch)
        )
        yield from ahead(writers, partial(write, task), labelled, written_bytes, eager=True)


def decoded_bytes(job: Job) -> int:
    """What the picture takes once it is read, by its header."""
    try:
        height, width = picture_size(job.source)
    except PictureError:  # which the reading thread says
        return 0
    return 3 * height * width


def read(task: Task, job: Job) -> Read | Failed:
    segmenter = task.segmenter
    try:
        picture = read_picture(job.source)
        if job.extra is None:
            return Read(job, picture, None)
        if not job.extra.exists():
            raise PictureError(f"{job.source}: its further channels are missing; expected {job.extra}")
        form = segmenter.extra or ExtraFormat(segmenter.preprocessing.num_channels - 3)
        return Read(job, picture, read_extra(job.extra, form))
    except InputError as error:
        return Failed(job, str(error))
    except MemoryError:
        return Failed(
            job, f"{job.source}: there is not memory enough to read it; reduce it or cut it into tiles"
        )


def shape_of(item: Read | Failed) -> tuple[int, ...] | None:
    return item.picture.shape if isinstance(item, Read) else None


def label(task: Task, batch: list[Read | Failed]) -> list[Labelled | Failed]:
    """The network's part of the work."""
    pictures = [item for item in batch if isinstance(item, Read)]
    if not pictures:
        return [item for item in batch if isinstance(item, Failed)]
    began = time.perf_counter()
    try:
        predictions = task.segmenter.predict_batch(
            [item.picture for item in pictures], [item.channels for item in pictures]
        )
        answers = [answer_of(prediction, task.kinds) for prediction in predictions]
    except (InputError, MemoryError, torch.OutOfMemoryError) as error:
        if len(batch) > 1:
            return [each for item in batch for each in label(task, [item])]
        job = pictures[0].job
        return [Failed(job, str(error) if isinstance(error, InputError) else too_large(job))]
    seconds = (time.perf_counter() - began) / len(batch)
    return [Labelled(item.job, answer, seconds) for item, answer in zip(pictures, answers, strict=True)]


def one_by_one(task: Task, jobs: Iterable[Job], label: Callable[[Task, Job], Record]) -> Iterator[Record]:
    """A record for each file that is too large to be read whole; of one that cannot be labelled, "source" and "error"."""
    for job in jobs:
        record: Record = {"source": str(job.source)}
        try:
            yield record | label(task, job)
        except InputError as error:
            yield record | {"error": str(error)}
        except (MemoryError, torch.OutOfMemoryError):
            yield record | {"error": too_large(job)}


def too_large(job: Job) -> str:
    return f"{job.source}: the network needs more memory for it than there is; give --tile, for example --tile 512"


def written_bytes(item: Labelled | Failed) -> int:
    return item.answer.num_bytes if isinstance(item, Labelled) else 0


def write(task: Task, item: Labelled | Failed) -> Record:
    source = {"source": str(item.job.source)}
    if isinstance(item, Failed):
        return {**source, "error": item.error}
    told = write_answer(item.answer, task.out, task.kinds, item.job.name)
    files = files_of(item.job.name, task.kinds)
    return {**source, **files, **told, "seconds": round(item.seconds, 4)}
