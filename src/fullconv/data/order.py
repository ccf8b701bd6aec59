"""The order in which training visits the samples: position in the epoch -> sample, a function of (seed, epoch, position).

Two orders are there. `FullOrder` is a permutation of all samples. `WindowedOrder` is for sets too large for that: it
mixes stretches of the set, and stays near some of them for a time. Neither has a state: the sample of any step is found
by arithmetic, so a run goes on at once wherever it stopped, in any number of processes and workers.
"""

from collections.abc import Callable

import numpy as np

Order = Callable[[int, np.ndarray], np.ndarray]
"""(epoch, (n,) int64 positions in it) -> (n,) int64 samples; all positions of an epoch give each sample once."""

# numpy pads seeds with zeros, so (seed, epoch) and (seed, epoch, 0) would be one stream; the first number keeps the
# uses apart: 1 the order of all samples, 2 one sample's augmentation, 3 the order of stretches, 4 that in a window
_ORDER, _SAMPLE, _STRETCHES, _WINDOW = 1, 2, 3, 4

STRETCH = 64
"""So many neighbours stay together on the way into a window: their bytes stand together in a shard, a few megabytes."""


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
    """Stretches of samples in random order, and samples in random order within a window that moves over them.

    The set is cut into stretches of neighbouring samples. An epoch puts them one behind the other in random order:
    the tape. The tape is cut into `lanes` equal parts, and position p of the epoch lies in lane p mod `lanes`, so each
    batch has as many samples of each. A lane is cut into windows of at least `window` samples, and each is shuffled.

    So the samples that are near in time come from window / STRETCH places all over the set, and what is read at a
    time is in as many places, not in as many as there are samples. Where `lanes` is a multiple of the number of
    processes and divides the batch, process r of P reads from lanes r, r + P, ... alone. What is in a batch does not
    depend on the number of processes.

    It takes 4 bytes for each stretch, and 8 for each sample of a window in each lane that is asked for.

    Args:
        num_samples: of the set; neighbours in it are taken to be neighbours on the disk.
        seed: of all epochs.
        window: how many samples are shuffled at a time.
        lanes: how many parts of the set are gone through side by side.
    """

    def __init__(self, num_samples: int, seed: int, window: int, lanes: int = 1) -> None:
        self.num_samples, self.seed, self.window = num_samples, seed, window
        self.lanes = min(lanes, num_samples)
        self._epoch, self._stretches = -1, np.empty(0, np.int64)
        self._shuffled: dict[int, tuple[int, np.ndarray]] = {}  # of each lane the window last used

    def __call__(self, epoch: int, positions: np.ndarray) -> np.ndarray:
        """See `Order`.

        >>> order = WindowedOrder(200, seed=0, window=100, lanes=2)
        >>> sorted(order(1, np.arange(200)).tolist()) == list(range(200))
        True
        >>> order(1, np.array([150])).tolist() == order(1, np.arange(200))[150:151].tolist()
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
        for lane, window, size in set(zip(lanes.tolist(), windows.tolist(), sizes.tolist(), strict=True)):
            inside = (lanes == lane) & (windows == window)
            tape[inside] = (starts + firsts)[inside] + self._window(lane, window, size)[
                (within - firsts)[inside]
            ]
        stretches, rest = np.divmod(tape, STRETCH)
        whole = stretches < len(self._stretches)  # what is left behind the last whole stretch stays the end
        stretches[whole] = self._stretches[stretches[whole]]
        return stretches * STRETCH + rest

    def _start(self, epoch: int) -> None:
        if epoch != self._epoch:
            generator = np.random.default_rng((_STRETCHES, self.seed, epoch))
            self._epoch, self._shuffled = epoch, {}
            self._stretches = generator.permutation(self.num_samples // STRETCH).astype(np.uint32)

    def _window(self, lane: int, window: int, size: int) -> np.ndarray:
        held, shuffled = self._shuffled.get(lane, (-1, np.empty(0, np.int64)))
        if held != window:
            generator = np.random.default_rng((_WINDOW, self.seed, self._epoch, lane, window))
            shuffled = generator.permutation(size)
            self._shuffled[lane] = (window, shuffled)
        return shuffled
