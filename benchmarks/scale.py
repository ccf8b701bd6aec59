"""The order of a billion pictures for a thousand readers: time, memory, restart cost, and how well it mixes.

    python benchmarks/scale.py [--samples 1000000000] [--readers 1000] [--window 65536] [--shards 100000]

For the order no picture is read: it is arithmetic. For what it takes to open a set, one small shard gets as many names as
a large set has shards. Times are processor time of one core. The checks end the program with an error where one fails.
Mixing is measured on sets sorted by class, the worst that a shuffle can be given, by the dispersion of the classes'
counts: chi-square over its degrees of freedom, which is 1 on average where every sample is drawn from all, in a batch and
in a hundred batches.
"""

import argparse
import os
import statistics
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from common import machine
from fullconv.data.dataset import open_dataset
from fullconv.data.order import STRETCH, FullOrder, Order, WindowedOrder
from fullconv.data.scenes import write_scenes
from fullconv.data.shards.catalog import Catalog, read_catalog
from fullconv.data.shards.writing import write_shards

EACH, SEED = 8, 0
"""Samples that a reader gives to a batch; the seed of all orders."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=10**9)
    parser.add_argument("--readers", type=int, default=1000)
    parser.add_argument("--window", type=int, default=2**16)
    parser.add_argument("--shards", type=int, default=100_000)
    arguments = parser.parse_args()
    print(machine())
    costs(arguments.samples, arguments.readers, arguments.window)
    opening(arguments.shards)
    coverage(arguments.samples, arguments.readers, arguments.window)
    mixing(arguments.samples, arguments.readers, arguments.window)


def costs(num_samples: int, readers: int, window: int) -> None:
    """What one reader spends on the order."""
    print(
        f"\n{num_samples:,} samples, {readers:,} readers with {EACH} samples of each batch, windows of {window:,}"
    )
    rng, batch = np.random.default_rng(1), EACH * readers
    starts, steps = [], []
    for _ in range(3):
        step, reader = int(rng.integers(num_samples // batch)), int(rng.integers(readers))
        tracemalloc.start()
        began = time.process_time()
        order = WindowedOrder(num_samples, SEED, window, readers)
        order(5, share(step, batch, reader, readers))
        starts.append(time.process_time() - began)
        held, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        began = time.process_time()
        for later in range(step + 1, step + 1001):
            order(5, share(later % (num_samples // batch), batch, reader, readers))
        steps.append((time.process_time() - began) / 1000 / EACH)
    print(
        f"    start at any step, to its first sample   {statistics.median(starts):8.3f} s, nothing read or stored"
    )
    print(f"    each sample from then on                 {1e6 * statistics.median(steps):8.1f} microseconds")
    print(f"    memory of a reader, held / at its peak   {held / 2**20:8.1f} / {peak / 2**20:.1f} MiB")
    print(f"    a permutation of all samples would hold  {8 * num_samples / 2**20:8.1f} MiB")


def opening(num_shards: int) -> None:
    """What a process spends on a data set of so many shards before its first sample, and on finding a sample."""
    with tempfile.TemporaryDirectory() as parent:
        folder, packed = Path(parent) / "many", Path(parent) / "one"
        scenes = open_dataset(
            write_scenes(Path(parent) / "scenes", num_train=100, num_val=1, size_hw=(64, 64))
        )
        write_shards(scenes, packed)
        folder.mkdir()
        (entry,) = read_catalog(packed / "train.json").shardlist
        for number in range(num_shards):
            for end in ("tar", "idx"):
                os.symlink(packed / f"train-000000.{end}", folder / f"train-{number:06d}.{end}")
        entries = tuple(entry.model_copy(update={"url": f"train-{n:06d}.tar"}) for n in range(num_shards))
        (folder / "train.json").write_text(Catalog(name="train", shardlist=entries).text())
        (folder / "dataset.yaml").write_bytes((packed / "dataset.yaml").read_bytes())
        began = time.process_time()
        samples = open_dataset(folder).split("train")
        opened = time.process_time() - began
        tracemalloc.start()
        kept = open_dataset(folder)
        held, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        began = time.process_time()
        for index in np.random.default_rng(0).integers(len(samples), size=1000).tolist():
            samples[index]
        found = (time.process_time() - began) / 1000
    print(f"\n    {num_shards:,} shards: opened in {opened:.1f} s, {held / 2**20:.0f} MiB")
    print(
        f"    any sample of {len(kept.split('train')):,} is found in {1000 * found:.2f} ms, index of its shard included"
    )


def share(step: int, batch: int, reader: int, readers: int) -> np.ndarray:
    """The positions that a reader reads for a step."""
    return np.arange(step * batch + reader, (step + 1) * batch, readers)


def coverage(num_samples: int, readers: int, window: int) -> None:
    """Checks that the readers of an epoch read each sample once: all of a smaller set, and sampled windows of the large one."""
    small = min(num_samples, 10**7) + 12345
    seen = np.zeros(small, np.uint8)
    for reader in range(readers):
        order = WindowedOrder(small, SEED, window, readers)
        np.add.at(seen, order(3, np.arange(reader, small, readers)), 1)
    assert (seen == 1).all()
    print(f"\n    {small:,} samples, {readers:,} readers: each sample read once, by one reader")

    order, rng = WindowedOrder(num_samples, SEED, window, readers), np.random.default_rng(2)
    lane_length = num_samples // readers
    windows = max(1, lane_length // window)
    chosen = {(int(rng.integers(readers)), int(rng.integers(windows))) for _ in range(60)}
    samples, places = [], []
    for lane, which in chosen:
        within = np.arange(which * lane_length // windows, (which + 1) * lane_length // windows)
        samples.append(order(3, within * readers + lane))
        places.append(len(np.unique(samples[-1] // STRETCH)))
    together = np.concatenate(samples)
    assert len(np.unique(together)) == len(together)
    assert 0 <= together.min() <= together.max() < num_samples
    print(
        f"    {len(chosen)} windows of {num_samples:,} samples: {len(together):,} samples, no two the same; a window is in "
        f"{min(places):,} to {max(places):,} stretches of {STRETCH}"
    )

    batch = EACH * readers
    for step in rng.integers(num_samples // batch, size=3).tolist():
        whole = set(order(3, np.arange(step * batch, (step + 1) * batch)).tolist())
        for processes in (1, 2, 8, readers // 2, readers):
            shares = [order(3, share(step, batch, reader, processes)) for reader in range(processes)]
            assert set(np.concatenate(shares).tolist()) == whole
            assert len(np.concatenate(shares)) == batch
    print(f"    1, 2, 8, {readers // 2:,} and {readers:,} processes have the same samples in a step")


def mixing(num_samples: int, readers: int, window: int) -> None:
    """Prints how well each order mixes sets that are sorted by class."""
    print(
        "\nsorted by class: dispersion in a batch, and in 100 batches one after the other (a full shuffle: 1.0)"
    )
    million = 10**6
    cases: list[tuple[str, Order, int, int]] = [
        ("1 million samples, full", FullOrder(million, SEED), million, 256),
        *(
            (f"1 million samples, windows of {size:,}", WindowedOrder(million, SEED, size), million, 256)
            for size in (2**12, 2**14, 2**16, 2**18)
        ),
        *(
            (f"{num_samples:,}, 1 lane, windows of {size:,}", WindowedOrder(num_samples, SEED, size), num_samples, 256)
            for size in (2**14, 2**16, 2**20)
        ),
        (
            f"{num_samples:,}, {readers:,} lanes, windows of {window:,}",
            WindowedOrder(num_samples, SEED, window, readers), num_samples, EACH * readers,
        ),
    ]  # fmt: skip
    for name, order, number, batch in cases:
        told = [f"{one:8.2f} {many:7.2f}" for one, many in dispersions(order, number, batch, (20, 1000))]
        print(f"    {name:55} 20 classes {told[0]}   1,000 classes {told[1]}")


def dispersions(
    order: Order, num_samples: int, batch: int, numbers: tuple[int, ...]
) -> list[tuple[float, float]]:
    """For each number of classes the mean dispersion in a batch and in 100 batches, over ten places of an epoch."""
    rng, found = np.random.default_rng(3), []
    for _ in range(10):
        first = int(rng.integers(num_samples // batch - 100)) * batch
        samples = order(0, np.arange(first, first + 100 * batch))
        labels = [samples * classes // num_samples for classes in numbers]
        found.append(
            [(dispersion(own[:batch], k), dispersion(own, k)) for own, k in zip(labels, numbers, strict=True)]
        )
    return [tuple(each) for each in np.mean(found, axis=0).tolist()]


def dispersion(labels: np.ndarray, classes: int) -> float:
    """Chi-square over degrees of freedom against equal counts."""
    expected = len(labels) / classes
    counts = np.bincount(labels, minlength=classes)
    return float(((counts - expected) ** 2 / expected).sum() / (classes - 1))


if __name__ == "__main__":
    main()
