"""Several processes of one run on one machine: started, watched, and started again when one of them was killed.

As `torchrun --standalone --max-restarts` does it, but where the run itself says what is wrong, nothing is said on top of it.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO

from fullconv.errors import FellowError

MOST_RESTARTS = 3
LEAVE_SECONDS = 15.0
"""How long the others may take to save and end, once one has ended."""

RESTARTS = "TORCHELASTIC_RESTART_COUNT"
"""Torchrun's variable: where it is not 0, a run goes on from its state."""

_POLL_SECONDS = 0.05


@dataclass
class Trainer:
    """A process of the run; what any but the first has to say is kept, for the first shows progress and speaks for all."""

    rank: int
    process: "subprocess.Popen[bytes]"
    said: IO[bytes] | None

    def message(self) -> str:
        """The last line that it wrote."""
        if self.said is None:
            return ""
        self.said.seek(0)
        lines = self.said.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else f"process {self.rank} ended with {self.process.returncode}"


def is_restarted() -> bool:
    """Whether this process takes the place of one that died."""
    return os.environ.get(RESTARTS, "0") != "0"


def launch(command: Sequence[str], count: int) -> int:
    """Runs `python -m fullconv` in several processes that form one world, and passes SIGINT and SIGTERM on to them.

    Args:
        command: the words behind it.
        count: how many processes.

    Returns:
        The exit code: 0, or that of the first that ended otherwise. One that a signal ended has all start again, `MOST_RESTARTS`
        times at most.
    """
    trainers: list[Trainer] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for trainer in trainers:
            trainer.process.send_signal(number)

    with ExitStack() as until_the_end:
        for each in (signal.SIGINT, signal.SIGTERM):
            until_the_end.callback(signal.signal, each, signal.signal(each, pass_on))
        return launched(command, count, trainers)


def launched(command: Sequence[str], count: int, trainers: list[Trainer]) -> int:
    """The exit code, as of `launch`; `trainers` always holds those of now."""
    for restarts in range(MOST_RESTARTS + 1):
        with ExitStack() as held:
            port = free_port()
            trainers[:] = [
                held.enter_context(started(command, rank, count, port, restarts)) for rank in range(count)
            ]
            first = first_to_fail(trainers)
            if first is None:
                return 0
            code, leaders = first.process.returncode, trainers[0].process.returncode
            if first.rank > 0 and code > 0 and leaders in (None, FellowError.exit_code):
                print(first.message(), file=sys.stderr)  # what the leader could not know
        if code > 0:
            return code
        print(f"process {first.rank} was ended by {signal.Signals(-code).name}", file=sys.stderr)
        if restarts < MOST_RESTARTS:
            print("all start again, from the saved state", file=sys.stderr)
    return 1


@contextmanager
def started(command: Sequence[str], rank: int, count: int, port: int, restarts: int) -> Iterator[Trainer]:
    """One process; killed in the end if it is still there."""
    place = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": count,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }
    threads = os.environ.get("OMP_NUM_THREADS", max(1, (os.cpu_count() or 1) // count))
    variables = place | {"OMP_NUM_THREADS": threads, RESTARTS: restarts}
    with ExitStack() as held:
        said = held.enter_context(tempfile.TemporaryFile()) if rank else None
        process = subprocess.Popen(
            [sys.executable, "-m", "fullconv", *command],
            stderr=said,
            env=os.environ | {name: str(value) for name, value in variables.items()},
            process_group=0,  # Ctrl-C comes to the launcher alone, which passes it on once
        )
        try:
            yield Trainer(rank, process, said)
        finally:
            process.kill()
            process.wait()


def first_to_fail(trainers: list[Trainer]) -> Trainer | None:
    """Waits until all have ended, but not long once one has ended badly, and gives that one."""
    deadline = float("inf")
    while True:
        failed = [trainer for trainer in trainers if trainer.process.poll()]
        failed.sort(
            key=lambda trainer: trainer.process.returncode == FellowError.exit_code
        )  # those only follow others
        if failed:
            deadline = min(deadline, time.monotonic() + LEAVE_SECONDS)
        if time.monotonic() > deadline or all(trainer.process.returncode is not None for trainer in trainers):
            return failed[0] if failed else None
        time.sleep(_POLL_SECONDS)


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        return held.getsockname()[1]
