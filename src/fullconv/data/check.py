"""The quick check before the first step: every pair is read once, so that no run dies of its data later.

It is the part of the data doctor (`fullconv.data.doctor`) that needs nothing but the reading and the counts of ids.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fullconv.data.doctor.counted import counted_findings
from fullconv.data.doctor.examination import Examined, examine
from fullconv.data.samples import Sample
from fullconv.data.shards.samples import ShardSamples
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Head, LabelSet
from fullconv.lookahead import ahead

Progress = Callable[[int, int], None]

MOST_CHECKED = 10_000
"""Of the samples in shards, so many are read before the first step; single files are all read."""

STRETCHES = 100
"""Samples that stand together cost one index and neighbouring bytes of one shard."""


@dataclass(frozen=True)
class DataSummary:
    """What a set of samples holds.

    Attributes:
        num_samples: samples that could be read.
        pixels_per_class: K counts.
        void_pixels: pixels that take no part in training and metrics.
        median_hw: the median height and the median width, (0, 0) without samples.
        warnings: what is legal but suspicious, a line each.
        pixels_per_head: the counts of each further head's classes.
        smallest_hw, largest_hw: the size of the picture of the fewest and of the most pixels, (0, 0) without samples.
    """

    num_samples: int
    pixels_per_class: tuple[int, ...]
    void_pixels: int
    median_hw: tuple[int, int]
    warnings: tuple[str, ...]
    pixels_per_head: tuple[tuple[int, ...], ...] = ()
    smallest_hw: tuple[int, int] = (0, 0)
    largest_hw: tuple[int, int] = (0, 0)


def quick_part(samples: Sequence[Sample]) -> Sequence[Sample]:
    """All samples; of shards with more than `MOST_CHECKED`, so many, in stretches spread over all.

    >>> len(quick_part(()))
    0
    """
    if not isinstance(samples, ShardSamples) or len(samples) <= MOST_CHECKED:
        return samples
    length = MOST_CHECKED // STRETCHES
    starts = [which * (len(samples) - length) // (STRETCHES - 1) for which in range(STRETCHES)]
    return [sample for start in starts for sample in samples[start : start + length]]


def check_samples(
    samples: Sequence[Sample],
    labels: LabelSet,
    progress: Progress | None = None,
    heads: Sequence[Head] = (),
    *,
    learnt: bool = True,
) -> DataSummary:
    """Reads all files of every sample and makes sure that a run can use them.

    They decode, their sizes agree with the picture's, their ids are in range, and they do not all say one thing.

    Args:
        samples: the samples.
        labels: the classes.
        progress: called with (done, total) after each sample, from the calling thread.
        heads: the data set's further heads.
        learnt: the samples are for training; those that are measured may be of one class.

    Raises:
        DataError: the first fault in the order of the samples, and how many more there are.
    """
    summary, faults = examine_samples(samples, labels, progress, heads, learnt=learnt)
    if faults:
        told = faults[0] if len(faults) == 1 else f"{faults[0]} (and {len(faults) - 1} more)"
        raise DataError(told, "faulty")
    return summary


def examine_samples(
    samples: Sequence[Sample],
    labels: LabelSet,
    progress: Progress | None = None,
    heads: Sequence[Head] = (),
    *,
    learnt: bool = True,
) -> tuple[DataSummary, tuple[str, ...]]:
    """`check_samples` for those who want all faults: a summary of what could be read, and a line each."""
    examined = []
    for done, each in enumerate(examine_all(samples, labels, heads), start=1):
        examined.append(each)
        if progress:
            progress(done, len(samples))
    readable = [each for each in examined if not each.faults]
    faults = [each.faults[0].text for each in examined if each.faults]
    findings = counted_findings(readable, labels, heads, learnt=learnt)
    faults += [each.line for each in findings if each.severity == "ruins"]
    warnings = [each.line for each in findings if each.severity != "ruins"]
    totals = [_total(readable, index) for index in range(1 + len(heads))]
    sizes = [each.size_hw for each in readable if each.size_hw]
    summary = DataSummary(
        num_samples=len(readable),
        pixels_per_class=tuple(totals[0][: labels.num_classes].tolist()),
        void_pixels=int(totals[0][IGNORE_INDEX]),
        median_hw=(int(np.median([h for h, _ in sizes])), int(np.median([w for _, w in sizes])))
        if sizes
        else (0, 0),
        warnings=tuple(warnings),
        pixels_per_head=tuple(
            tuple(total[: head.labels.num_classes].tolist())
            for head, total in zip(heads, totals[1:], strict=True)
        ),
        smallest_hw=min(sizes, key=math.prod, default=(0, 0)),
        largest_hw=max(sizes, key=math.prod, default=(0, 0)),
    )
    return summary, tuple(faults)


def examine_all(
    samples: Sequence[Sample], labels: LabelSet, heads: Sequence[Head] = (), *, thorough: bool = False
) -> Iterator[Examined]:
    """`examine` of each sample, in order, in threads."""
    pool = ThreadPoolExecutor()
    try:
        yield from ahead(pool, lambda sample: examine(sample, labels, heads, thorough=thorough), samples)
    finally:
        pool.shutdown(cancel_futures=True)


def _total(examined: Sequence[Examined], head: int) -> np.ndarray:
    """(256,) int64: the pixels of each id."""
    total = np.zeros(256, np.int64)
    for each in examined:
        for index, count in (each.counts[head] or {}).items():
            total[index] += count
    return total
