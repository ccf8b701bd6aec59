"""The loader of training samples, in the order that data.order gives.

Everything random is a function of (seed, epoch, index). So the result does not depend on the number of
workers, and a run that goes on at step k sees the batches that it would have seen without the break.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fullconv.data.cache import Cache
from fullconv.data.device_transforms import Part, cut, varied
from fullconv.data.order import FullOrder, Order, sample_generator
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.transforms import TrainTransform
from fullconv.errors import FullconvError, RunError
from fullconv.labels import Head, LabelSet

Batch = tuple[Tensor, Tensor, Tensor]


def steps_per_epoch(num_samples: int, batch_size: int) -> int:
    """Batches in an epoch; the remainder that fills no batch is left out, another one each epoch.

    >>> steps_per_epoch(367, 16), steps_per_epoch(3, 16)
    (22, 1)
    """
    return max(1, num_samples // batch_size)


class TrainingSet(TorchDataset[tuple[Tensor, Tensor, int]]):
    """Samples, read and augmented on demand; an item is asked for by (epoch, index).

    Args:
        samples: pictures and masks.
        labels: the classes.
        transform: the augmentation.
        seed: of the augmentation and of the order.
        heads: the data set's further heads.
        cache: the same samples, decoded.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: LabelSet,
        transform: TrainTransform,
        seed: int,
        heads: Sequence[Head] = (),
        cache: Cache | None = None,
    ) -> None:
        self.samples = samples
        self.labels = labels
        self.transform = transform
        self.seed = seed
        self.heads = tuple(heads)
        self.cache = cache

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        """The picture (3 + m, h, w) uint8, the labels, and the sample's index.

        The labels are (h, w) uint8, and with further heads (1 + len(heads), h, w), those of `labels` first.
        """
        epoch, index = item
        return *self.transform(*self.read(index), sample_generator(self.seed, epoch, index)), index

    def part(self, item: tuple[int, int]) -> Part:
        """The same sample as far as it is not yet to be resized and recoloured, see `device_transforms`."""
        epoch, index = item
        picture, label_map = self.read(index)
        drawn = self.transform.draw(label_map.shape[-2:], sample_generator(self.seed, epoch, index))
        return cut(picture, self.transform.labels_of(label_map, drawn), drawn, index)

    def read(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A whole picture and its label map, or with further heads the maps of all."""
        if self.cache is not None:
            picture, label_map = self.cache.read(index)
            return picture, label_map if self.heads else label_map[0]
        if self.heads:
            return read_heads(self.samples[index], self.labels, self.heads)
        return read_sample(self.samples[index], self.labels)


def training_loader(
    dataset: TrainingSet,
    batch_size: int,
    start_step: int,
    num_steps: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
    pinned: bool = False,
    order: Order | None = None,
    varied_on: torch.device | None = None,
) -> Iterator[Batch]:
    """Yields the batches of steps start_step .. num_steps - 1, through all epochs.

    Args:
        dataset: the samples.
        batch_size: samples in a batch; all of them where there are fewer.
        start_step: the first step, 0 for a new run.
        num_steps: the step after the last.
        workers: processes that read ahead; 0 reads in this one. The batches do not depend on it.
        rank, processes: of so many training processes this is the one that gets every so-many-th sample of each batch.
        pinned: batches lie in memory that a GPU can fetch from while it computes.
        order: in which the samples come; a permutation of all of them without.
        varied_on: where pictures are resized and recoloured; None: where they are read.

    Yields:
        pictures: (N, 3 + m, h, w) uint8, on `varied_on`.
        labels: (N, h, w) uint8; with T heads in all, (N, T, h, w).
        indices: (N,) int64, positions in `dataset.samples`.

    Raises:
        PictureError, DataError: a file cannot be used, as if it had been read here.
        RunError: a worker process died.
    """
    order = order or FullOrder(len(dataset), dataset.seed)
    loader = DataLoader(
        _ErrorsAsValues(dataset.__getitem__ if varied_on is None else dataset.part),
        batch_sampler=_BatchesOfSteps(
            order, len(dataset), batch_size, start_step, num_steps, rank, processes
        ),
        collate_fn=_collate,
        num_workers=workers,
        worker_init_fn=_leave_signals_to_parent,
        pin_memory=pinned,
        generator=torch.Generator().manual_seed(0),  # DataLoader would draw from the global one otherwise
    )
    batches = iter(loader)
    try:
        with worker_deaths_said():
            for batch in batches:
                if isinstance(batch, FullconvError):
                    raise batch
                yield batch if varied_on is None else varied(batch, dataset.transform, varied_on)
    finally:
        del batches  # ends the workers now; an error's traceback would keep this frame, and them, alive


@contextmanager
def worker_deaths_said() -> Iterator[None]:
    """Turns torch's word that a loading process died, which it may raise at any moment, into a RunError."""
    try:
        yield
    except FullconvError:
        raise
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise RunError(
            "a loading process died, perhaps for want of memory; use fewer workers or smaller batches "
            f"({' '.join(str(error).split())})"
        ) from error


class _BatchesOfSteps:
    """The (epoch, index) pairs of each step: batch b of an epoch has the samples at positions b * B to before (b + 1) * B.

    Of each, process r of P gets samples r, r + P, ...
    """

    def __init__(
        self,
        order: Order,
        num_samples: int,
        batch_size: int,
        start_step: int,
        num_steps: int,
        rank: int,
        processes: int,
    ) -> None:
        self.order = order
        self.num_samples = num_samples
        self.batch_size = batch_size
        self.start_step = start_step
        self.num_steps = num_steps
        self.rank = rank
        self.processes = processes

    def __len__(self) -> int:
        return max(0, self.num_steps - self.start_step)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = steps_per_epoch(self.num_samples, self.batch_size)
        for step in range(self.start_step, self.num_steps):
            epoch, batch = divmod(step, per_epoch)
            end = min((batch + 1) * self.batch_size, self.num_samples)
            positions = np.arange(batch * self.batch_size + self.rank, end, self.processes)
            yield [(epoch, index) for index in self.order(epoch, positions).tolist()]


class _ErrorsAsValues(TorchDataset):
    """Returns our own errors: raised in a worker, their one line would come out buried in its traceback."""

    def __init__(self, read: Callable[[tuple[int, int]], Part | tuple[Tensor, Tensor, int]]) -> None:
        self.read = read

    def __getitem__(self, item: tuple[int, int]) -> Part | tuple[Tensor, Tensor, int] | FullconvError:
        try:
            return self.read(item)
        except FullconvError as error:
            return error


def _collate(items: list[Any]) -> Batch | list[Part] | FullconvError:
    for item in items:
        if isinstance(item, FullconvError):
            return item
    if isinstance(items[0], Part):
        return items
    pictures, labels, indices = zip(*items, strict=True)
    return torch.stack(pictures), torch.stack(labels), torch.tensor(indices)


def _leave_signals_to_parent(worker: int) -> None:
    """Ctrl-C and a service manager's SIGTERM reach every process; only the parent answers, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
