"""Work done in threads ahead of the one who asks for it, in order, within bounds of number and memory."""

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

THREADS = min(8, os.cpu_count() or 1)
"""Of each stage; decoding and encoding leave Python's lock most of the time."""

UNDER_WAY = 2 * THREADS
BYTES_UNDER_WAY = 1 << 28
"""What a stage holds at most: so many items, and unless there is but one, so many bytes."""

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def pool(threads: int = THREADS) -> Iterator[Executor]:
    """Threads that drop what they have not begun when the work ends early."""
    executor = ThreadPoolExecutor(threads, initializer=give_way)
    try:
        yield executor
    finally:
        executor.shutdown(cancel_futures=True)


def give_way() -> None:
    """Lets the network's threads go first where cores are few: each of its layers waits for the slowest of them."""
    if sys.platform == "linux":  # elsewhere a priority is the whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)


def ahead(
    threads: Executor,
    function: Callable[[Item], Result],
    items: Iterable[Item],
    num_bytes: Callable[[Item], int] = lambda item: 0,
    eager: bool = False,
    most: int = UNDER_WAY,
) -> Iterator[Result]:
    """`function` of each item, in order, worked on in threads while the caller does something else.

    Args:
        threads: where.
        function: what is done.
        items: taken as late as the limits allow.
        num_bytes: the memory that an item takes while it is under way.
        eager: results are handed on as soon as they are there, not as late as the limits allow.
        most: items under way at a time.

    >>> with pool(2) as threads:
    ...     list(ahead(threads, str.upper, ["a", "b", "c"], len))
    ['A', 'B', 'C']
    """
    waiting: deque[tuple[Future[Result], int]] = deque()
    held = 0

    def oldest() -> Result:
        nonlocal held
        future, size = waiting.popleft()
        held -= size
        return future.result()

    for item in items:
        size = num_bytes(item)
        while waiting and (len(waiting) >= most or held + size > BYTES_UNDER_WAY):
            yield oldest()
        waiting.append((threads.submit(function, item), size))
        held += size
        while eager and waiting and waiting[0][0].done():
            yield oldest()
    while waiting:
        yield oldest()
