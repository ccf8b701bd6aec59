"""The order in which training visits the samples: position in the epoch -> sample, a function of (seed, epoch, position).

Two orders are there. `FullOrder` is a permutation of all samples. `WindowedOrder` is for shards too many to be read
in any order: it stays within a few of them at a time. Neither has a state: any step is found by arithmetic, so a
run goes on at once wherever it stopped, in any number of processes and workers.
"""

from collections.abc import Callable, Sequence

import numpy as np

Order = Callable[[int, np.ndarray], np.ndarray]
"""(epoch, (n,) int64 positions in it) -> (n,) int64 samples; all positions of an epoch give each sample once."""

# numpy pads seeds with zeros, so (seed, epoch) and (seed, epoch, 0) would be one stream; the first number keeps the
# uses apart: 1 the order of all samples, 2 one sample's augmentation, 3 the order of shards, 4 the order in a window
_ORDER, _SAMPLE, _SHARDS, _WINDOW = 1, 2, 3, 4


def epoch_order(num_samples: int, seed: int, epoch: int) -> np.ndarray:
    """The order in which an epoch visits the samples: (num_samples,) int64, a permutation.

    >>> sorted(epoch_order(5, seed=0, epoch=3).tolist())
    [0, 1, 2, 3, 4]
    """
    return np.random.default_rng((_ORDER, seed, epoch)).permutation(num_samples)


def sample_generator(seed: int, epoch: int, index: int) -> np.random.Generator:
    """The generator of one sample's augmentation in one epoch."""
    return np.random.default_rng((_SAMPLE, seed, epoch, index))


class FullOrder:
    """A permutation of all samples, another in each epoch; takes 8 bytes a sample.

    >>> order = FullOrder(5, seed=0)
    >>> order(3, np.arange(5)).tolist() == epoch_order(5, seed=0, epoch=3).tolist()
    True
    """

    def __init__(self, num_samples: int, seed: int) -> None:
        self.num_samples = num_samples
        self.seed = seed
        self._epoch, self._order = -1, np.empty(0, np.int64)

    def __call__(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        if epoch != self._epoch:
            self._epoch, self._order = epoch, epoch_order(self.num_samples, self.seed, epoch)
        return self._order[positions]


class WindowedOrder:
    """Shards in random order, and samples in random order within a window that moves over them.

    The shards of an epoch stand one behind the other in random order: the tape. It is cut into `lanes` equal parts,
    and position p of the epoch lies in lane p mod `lanes`, so each batch has as many samples of each. A lane is cut
    into windows of at least `window` samples, and each is shuffled.

    So as long as `lanes` is a multiple of the number of processes and divides the batch, process r of P reads from
    lanes r, r + P, ... alone: about `window` samples of each at a time, which are in window / (samples a shard) + 1
    shards. What is in a batch does not depend on the number of processes.

    Args:
        shard_sizes: the samples in each shard; sample i is counted through the shards in this order.
        seed: of all epochs.
        window: how many samples are shuffled at a time.
        lanes: how many parts of the set are gone through side by side.
    """

    def __init__(
        self, shard_sizes: Sequence[int] | np.ndarray, seed: int, window: int, lanes: int = 1
    ) -> None:
        self.shard_sizes = np.asarray(shard_sizes, np.int64)
        self.firsts = np.cumsum(self.shard_sizes) - self.shard_sizes
        self.num_samples = int(self.shard_sizes.sum())
        self.seed, self.window, self.lanes = seed, window, max(1, min(lanes, self.num_samples))
        self._epoch = -1
        self._shuffled: dict[int, tuple[int, np.ndarray]] = {}  # of each lane the window last used

    def __call__(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """See `Order`.

        >>> order = WindowedOrder([3, 2, 4], seed=0, window=4, lanes=2)
        >>> sorted(order(1, np.arange(9)).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8]
        >>> order(1, np.array([8])).tolist() == order(1, np.arange(9))[8:].tolist()
        True
        """
        self._start(epoch)
        least, longer = divmod(self.num_samples, self.lanes)
        lanes, within = positions % self.lanes, positions // self.lanes
        lengths = least + (lanes < longer)
        starts = lanes * least + np.minimum(lanes, longer)
        numbers = np.maximum(1, lengths // self.window)
        windows = ((within + 1) * numbers - 1) // lengths
        firsts = windows * lengths // numbers
        sizes = (windows + 1) * lengths // numbers - firsts
        tape = np.empty_like(positions)
        for key in dict.fromkeys(zip(lanes.tolist(), windows.tolist(), sizes.tolist(), strict=True)):
            lane, window, size = key
            inside = (lanes == lane) & (windows == window)
            shuffled = self._window(lane, window, size)
            tape[inside] = starts[inside] + firsts[inside] + shuffled[(within - firsts)[inside]]
        places = np.searchsorted(self._ends, tape, side="right")
        shards = self._shards[places]
        return self.firsts[shards] + tape - (self._ends[places] - self.shard_sizes[shards])

    def _start(self, epoch: int) -> None:
        if epoch != self._epoch:
            self._epoch = epoch
            self._shards = np.random.default_rng((_SHARDS, self.seed, epoch)).permutation(
                len(self.shard_sizes)
            )
            self._ends = np.cumsum(self.shard_sizes[self._shards])
            self._shuffled = {}

    def _window(self, lane: int, window: int, size: int) -> np.ndarray:
        held, shuffled = self._shuffled.get(lane, (-1, np.empty(0, np.int64)))
        if held != window:
            generator = np.random.default_rng((_WINDOW, self.seed, self._epoch, lane, window))
            shuffled = generator.permutation(size)
            self._shuffled[lane] = (window, shuffled)
        return shuffled
