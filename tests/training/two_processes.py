"""Two processes that form one world, for as many jobs as tests have, and how far apart the states of two runs are."""

import json
import os
import socket
import subprocess
import sys
import traceback
from contextlib import ExitStack
from pathlib import Path

import torch

TRAIN = """
import sys
from fullconv.cli import main
try:
    main(["train", *sys.argv[1:]])
except SystemExit as stop:
    assert not stop.code, stop.code
"""
"""A job: `fullconv train` with the words."""


class Pair:
    """Does as torchrun does, but starts the two processes once: what they import takes longer than what they are to do."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[str]] = []

    def __call__(self, code: str, *words: object) -> None:
        """Runs Python in both, as a script with arguments. `os.environ["FREE_PORTS"]` has ports for further worlds."""
        if not self.processes or any(process.poll() is not None for process in self.processes):
            self.stop()
            self.processes = [started(rank) for rank in range(2)]
        job = {"code": code, "words": [str(word) for word in words], "ports": free_ports()}
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
        errors = [process.stdout.readline() for process in self.processes if process.stdout is not None]
        wrong = [
            json.loads(error) for error in errors if error not in ("", '""\n')
        ]  # "": it has ended itself
        assert not wrong, "\n".join(wrong)

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.communicate()
        self.processes = []


def started(rank: int) -> "subprocess.Popen[str]":
    world = {"OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "RANK": str(rank)}
    return subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | world,
    )


def free_ports() -> list[str]:
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(8)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in sockets]


def work() -> None:
    """Does jobs from stdin, and answers each with its traceback."""
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        job = json.loads(line)
        os.environ["MASTER_PORT"], *further = job["ports"]
        os.environ["FREE_PORTS"] = " ".join(further)
        sys.argv = ["job", *job["words"]]
        error = ""
        try:
            exec(compile(job["code"], "job", "exec"), {"__name__": "__main__"})
        except BaseException:
            error = traceback.format_exc()
        print(json.dumps(error), file=answers, flush=True)


def farthest(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> float:
    """The largest relative distance of two tensors of a name. Gradients, as momentum, are among them.

    Sums in another order differ by rounding, which grows most in biases before a normalisation, whose gradient is nearly zero.
    A loss divided by each process's own pixels would be off by a tenth.
    """
    assert ours.keys() == theirs.keys()
    return max(
        float((theirs[n] - ours[n]).norm() / ours[n].norm().clamp(min=1e-12))
        for n in map(str, ours)
        if ours[n].is_floating_point()
    )


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    work()
