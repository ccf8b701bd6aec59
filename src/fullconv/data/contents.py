"""What a data set holds: samples in splits, and the classes of their masks."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path

from fullconv.data.extra import ExtraFormat
from fullconv.data.pictures import picture_size
from fullconv.data.samples import Sample
from fullconv.data.shards.samples import ShardSamples
from fullconv.errors import DataError
from fullconv.labels import Head, LabelSet


@dataclass(frozen=True)
class Dataset:
    """A data set on disk.

    Attributes:
        name: from dataset.yaml, or the folder's.
        root: the folder that holds pictures and masks.
        layout: in words, which layout was found.
        labels: the classes.
        splits: the samples of each split, in the order of its list or of the names.
        heads: further labellings of the same pictures, as in `Sample.head_masks`.
        extra: what the files of extra channels hold, where there are some.
        least_hw: the least height and width of its pictures, if `at_least` chose them.
        layout_name: the layout's short name, as in `NAME:PATH`.
    """

    name: str
    root: Path
    layout: str
    labels: LabelSet
    splits: Mapping[str, Sequence[Sample]]
    heads: tuple[Head, ...] = ()
    extra: ExtraFormat | None = None
    least_hw: tuple[int, int] | None = None
    layout_name: str = ""

    @property
    def num_channels(self) -> int:
        """Of the pictures that `read_sample` gives: 3, and the extra ones."""
        return 3 + (self.extra.channels if self.extra else 0)

    def split(self, name: str) -> Sequence[Sample]:
        """The samples of a split, or of several: "train+val".

        Raises:
            DataError: there is no such split.
        """
        if "+" in name and name not in self.splits:
            parts = [self.split(part) for part in name.split("+")]
            shards = [part for part in parts if isinstance(part, ShardSamples)]
            if len(shards) == len(parts):  # which are not to be listed
                return reduce(add, shards)
            return tuple(sample for part in parts for sample in part)
        if name not in self.splits:
            there = ", ".join(f"{split!r} ({len(samples)})" for split, samples in self.splits.items())
            large = (
                " and pictures of at least {} x {} (height x width)".format(*self.least_hw)
                if self.least_hw
                else ""
            )
            raise DataError(f"{self.root}: got split {name!r}, expected one that has masks{large}: {there}")
        return self.splits[name]

    def at_least(self, size_hw: tuple[int, int]) -> "Dataset":
        """The data set without smaller pictures; `layout` says how many of each split are left.

        Reads the headers of all pictures. A split that would be empty is left out.

        Args:
            size_hw: the least height and the least width, for pictures as they are shown.

        Raises:
            DataError: no picture is that large.
            PictureError: one of them cannot be read.
        """
        height, width = size_hw
        splits, counts = {}, []
        with ThreadPoolExecutor() as pool:
            for split, samples in self.splits.items():
                sizes = pool.map(picture_size, [sample.picture for sample in samples])
                large = [h >= height and w >= width for h, w in sizes]
                kept = tuple(sample for sample, fits in zip(samples, large, strict=True) if fits)
                counts.append(f"{split} {len(kept)} of {len(samples)}")
                if kept:
                    splits[split] = kept
        chosen = f"pictures of at least {height} x {width} (height x width): {', '.join(counts)}"
        if not splits:
            raise DataError(f"{self.root}: got {chosen}; expected some; lower the least size")
        return replace(self, layout=f"{self.layout}; {chosen}", splits=splits, least_hw=size_hw)
