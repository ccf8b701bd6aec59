"""The quick check before the first step: every pair is read once, so that no run dies of its data later."""

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from fullconv.data.masks import read_brightness
from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.data.sources import MaskFile, MaskSource
from fullconv.errors import DataError, InputError
from fullconv.labels import IGNORE_INDEX, Head, LabelSet

Progress = Callable[[int, int], None]

UNCERTAIN = (64, 192)
"""Grey from the first to before the second is neither dark nor light."""

MOST_UNCERTAIN = 0.03
"""The part of a grey mask's pixels that may be so; JPEG's loss at outlines makes less than a thousandth."""


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


def check_samples(
    samples: Sequence[Sample],
    labels: LabelSet,
    progress: Progress | None = None,
    heads: Sequence[Head] = (),
) -> DataSummary:
    """Reads all files of every sample and makes sure that a run can use them.

    They decode, their sizes agree with the picture's, their ids are in range.

    Args:
        samples: the samples.
        labels: the classes.
        progress: called with (done, total) after each sample, from the calling thread.
        heads: the data set's further heads.

    Raises:
        DataError: the first fault in the order of the samples, and how many more there are.
    """
    summary, faults = examine_samples(samples, labels, progress, heads)
    if faults:
        raise DataError(faults[0] if len(faults) == 1 else f"{faults[0]} (and {len(faults) - 1} more)")
    return summary


def examine_samples(
    samples: Sequence[Sample],
    labels: LabelSet,
    progress: Progress | None = None,
    heads: Sequence[Head] = (),
) -> tuple[DataSummary, tuple[str, ...]]:
    """`check_samples` for those who want all faults: a summary of what could be read, and a line each."""

    def examine(sample: Sample) -> tuple[np.ndarray, tuple[int, int], float] | str:
        try:
            label_maps = (
                read_heads(sample, labels, heads)[1] if heads else read_sample(sample, labels)[1][None]
            )
            uncertain = _uncertain_part(sample)
        except InputError as error:
            return str(error)
        counts = np.stack([np.bincount(label_map.ravel(), minlength=256) for label_map in label_maps])
        return counts, label_maps.shape[1:], uncertain

    faults, sizes, readable, counts, uncertain = [], [], [], [], []
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
                uncertain.append(found[2])
            if progress:
                progress(done, len(samples))
    per_mask = np.array(counts, np.int64).reshape(-1, 1 + len(heads), 256)  # (samples, heads, ids)
    totals = per_mask.sum(0)
    warnings = [*_warnings([sample.mask for sample in readable], per_mask[:, 0], labels)]
    warnings += _unclear_shades(readable, np.array(uncertain))
    for index, head in enumerate(heads):
        masks = [sample.head_masks[index] for sample in readable]
        warnings += [
            f"head {head.name}: {line}" for line in _warnings(masks, per_mask[:, 1 + index], head.labels)
        ]
    summary = DataSummary(
        num_samples=len(readable),
        pixels_per_class=tuple(totals[0, : labels.num_classes].tolist()),
        void_pixels=int(totals[0, IGNORE_INDEX]),
        median_hw=(int(np.median([h for h, _ in sizes])), int(np.median([w for _, w in sizes])))
        if sizes
        else (0, 0),
        warnings=tuple(warnings),
        pixels_per_head=tuple(
            tuple(totals[1 + index, : head.labels.num_classes].tolist()) for index, head in enumerate(heads)
        ),
        smallest_hw=min(sizes, key=math.prod, default=(0, 0)),
        largest_hw=max(sizes, key=math.prod, default=(0, 0)),
    )
    return summary, tuple(faults)


def _uncertain_part(sample: Sample) -> float:
    """The part of a grey mask's pixels that are neither dark nor light."""
    if sample.shades is None or isinstance(sample.mask, MaskSource):
        return 0.0
    grey = read_brightness(sample.mask)
    return float(((grey >= UNCERTAIN[0]) & (grey < UNCERTAIN[1])).mean())


def _unclear_shades(samples: Sequence[Sample], uncertain: np.ndarray) -> list[str]:
    unclear = np.flatnonzero(uncertain > MOST_UNCERTAIN)
    if not unclear.size:
        return []
    worst = int(uncertain.argmax())
    return [
        f"{samples[worst].mask}: {uncertain[worst]:.0%} of its pixels are neither dark nor light, but grey of "
        f"{UNCERTAIN[0]}..{UNCERTAIN[1] - 1}; more than {MOST_UNCERTAIN:.0%} are in {unclear.size} of "
        f"{len(samples)} masks; look whether they are black and white"
    ]


def _warnings(masks: Sequence[MaskFile], per_mask: np.ndarray, labels: LabelSet) -> tuple[str, ...]:
    if not masks:
        return ()
    totals, void = per_mask.sum(0), per_mask[:, IGNORE_INDEX] > 0
    lines = []
    absent = [name for index, name in enumerate(labels.names) if totals[index] == 0]
    if absent:
        lines.append(
            f"no pixel of {', '.join(absent)} in {len(masks)} masks; what is not there cannot be learnt, "
            "and the mean IU leaves it out"
        )
    binary = np.flatnonzero(void & (per_mask[:, 1] == 0) & (per_mask[:, 0] > 0))
    if labels.num_classes == 2 and binary.size:
        lines.append(
            f"{masks[binary[0]]}: holds only {labels.names[0]!r} and void, like {binary.size} "
            f"of {len(masks)} masks; 255 always means void: write 1 where {labels.names[1]!r} is meant"
        )
    empty = np.flatnonzero(per_mask[:, IGNORE_INDEX] == per_mask.sum(1))
    if empty.size:
        lines.append(
            f"{masks[empty[0]]}: is void all over, like {empty.size} of {len(masks)} masks; nothing "
            "is learnt from such a mask; label it or leave it out"
        )
    return tuple(lines)
