"""R1: a training that is killed at random moments, again and again, ends in the bits of one that is not.

    python benchmarks/kills.py [--kills 100]

For 0 and for 2 loading processes: one run without a break, then runs that `kill -9` meets at random moments and that are resumed
until they end, until so many kills were made. Batch normalisation, dropout and augmentation are on; every state file is
compared with the whole run's, weights, statistics and optimiser, to the bit. Processes are forked, so that each starts within
milliseconds.
"""

import argparse
import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import torch

from common import machine
from fullconv.data.scenes import write_scenes
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.state import STATE, read_state


def config(scenes: Path, out: Path, workers: int) -> TrainConfig:
    return TrainConfig(
        data=scenes, out=out, model="fcn8s", backbone="mobilenetv3_small_050", backbone_weights="none", epochs=6, batch_size=4,
        crop=(64, 64), workers=workers, precision="fp32", ema=0.9, save_minutes=0.002,
    )  # fmt: skip


def started(configuration: TrainConfig) -> int:
    """A process that trains, from its state where there is one, and ends with 0."""
    process = os.fork()
    if process:
        return process
    os.setsid()
    resume = (configuration.out / "config.yaml").exists()
    try:
        list(train(configuration, resume=resume))
        os._exit(0)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", flush=True)
        os._exit(1)


def tensors(out: Path) -> dict[str, torch.Tensor]:
    return read_state(out / "checkpoints" / STATE)[1]


def broken_run(configuration: TrainConfig, seconds: float, generator: random.Random) -> int:
    """Kills and resumes until the run ends; gives the number of kills."""
    kills = 0
    while True:
        process = started(configuration)
        deadline = time.monotonic() + generator.uniform(0, seconds)
        while time.monotonic() < deadline:
            ended, status = os.waitpid(process, os.WNOHANG)
            if ended:
                assert status == 0, "a resumed run failed"
                return kills
            time.sleep(0.002)
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        kills += 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=100)
    wanted = parser.parse_args().kills
    print(machine(), flush=True)
    torch.set_num_threads(1)
    generator = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        scenes = write_scenes(Path(folder) / "scenes", num_train=8, num_val=2, size_hw=(64, 80))
        for workers in (0, 2):
            whole, broken = Path(folder) / f"whole{workers}", Path(folder) / f"broken{workers}"
            began = time.monotonic()
            assert os.waitpid(started(config(scenes, whole, workers)), 0)[1] == 0
            seconds = time.monotonic() - began
            want, kills, runs, equal = tensors(whole), 0, 0, 0
            while kills < wanted:
                shutil.rmtree(broken, ignore_errors=True)
                kills += broken_run(config(scenes, broken, workers), seconds / 2, generator)
                got = tensors(broken)
                runs += 1
                equal += got.keys() == want.keys() and all(
                    torch.equal(got[name], want[name]) for name in want
                )
            print(
                f"{workers} loading processes: {kills} kills in {runs} runs of {seconds:.1f} s; {equal} of {runs} ended in the "
                "same bits",
                flush=True,
            )


if __name__ == "__main__":
    main()
