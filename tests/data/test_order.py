"""Orders are permutations and functions of (seed, epoch, position) alone; windows keep what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.order import STRETCH, WindowedOrder, epoch_order, sample_generator


@given(st.integers(1, 50), st.integers(0, 2**40), st.integers(0, 1000))
def test_the_order_is_a_permutation_and_a_function_of_its_arguments(num_samples, seed, epoch):
    order = epoch_order(num_samples, seed, epoch)
    assert sorted(order.tolist()) == list(range(num_samples))
    assert (order == epoch_order(num_samples, seed, epoch)).all()


def test_each_seed_epoch_and_sample_has_a_stream_of_its_own():
    draws = {
        tuple(sample_generator(seed, epoch, index).integers(0, 2**60, 2).tolist())
        for seed in range(4)
        for epoch in range(4)
        for index in range(4)
    }
    assert len(draws) == 64
    assert (
        len({tuple(epoch_order(30, seed, epoch).tolist()) for seed in range(4) for epoch in range(4)}) == 16
    )


def test_the_order_of_an_epoch_is_independent_of_its_samples_augmentation():
    order = epoch_order(30, 1, 2).tolist()
    assert all(order != sample_generator(1, 2, index).permutation(30).tolist() for index in range(3))


def by_hand(num_samples: int, seed: int, epoch: int, window: int, lanes: int) -> list[int]:
    """The windowed order as its description tells it, with lists."""
    stretches = [
        list(range(first, first + STRETCH)) for first in range(0, num_samples - STRETCH + 1, STRETCH)
    ]
    shuffled = np.random.default_rng((3, seed, epoch)).permutation(len(stretches))
    tape = [sample for which in shuffled for sample in stretches[which]]
    tape += range(len(tape), num_samples)
    lanes = min(lanes, num_samples)
    least, longer = divmod(num_samples, lanes)
    parts = []
    for lane in range(lanes):
        length = least + (lane < longer)
        part, tape = tape[:length], tape[length:]
        number = max(1, length // window)
        cuts = [which * length // number for which in range(number + 1)]
        parts.append([])
        for which in range(number):
            samples = part[cuts[which] : cuts[which + 1]]
            drawn = np.random.default_rng((4, seed, epoch, lane, which)).permutation(len(samples))
            parts[-1] += [samples[each] for each in drawn]
    return [parts[position % lanes][position // lanes] for position in range(num_samples)]


NUMBERS = st.integers(1, 700)
WINDOWS, LANES = st.integers(10, 300), st.integers(1, 9)


@given(NUMBERS, st.integers(0, 2**40), st.integers(0, 100), WINDOWS, LANES)
def test_windowed_order_is_the_one_made_by_hand(num_samples, seed, epoch, window, lanes):
    order = WindowedOrder(num_samples, seed, window, lanes)
    expected = by_hand(num_samples, seed, epoch, window, lanes)
    assert order(epoch, np.arange(num_samples)).tolist() == expected
    assert sorted(expected) == list(range(num_samples))


@given(NUMBERS, WINDOWS, LANES, st.lists(st.integers(0, 10**6), min_size=1, max_size=6))
def test_positions_are_found_in_any_order(num_samples, window, lanes, asked):
    """Nothing that was asked before changes an answer: whoever starts in the middle sees what all others see."""
    positions = np.array(asked) % num_samples
    order = WindowedOrder(num_samples, 7, window, lanes)
    for epoch in (1, 0, 1):
        whole = WindowedOrder(num_samples, 7, window, lanes)(epoch, np.arange(num_samples))
        assert order(epoch, positions).tolist() == whole[positions].tolist()
        assert [order(epoch, np.array([each]))[0] for each in positions] == whole[positions].tolist()


def test_few_places_are_read_at_a_time():
    order = WindowedOrder(100 * STRETCH, seed=3, window=5 * STRETCH)
    stretches = order(0, np.arange(100 * STRETCH)).reshape(20, 5 * STRETCH) // STRETCH
    assert [len(set(window)) for window in stretches] == [5] * 20
    assert np.abs(np.diff(np.sort(stretches[0]))).max() > 5  # which are far from each other


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_process_reads_its_own_lanes(processes):
    """With a multiple of as many lanes no stretch is read by two processes."""
    number = 40 * STRETCH
    order = WindowedOrder(number, seed=3, window=100, lanes=4)
    seen = [set(order(0, np.arange(rank, number, processes)) // STRETCH) for rank in range(processes)]
    assert sum(map(len, seen)) == 40
    batch = order(0, np.arange(8, 16))
    assert set(batch[0::processes] // STRETCH) <= seen[0]


def test_seed_and_epoch_change_stretches_and_samples():
    number = 6 * STRETCH
    orders = {
        tuple(WindowedOrder(number, seed, window=100)(epoch, np.arange(number)).tolist())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(orders) == 16


def test_many_samples_are_not_listed():
    """Some are asked for, of which all are others; only the stretches' order is made."""
    order = WindowedOrder(10**8, seed=0, window=2**16, lanes=1000)
    batch = order(2, np.arange(5 * 10**7 + 3, 5 * 10**7 + 3 + 4000, 1000))
    assert len(set(batch.tolist())) == 4
    assert batch.max() < 10**8
    assert order(2, np.arange(5 * 10**7 + 3, 5 * 10**7 + 4, 1000)).tolist() == batch[:1].tolist()
