"""The quick check before the first step: every pair is read once, so that no run dies of its data later."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fullconv.data.samples import Sample, read_sample
from fullconv.errors import DataError, InputError
from fullconv.labels import IGNORE_INDEX, LabelSet

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class DataSummary:
    """What a set of samples holds.

    Attributes:
        num_samples: pairs that could be read.
        pixels_per_class: K counts.
        void_pixels: pixels that take no part in training and metrics.
        median_hw: the median height and the median width, (0, 0) without samples.
        warnings: what is legal but suspicious, a line each.
    """

    num_samples: int
    pixels_per_class: tuple[int, ...]
    void_pixels: int
    median_hw: tuple[int, int]
    warnings: tuple[str, ...]


def check_samples(
    samples: Sequence[Sample], labels: LabelSet, progress: Progress | None = None
) -> DataSummary:
    """Reads every pair and makes sure that a run can use it: files decode, sizes agree, ids are in range.

    Args:
        samples: the pairs.
        labels: the classes.
        progress: called with (done, total) after each pair, from the calling thread.

    Raises:
        DataError: the first fault in the order of the samples, and how many more there are.
    """
    summary, faults = examine_samples(samples, labels, progress)
    if faults:
        raise DataError(faults[0] if len(faults) == 1 else f"{faults[0]} (and {len(faults) - 1} more)")
    return summary


def examine_samples(
    samples: Sequence[Sample], labels: LabelSet, progress: Progress | None = None
) -> tuple[DataSummary, tuple[str, ...]]:
    """`check_samples` for those who want all faults: a summary of what could be read, and a line each."""

    def examine(sample: Sample) -> tuple[np.ndarray, tuple[int, int]] | str:
        try:
            label_map = read_sample(sample, labels)[1]
        except InputError as error:
            return str(error)
        return np.bincount(label_map.ravel(), minlength=256), label_map.shape

    faults, sizes, readable, counts = [], [], [], []
    with ThreadPoolExecutor() as pool:
        for done, (sample, found) in enumerate(
            zip(samples, pool.map(examine, samples), strict=True), start=1
        ):
            if isinstance(found, str):
                faults.append(found)
            else:
                readable.append(sample)
                counts.append(found[0])
                sizes.append(found[1])
            if progress:
                progress(done, len(samples))
    per_mask = np.array(counts, np.int64).reshape(-1, 256)  # (masks, ids)
    totals = per_mask.sum(0)
    summary = DataSummary(
        num_samples=len(readable),
        pixels_per_class=tuple(totals[: labels.num_classes].tolist()),
        void_pixels=int(totals[IGNORE_INDEX]),
        median_hw=(int(np.median([h for h, _ in sizes])), int(np.median([w for _, w in sizes])))
        if sizes
        else (0, 0),
        warnings=_warnings(readable, per_mask, labels),
    )
    return summary, tuple(faults)


def _warnings(samples: Sequence[Sample], per_mask: np.ndarray, labels: LabelSet) -> tuple[str, ...]:
    if not samples:
        return ()
    totals, void = per_mask.sum(0), per_mask[:, IGNORE_INDEX] > 0
    lines = []
    absent = [name for index, name in enumerate(labels.names) if totals[index] == 0]
    if absent:
        lines.append(
            f"no pixel of {', '.join(absent)} in {len(samples)} masks; what is not there cannot be learnt, "
            "and the mean IU leaves it out"
        )
    binary = np.flatnonzero(void & (per_mask[:, 1] == 0) & (per_mask[:, 0] > 0))
    if labels.num_classes == 2 and binary.size:
        lines.append(
            f"{samples[binary[0]].mask}: holds only {labels.names[0]!r} and void, like {binary.size} "
            f"of {len(samples)} masks; 255 always means void: write 1 where {labels.names[1]!r} is meant"
        )
    empty = np.flatnonzero(per_mask[:, IGNORE_INDEX] == per_mask.sum(1))
    if empty.size:
        lines.append(
            f"{samples[empty[0]].mask}: is void all over, like {empty.size} of {len(samples)} masks; nothing "
            "is learnt from such a mask; label it or leave it out"
        )
    return tuple(lines)
