"""The order of training samples, and the loader that follows it.

Everything random is a function of (seed, epoch, index). So the result does not depend on the number of
workers, and a run that goes on at step k sees the batches that it would have seen without the break.
"""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.transforms import TrainTransform
from fullconv.errors import FullconvError, RunError
from fullconv.labels import Head, LabelSet

Batch = tuple[Tensor, Tensor, Tensor]

# numpy pads seeds with zeros, so (seed, epoch) and (seed, epoch, 0) would be one stream; these keep the two
# uses apart
_ORDER, _SAMPLE = 1, 2


def epoch_order(num_samples: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the samples: (num_samples,) int64, a permutation.

    >>> sorted(epoch_order(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(num_samples)


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample's augmentation in one epoch."""
    return np.random.default_rng((_SAMPLE, seed, epoch, index))


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
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        labels: LabelSet,
        transform: TrainTransform,
        seed: int,
        heads: Sequence[Head] = (),
    ) -> None:
        self.samples = tuple(samples)
        self.labels = labels
        self.transform = transform
        self.seed = seed
        self.heads = tuple(heads)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor, int]:
        """The picture (3 + m, h, w) uint8, the labels, and the sample's index.

        The labels are (h, w) uint8, and with further heads (1 + len(heads), h, w), those of `labels` first.
        """
        epoch, index = item
        sample = self.samples[index]
        if self.heads:
            picture, label_map = read_heads(sample, self.labels, self.heads)
        else:
            picture, label_map = read_sample(sample, self.labels)
        return *self.transform(picture, label_map, sample_generator(self.seed, epoch, index)), index


def training_loader(
    dataset: TrainingSet,
    batch_size: int,
    start_step: int,
    num_steps: int,
    workers: int,
    rank: int = 0,
    processes: int = 1,
    pinned: bool = False,
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

    Yields:
        pictures: (N, 3 + m, h, w) uint8.
        labels: (N, h, w) uint8; with T heads in all, (N, T, h, w).
        indices: (N,) int64, positions in `dataset.samples`.

    Raises:
        PictureError, DataError: a file cannot be used, as if it had been read here.
        RunError: a worker process died.
    """
    loader = DataLoader(
        _ErrorsAsValues(dataset),
        batch_sampler=_BatchesOfSteps(
            len(dataset), dataset.seed, batch_size, start_step, num_steps, rank, processes
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
                yield batch
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
    """The (epoch, index) pairs of each step: batch b of epoch e is epoch_order(...)[b * B : (b + 1) * B].

    Of each, process r of P gets samples r, r + P, ...
    """

    def __init__(
        self,
        num_samples: int,
        seed: int,
        batch_size: int,
        start_step: int,
        num_steps: int,
        rank: int,
        processes: int,
    ) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self.batch_size = batch_size
        self.start_step = start_step
        self.num_steps = num_steps
        self.rank = rank
        self.processes = processes

    def __len__(self) -> int:
        return max(0, self.num_steps - self.start_step)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        per_epoch = steps_per_epoch(self.num_samples, self.batch_size)
        ordered_epoch, order = -1, np.empty(0, np.int64)
        for step in range(self.start_step, self.num_steps):
            epoch, position = divmod(step, per_epoch)
            if epoch != ordered_epoch:
                ordered_epoch, order = epoch, epoch_order(self.num_samples, self.seed, epoch)
            batch = order[position * self.batch_size : (position + 1) * self.batch_size]
            yield [(epoch, int(index)) for index in batch[self.rank :: self.processes]]


class _ErrorsAsValues(TorchDataset):
    """Returns our own errors: raised in a worker, their one line would come out buried in its traceback."""

    def __init__(self, dataset: TrainingSet) -> None:
        self.dataset = dataset

    def __getitem__(self, item: tuple[int, int]) -> tuple[Tensor, Tensor, int] | FullconvError:
        try:
            return self.dataset[item]
        except FullconvError as error:
            return error


def _collate(items: list[tuple[Tensor, Tensor, int] | FullconvError]) -> Batch | FullconvError:
    good = []
    for item in items:
        if isinstance(item, FullconvError):
            return item
        good.append(item)
    pictures, labels, indices = zip(*good, strict=True)
    return torch.stack(pictures), torch.stack(labels), torch.tensor(indices)


def _leave_signals_to_parent(worker: int) -> None:
    """Ctrl-C and a service manager's SIGTERM reach every process; only the parent answers, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
