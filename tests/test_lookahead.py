"""Work in threads: in order, within its limits, while the caller does something else."""

import threading

import pytest

from fullconv import lookahead
from fullconv.lookahead import ahead, pool


def test_ahead_keeps_order_and_its_limits(monkeypatch):
    monkeypatch.setattr(lookahead, "BYTES_UNDER_WAY", 100)
    for num_bytes, most in ((1, 4), (40, 2), (1000, 1)):
        taken = []

        def items(taken=taken):
            for item in range(20):
                taken.append(item)
                yield item

        with pool(3) as threads:
            results = ahead(threads, lambda item: item * item, items(), lambda _, n=num_bytes: n, most=4)
            for given, result in enumerate(results):
                assert result == given * given
                assert len(taken) <= given + 1 + most, "one more item is taken than fits"
            assert given == 19


def test_ahead_works_while_its_caller_does_something_else():
    begun = [threading.Event() for _ in range(3)]
    with pool(1) as threads:
        results = ahead(threads, lambda item: begun[item].set() or item, range(3), lambda _: 1)
        assert next(results) == 0
        assert begun[1].wait(60)
        assert begun[2].wait(60)
        assert list(results) == [1, 2]


def test_ahead_hands_errors_on_in_their_place():
    with pool(2) as threads:
        results = ahead(threads, lambda item: 1 / item, [1, 2, 0, 4], lambda _: 1, eager=True)
        assert [next(results), next(results)] == [1, 0.5]
        with pytest.raises(ZeroDivisionError):
            next(results)
