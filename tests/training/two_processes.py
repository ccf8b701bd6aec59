"""A command in two processes that form one world, and how far apart the states of two runs are."""

import os
import socket
import subprocess
from contextlib import ExitStack

import torch


def in_two_processes(command: list[str]) -> None:
    """As torchrun does, but without the seconds that it takes itself. FREE_PORTS are for further worlds of the same processes."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(8)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        port, *further = (str(each.getsockname()[1]) for each in sockets)
    shared = {
        "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
        "FREE_PORTS": " ".join(further),
    }  # fmt: skip
    both = [
        subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=os.environ | shared | {"RANK": str(rank)}
        )
        for rank in range(2)
    ]
    errors = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors


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
