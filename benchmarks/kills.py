"""R1 and R2: a training that is killed at random moments, again and again, ends in the bits of one that is not.

    python benchmarks/kills.py [--kills 100]
    python benchmarks/kills.py --processes 2 [--sharded] --kills 20

One run without a break, then runs that `kill -9` meets at random moments and that are resumed until they end, until so many
kills were made; one process is killed alone, for 0 and for 2 loading processes, several with all their tree at once. Batch
normalisation, dropout and augmentation are on; the state is saved after each step, loaded after each kill, and at the end
compared with the whole run's, weights, statistics and optimiser, to the bit. Processes are forked, so that each starts within
milliseconds. Exits with 1 where a run ended in other bits, or a kill cost more than the step that was not yet saved.
"""

import argparse
import mmap
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch

from common import machine
from fullconv.data.scenes import write_scenes
from fullconv.training.config import TrainConfig
from fullconv.training.launch import free_port
from fullconv.training.loop import train
from fullconv.training.sharded_state import read_shards
from fullconv.training.state import SHARDS, STATE, read_state

STEPS_DONE = mmap.mmap(-1, 8)
"""What the trainers have done, where their parent sees it."""


def config(scenes: Path, out: Path, workers: int, processes: int, sharded: bool) -> TrainConfig:
    # Each normalisation has several processes wait for each other, and perhaps for a core.
    backbone = "mobilenetv3_small_050" if processes == 1 else "test_resnet"
    return TrainConfig(
        data=scenes, out=out, model="fcn8s", backbone=backbone, backbone_weights="none", epochs=6, batch_size=4,
        crop=(64, 64), workers=workers, precision="fp32", ema=0.9, save_minutes=1e-9, sharding="full" if sharded else "none",
    )  # fmt: skip


def started(configuration: TrainConfig, processes: int) -> int:
    """A process that trains, or several and the one that waits for them; from the state where there is one. It ends with 0."""
    STEPS_DONE[:] = bytes(8)
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    top = os.fork()
    if top:
        return top
    os.setsid()
    if processes == 1:
        trained(configuration)
    ranks = []
    for rank in range(processes):
        os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(processes)}
        ranks.append(os.fork())
        if ranks[-1] == 0:
            trained(configuration)
    failed = [rank for rank in ranks if os.waitpid(rank, 0)[1]]
    os._exit(len(failed))


def trained(configuration: TrainConfig) -> None:
    """Trains to the end, and ends the process."""
    resume = (configuration.out / "config.yaml").exists()
    try:
        for event in train(configuration, resume=resume):
            if event["kind"] == "tick":
                STEPS_DONE[:] = event["step"].to_bytes(8, "little")
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


def state(configuration: TrainConfig) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    checkpoints = configuration.out / "checkpoints"
    return (
        read_state(checkpoints / STATE)
        if configuration.sharding == "none"
        else read_shards(checkpoints / SHARDS)
    )


def lost_steps(configuration: TrainConfig) -> int:
    """Steps that were done when the run was killed, and that its state does not have."""
    done = int.from_bytes(STEPS_DONE[:], "little")
    return done and done - state(configuration)[0]["progress"]["step"]


def broken_run(
    configuration: TrainConfig, processes: int, seconds: float, generator: random.Random
) -> list[int]:
    """Kills and resumes until the run ends; gives the steps that each kill cost."""
    lost = []
    while True:
        top = started(configuration, processes)
        deadline = time.monotonic() + generator.uniform(0, seconds)
        while time.monotonic() < deadline:
            ended, status = os.waitpid(top, os.WNOHANG)
            if ended:
                assert status == 0, "a resumed run failed"
                return lost
            time.sleep(0.002)
        if processes == 1:
            os.kill(top, signal.SIGKILL)
            os.waitpid(top, 0)
        else:
            kill_tree(top)
        lost.append(lost_steps(configuration))
        print(
            f"killed after {int.from_bytes(STEPS_DONE[:], 'little')} steps, {lost[-1]} lost", file=sys.stderr
        )


def kill_tree(top: int) -> None:
    """Kills a process and all that it started, and waits until none is left."""
    while True:
        try:
            os.killpg(top, signal.SIGKILL)
            os.waitpid(top, os.WNOHANG)
            time.sleep(0.002)
        except ProcessLookupError:
            return
        except ChildProcessError:
            time.sleep(0.002)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--sharded", action="store_true")
    options = parser.parse_args()
    print(machine(), flush=True)
    torch.set_num_threads(1)
    generator, failed = random.Random(0), False
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_scenes(Path(folder) / "scenes", num_train=8, num_val=2, size_hw=(64, 80))
        for workers in (0, 2) if options.processes == 1 else (0,):
            whole, broken = (
                config(scenes, Path(folder) / f"{name}{workers}", workers, options.processes, options.sharded)
                for name in ("whole", "broken")
            )
            began = time.monotonic()
            assert os.waitpid(started(whole, options.processes), 0)[1] == 0
            seconds = time.monotonic() - began
            want, lost, runs, equal = state(whole)[1], [], 0, 0
            while len(lost) < options.kills:
                shutil.rmtree(broken.out, ignore_errors=True)
                # Several processes take much of the time to start.
                most = seconds / 2 if options.processes == 1 else seconds
                lost += broken_run(broken, options.processes, most, generator)
                got = state(broken)[1]
                runs += 1
                equal += got.keys() == want.keys() and all(
                    torch.equal(got[name], want[name]) for name in want
                )
            print(
                f"{options.processes} processes{', sharded' * options.sharded}, {workers} loaders each: {len(lost)} "
                f"kills in {runs} runs of {seconds:.1f} s, {sum(map(bool, lost))} cost a step done, none more than {max(lost)}; "
                f"{equal} of {runs} ended in the same bits",
                flush=True,
            )
            failed |= equal < runs or max(lost) > 1
    sys.exit(failed)


if __name__ == "__main__":
    main()
