"""Two machines, each a network namespace of its own with a link between: what torchrun trains there, and what becomes of losses.

Needs root, and Linux's `ip`.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from torch import Tensor
from two_processes import farthest

from fullconv.cli import main
from fullconv.data.scenes import write_scenes
from fullconv.training.state import STATE, read_state

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not shutil.which("ip") or os.geteuid() != 0, reason="needs root, and ip of iproute2"),
]

OPTIONS = [
    "--model", "fcn16s", "--backbone", "test_resnet", "--backbone-weights", "none", "--epochs", "4", "--batch-size", "4",
    "--crop", "64x64", "--precision", "fp32", "--workers", "0", "--set", "optimizer=sgd", "--set", "save_minutes=1e-9",
]  # fmt: skip
ADDRESSES = ("10.97.0.1", "10.97.0.2")
SECONDS = 240


def ip(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True)


@dataclass
class Machines:
    """Two of them, the first of which is where all meet.

    Attributes:
        names: of their network namespaces.
        data: what is learnt from; both see it.
    """

    names: tuple[str, str]
    data: Path

    def start(self, which: int, out: Path, *more: str) -> subprocess.Popen:
        """One machine's torchrun, as docs/scale.md has it."""
        place = ["--local-addr", ADDRESSES[which], "--rdzv-conf", f"is_host={1 - which}"]
        torchrun = [
            sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1", "--max-restarts", "3",
        ]  # fmt: skip
        meet = ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{ADDRESSES[0]}:29400", *place]
        fullconv = ["-m", "fullconv", "train", str(self.data), "--out", str(out), *OPTIONS, *more]
        environment = os.environ | {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1", "OMP_NUM_THREADS": "1"}
        with open(out.with_name(f"{out.name}{which}.log"), "a") as log:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.names[which], *torchrun, *meet, *fullconv],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def processes(self, which: int, trainers_only: bool) -> list[int]:
        listed = ip("netns", "pids", self.names[which]).stdout
        pids = [int(word) for word in listed.split()]
        words = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in pids}
        return [pid for pid in pids if not trainers_only or "torch.distributed.run" not in words[pid]]

    def kill(self, which: int, trainers_only: bool = False) -> None:
        for pid in self.processes(which, trainers_only):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def machines(tmp_path) -> Iterator[Machines]:
    names = f"fc{os.getpid()}a", f"fc{os.getpid()}b"
    links = tuple(f"v{name}" for name in names)

    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", links[0], "netns", names[0], "type", "veth", "peer", "name", links[1], "netns", names[1])  # fmt: skip
        for name, link, address in zip(names, links, ADDRESSES, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", link)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", link, "up")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    both = Machines(names, write_scenes(tmp_path / "s", num_train=12, num_val=2, size_hw=(64, 64)))
    try:
        yield both
    finally:
        for which, name in enumerate(names):
            both.kill(which)
            ip("netns", "delete", name)


def state(out: Path) -> dict[str, Tensor]:
    return read_state(out / "checkpoints" / STATE)[1]


def wait_for_an_epoch(out: Path) -> None:
    for _ in range(10 * SECONDS):
        if (out / "checkpoints" / "last" / "model.json").exists():
            return
        time.sleep(0.1)
    pytest.fail(f"no epoch: {out.with_name(f'{out.name}0.log').read_text()[-2000:]}")


def test_two_machines_train_what_one_process_trains_whatever_is_lost(machines, tmp_path):
    with pytest.raises(SystemExit) as stop:
        main(["train", str(machines.data), *OPTIONS, "--out", str(tmp_path / "one")])
    assert not stop.value.code

    whole = [machines.start(which, tmp_path / "whole") for which in (0, 1)]
    assert [each.wait(SECONDS) for each in whole] == [0, 0]
    ours, theirs = (
        {name: t for name, t in state(tmp_path / each).items() if name.startswith("model.")}
        for each in ("one", "whole")
    )
    assert farthest(ours, theirs) < 1e-2

    # A trainer is lost: torchrun starts all of them again, and they go on from the state.
    broken = [machines.start(which, tmp_path / "trainer") for which in (0, 1)]
    wait_for_an_epoch(tmp_path / "trainer")
    machines.kill(1, trainers_only=True)
    assert [each.wait(SECONDS) for each in broken] == [0, 0]

    # A machine is lost: the run is started again on both.
    first, second = (machines.start(which, tmp_path / "machine") for which in (0, 1))
    wait_for_an_epoch(tmp_path / "machine")
    machines.kill(1)
    second.wait(SECONDS)
    first.send_signal(signal.SIGTERM)
    first.wait(SECONDS)
    again = [machines.start(which, tmp_path / "machine", "--resume") for which in (0, 1)]
    assert [each.wait(SECONDS) for each in again] == [0, 0]

    want = state(tmp_path / "whole")
    for name in ("trainer", "machine"):
        got = state(tmp_path / name)
        assert all(want[key].equal(got[key]) for key in want), name
