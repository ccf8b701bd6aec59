"""Orders are permutations and functions of (seed, epoch, position) alone; windows keep what they promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.order import FullOrder, WindowedOrder, epoch_order, sample_generator

SIZES = st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(sum)


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


def by_hand(sizes: list[int], seed: int, epoch: int, window: int, lanes: int) -> list[int]:
    """The windowed order as its description tells it, with lists."""
    shards, start = [], 0
    for size in sizes:
        shards.append(list(range(start, start + size)))
        start += size
    shuffled = np.random.default_rng((3, seed, epoch)).permutation(len(sizes))
    tape = [sample for shard in shuffled for sample in shards[shard]]
    lanes = min(lanes, len(tape))
    least, longer = divmod(len(tape), lanes)
    parts = []
    for lane in range(lanes):
        length = least + (lane < longer)
        part, tape = tape[:length], tape[length:]
        number = max(1, length // window)
        cuts = [which * length // number for which in range(number + 1)]
        windows = [part[cuts[which] : cuts[which + 1]] for which in range(number)]
        parts.append([])
        for which, samples in enumerate(windows):
            drawn = np.random.default_rng((4, seed, epoch, lane, which)).permutation(len(samples))
            parts[-1] += [samples[each] for each in drawn]
    return [parts[position % lanes][position // lanes] for position in range(sum(sizes))]


@given(SIZES, st.integers(0, 2**40), st.integers(0, 100), st.integers(1, 30), st.integers(1, 8))
def test_windowed_order_is_the_one_made_by_hand(sizes, seed, epoch, window, lanes):
    order = WindowedOrder(sizes, seed, window, lanes)
    expected = by_hand(sizes, seed, epoch, window, lanes)
    assert order(epoch, np.arange(sum(sizes))).tolist() == expected
    assert sorted(expected) == list(range(sum(sizes)))


@given(SIZES, st.integers(1, 30), st.integers(1, 5), st.lists(st.integers(0, 10**6), min_size=1, max_size=20))
def test_positions_are_found_in_any_order(sizes, window, lanes, asked):
    """Nothing that was asked before changes an answer: whoever starts in the middle sees what all others see."""
    positions = np.array(asked) % sum(sizes)
    order = WindowedOrder(sizes, 7, window, lanes)
    for epoch in (1, 0, 1):
        whole = WindowedOrder(sizes, 7, window, lanes)(epoch, np.arange(sum(sizes)))
        assert order(epoch, positions).tolist() == whole[positions].tolist()
        assert [order(epoch, np.array([each]))[0] for each in positions] == whole[positions].tolist()


def test_few_shards_are_read_at_a_time():
    order = WindowedOrder([10] * 100, seed=3, window=50)
    samples = order(0, np.arange(1000))
    for start in range(0, 1000, 50):
        assert len(set(samples[start : start + 50] // 10)) == 5
    assert len(set(samples[:50] // 10)) == len({*(samples[:50] // 10)} - {*(samples[50:100] // 10)})


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_process_reads_its_own_lanes(processes):
    """With as many lanes as processes no shard is read by two, but where a lane begins within it."""
    order = WindowedOrder([10] * 80, seed=3, window=50, lanes=4)
    seen = [set(order(0, np.arange(rank, 800, processes)) // 10) for rank in range(processes)]
    assert sum(map(len, seen)) == 80
    batches = [order(0, np.arange(start, start + 8)) for start in range(0, 800, 8)]
    assert len({len(set(batch // 10)) for batch in batches} - set(range(4, 9))) == 0


def test_seed_and_epoch_change_shards_and_samples():
    orders = {
        tuple(WindowedOrder([5] * 6, seed, window=10)(epoch, np.arange(30)).tolist())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(orders) == 16
    whole = WindowedOrder([30], 0, window=30)(0, np.arange(30))
    assert whole.tolist() != FullOrder(30, 0)(0, np.arange(30)).tolist()
