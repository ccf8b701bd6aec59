"""What a data set holds, counted in one pass over its masks."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path, PurePath

import numpy as np

from fullconv.data.dataset import Dataset
from fullconv.data.masks import read_mask
from fullconv.data.pictures import picture_size
from fullconv.data.samples import Sample
from fullconv.errors import DataError, InputError
from fullconv.labels import IGNORE_INDEX, LabelSet
from fullconv.lookahead import THREADS, ahead
from fullconv.metrics.ceiling import STRIDES, ceiling_of
from fullconv.metrics.confusion import Confusion

Progress = Callable[[int, int], None]

SizeHW = tuple[int, int]

NUM_RARE = 6
"""So many of the rarest classes get an example of their own."""
NUM_TYPICAL = 6


@dataclass(frozen=True)
class SplitFacts:
    """What one split holds; sizes are (height, width), of pictures as they are shown.

    Attributes:
        num_pictures: pictures with a mask that could be read.
        smallest_hw, median_hw, largest_hw: by the number of pixels; the median is that of heights and that of widths.
        kinds: how many pictures have which end, such as ".jpg".
        mask_kinds: the same of the masks.
        pixels_per_class: K counts.
        pictures_per_class: K counts: in how many pictures a class occurs.
        void_pixels: pixels that take no part.
        ceilings: of each stride, the highest mean IU that it admits; None where no pixel has a class.
    """

    num_pictures: int
    smallest_hw: SizeHW
    median_hw: SizeHW
    largest_hw: SizeHW
    kinds: dict[str, int]
    mask_kinds: dict[str, int]
    pixels_per_class: tuple[int, ...]
    pictures_per_class: tuple[int, ...]
    void_pixels: int
    ceilings: dict[int, float | None]

    @property
    def shares(self) -> list[float]:
        """The part that each class has of the pixels that are not void."""
        total = sum(self.pixels_per_class)
        return [count / total if total else 0.0 for count in self.pixels_per_class]

    @property
    def void_share(self) -> float:
        """The void part of all pixels."""
        total = sum(self.pixels_per_class) + self.void_pixels
        return self.void_pixels / total if total else 0.0


@dataclass(frozen=True)
class Example:
    """A picture to look at.

    Attributes:
        sample: the picture and its mask.
        rare: the id of the rare class that it shows best; None: it is one of those spread evenly over the split.
    """

    sample: Sample
    rare: int | None = None


@dataclass(frozen=True)
class DataFacts:
    """What a data set holds.

    Attributes:
        name, root, layout, labels: as in `Dataset`.
        splits: by name.
        main: the split that advice is taken from: train, or else the largest.
        examples: of the main split.
        unreadable: a line for each file that could not be read.
    """

    name: str
    root: Path
    layout: str
    labels: LabelSet
    splits: dict[str, SplitFacts]
    main: str
    examples: tuple[Example, ...] = ()
    unreadable: tuple[str, ...] = ()

    @property
    def effective_classes(self) -> float:
        """As many classes of equal share would be as balanced: e to the entropy of the main split's shares.

        Source: Hill 1973, "Diversity and evenness", the number of order 1.
        """
        shares = np.array([share for share in self.splits[self.main].shares if share])
        return float(np.exp(-(shares * np.log(shares)).sum()))

    @property
    def ratio(self) -> float:
        """How many times the pixels of the rarest class of the main split the commonest has; absent classes are left out."""
        present = [count for count in self.splits[self.main].pixels_per_class if count]
        return max(present) / min(present) if present else 1.0


@dataclass(frozen=True)
class _Seen:
    """One sample, looked at."""

    sample: Sample
    size_hw: SizeHW
    pixels: np.ndarray  # (K,)
    void: int
    ceilings: tuple[Confusion, ...]


@dataclass
class _Tally:
    """Sums over the samples of one split."""

    num_classes: int
    sizes: list[SizeHW] = field(default_factory=list)
    kinds: Counter[str] = field(default_factory=Counter)
    mask_kinds: Counter[str] = field(default_factory=Counter)
    void: int = 0

    def __post_init__(self) -> None:
        self.pixels = np.zeros(self.num_classes, np.int64)
        self.pictures = np.zeros(self.num_classes, np.int64)
        self.ceilings = [Confusion(self.num_classes) for _ in STRIDES]

    def add(self, seen: _Seen) -> None:
        self.sizes.append(seen.size_hw)
        self.kinds[_end(seen.sample.picture)] += 1
        self.mask_kinds[_end(seen.sample.mask)] += 1
        self.pixels += seen.pixels
        self.pictures += seen.pixels > 0
        self.void += seen.void
        for total, one in zip(self.ceilings, seen.ceilings, strict=True):
            total.matrix += one.matrix

    def facts(self) -> SplitFacts:
        by_pixels = sorted(self.sizes, key=lambda size: (size[0] * size[1], size))
        median = np.median(np.array(self.sizes), axis=0)
        return SplitFacts(
            num_pictures=len(self.sizes),
            smallest_hw=by_pixels[0],
            median_hw=(int(median[0]), int(median[1])),
            largest_hw=by_pixels[-1],
            kinds=dict(self.kinds.most_common()),
            mask_kinds=dict(self.mask_kinds.most_common()),
            pixels_per_class=tuple(self.pixels.tolist()),
            pictures_per_class=tuple(self.pictures.tolist()),
            void_pixels=self.void,
            ceilings={
                stride: confusion.mean_iou for stride, confusion in zip(STRIDES, self.ceilings, strict=True)
            },
        )


def data_facts(dataset: Dataset, split: str | None = None, progress: Progress | None = None) -> DataFacts:
    """Reads every mask once, and the header of every picture.

    Args:
        dataset: an open data set.
        split: the only one to look at; all without.
        progress: called with (done, total) after each sample.

    Raises:
        DataError: there is no such split, or not one file of a split can be read.
    """
    splits = dataset.splits if split is None else {split: dataset.split(split)}
    main = "train" if "train" in splits else max(splits, key=lambda name: len(splits[name]))
    tallies = {name: _Tally(dataset.labels.num_classes) for name in splits}
    within: dict[tuple[str, str], list[str]] = {}
    samples: dict[tuple[str, str], Sample] = {}
    for name, members in splits.items():
        for sample in members:
            key = (str(sample.picture), str(sample.mask))
            samples.setdefault(key, sample)
            within.setdefault(key, []).append(name)
    unreadable, best = [], _Best(dataset.labels.num_classes)
    for key, seen in zip(samples, _look(list(samples.values()), dataset.labels, progress), strict=True):
        if isinstance(seen, str):
            unreadable.append(seen)
            continue
        for name in within[key]:
            tallies[name].add(seen)
        if main in within[key]:
            best.add(seen)
    empty = [name for name, tally in tallies.items() if not tally.sizes]
    if empty:
        more = f" (and {len(unreadable) - 1} more)" if len(unreadable) > 1 else ""
        raise DataError(f"split {empty[0]!r} has no picture that can be read: {unreadable[0]}{more}")
    facts = {name: tally.facts() for name, tally in tallies.items()}
    examples = (*_spread(splits[main], NUM_TYPICAL), *best.examples(facts[main]))
    return DataFacts(
        dataset.name, dataset.root, dataset.layout, dataset.labels, facts, main, examples, tuple(unreadable)
    )


def _look(samples: Sequence[Sample], labels: LabelSet, progress: Progress | None) -> Iterator[_Seen | str]:
    """Each sample looked at, in order; a line about it where it cannot be read."""

    def look(sample: Sample) -> _Seen | str:
        try:
            size_hw = picture_size(sample.picture)
            label_map = read_mask(sample.mask, labels, sample.shades)
        except InputError as error:
            return str(error)
        counts = np.bincount(label_map.ravel(), minlength=IGNORE_INDEX + 1)
        ceilings = []
        for stride in STRIDES:
            confusion = Confusion(labels.num_classes)
            confusion.update(ceiling_of(label_map, stride, IGNORE_INDEX), label_map)
            ceilings.append(confusion)
        return _Seen(
            sample, size_hw, counts[: labels.num_classes], int(counts[IGNORE_INDEX]), tuple(ceilings)
        )

    with ThreadPoolExecutor(THREADS) as threads:
        for done, seen in enumerate(ahead(threads, look, samples), start=1):
            yield seen
            if progress:
                progress(done, len(samples))


@dataclass
class _Best:
    """Of each class, the sample of which it fills the largest part."""

    num_classes: int

    def __post_init__(self) -> None:
        self.parts = np.zeros(self.num_classes)
        self.samples: list[Sample | None] = [None] * self.num_classes

    def add(self, seen: _Seen) -> None:
        parts = seen.pixels / max(1, int(seen.pixels.sum()) + seen.void)
        for index in np.flatnonzero(parts > self.parts):
            self.parts[index], self.samples[index] = parts[index], seen.sample

    def examples(self, facts: SplitFacts) -> list[Example]:
        """Of the rarest classes that occur, the rarest first."""
        order = sorted(
            (count, index) for index, count in enumerate(facts.pixels_per_class) if self.samples[index]
        )
        chosen = [index for _, index in order[: min(NUM_RARE, (len(order) + 1) // 2)]]
        return [Example(sample, index) for index in chosen if (sample := self.samples[index])]


def _spread(samples: Sequence[Sample], number: int) -> list[Example]:
    """At most `number` samples, evenly spread, the first and the last among them."""
    number = min(number, len(samples))
    last = max(1, number - 1)
    return [Example(samples[round(i * (len(samples) - 1) / last)]) for i in range(number)]


def _end(file: object) -> str:
    return PurePath(str(file)).suffix.lower() or "none"
