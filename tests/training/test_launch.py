"""Several processes of one machine: what one trains, though one of them is killed; what each has to say."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest
from two_processes import farthest

from fullconv.cli import main
from fullconv.data.scenes import write_scenes
from fullconv.training import launch as launching
from fullconv.training.launch import launch
from fullconv.training.state import STATE, read_state

STAND_IN = """
import os, pathlib, signal, sys, time
rank, restarts = os.environ["RANK"], int(os.environ["TORCHELASTIC_RESTART_COUNT"])
assert (os.environ["WORLD_SIZE"], os.environ["LOCAL_RANK"], sys.argv[1:]) == ("2", rank, ["train", "data"])
leads = rank == "0"
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capfd):
    """Launches a script in the place of fullconv: exit code and the lines of stderr."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(launching, "LEAVE_SECONDS", 1.0)

    def launched(script: str) -> tuple[int, list[str]]:
        (tmp_path / "fullconv.py").write_text(STAND_IN + script)
        handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        code = launch(["train", "data"], 2)
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        return code, capfd.readouterr().err.splitlines()

    return launched


def test_the_leader_speaks_for_all(run):
    assert run("print(rank, file=sys.stderr)") == (0, ["0"])


def test_an_error_is_said_once_and_ends_all(run):
    said = "print('error: no such folder', file=sys.stderr); sys.exit(1)"
    assert run(said) == (1, ["error: no such folder"])
    assert run(f"if leads: time.sleep(0.3)\n{said}") == (1, ["error: no such folder"])


@pytest.mark.parametrize("leader", ["sys.exit(3)", "time.sleep(60)"])
def test_what_only_one_process_knows_is_said(run, leader):
    code, lines = run(f"if leads: {leader}\nprint('error: GPU 1 is gone', file=sys.stderr); sys.exit(1)")
    assert (code, lines) == (1, ["error: GPU 1 is gone"])


def test_a_process_that_is_killed_has_all_start_again(run):
    code, lines = run(
        "if restarts < 2 and not leads: os.kill(os.getpid(), signal.SIGKILL)\nif restarts < 2: sys.exit(3)"
    )
    assert code == 0
    assert lines == ["process 1 was ended by SIGKILL", "all start again, from the saved state"] * 2


def test_but_not_for_ever(run):
    code, lines = run("os.kill(os.getpid(), signal.SIGKILL)")
    assert code == 1
    assert sum("start again" in line for line in lines) == launching.MOST_RESTARTS
    assert "was ended by SIGKILL" in lines[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_are_passed_on_once(run, tmp_path, number):
    def send() -> None:
        while len(list(tmp_path.glob("ready*"))) < 2:
            time.sleep(0.02)
        os.kill(os.getpid(), number)

    sender = threading.Thread(target=send)
    sender.start()
    code, lines = run(
        "got = []\n"
        f"signal.signal({int(number)}, lambda *_: got.append(1))\n"
        "pathlib.Path('ready' + rank).touch()\n"
        "while not got: time.sleep(0.02)\n"
        "time.sleep(0.1)\n"
        "print(len(got), file=sys.stderr)\n"
        "sys.exit(130)"
    )
    sender.join()
    assert (code, lines) == (130, ["1"])


def test_one_process_and_wrong_counts(capsys, tmp_path):
    for count, code, words in (("0", 2, "0 is not in the range"), ("1", 1, "no such folder")):
        with pytest.raises(SystemExit) as stop:
            main(["train", str(tmp_path / "none"), "--out", str(tmp_path / "run"), "--processes", count])
        assert stop.value.code == code
        assert words in capsys.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("number", [2, 4])
def test_one_of_several_is_killed_and_the_weights_are_those_of_one_process(tmp_path, number):
    scenes = write_scenes(tmp_path / "s", num_train=12, num_val=2, size_hw=(64, 64))
    options = [
        "--model", "fcn16s", "--backbone", "test_resnet", "--backbone-weights", "none", "--epochs", "3", "--batch-size", "4",
        "--crop", "64x64", "--precision", "fp32", "--workers", "0", "--set", "optimizer=sgd", "--set", "save_minutes=1e-9",
    ]  # fmt: skip
    with pytest.raises(SystemExit) as stop:
        main(["train", str(scenes), *options, "--out", str(tmp_path / "one")])
    assert not stop.value.code
    assert launch(["train", str(scenes), *options, "--out", str(tmp_path / "several")], number) == 0
    killer = threading.Thread(target=kill_one, args=(tmp_path / "broken", number - 1))
    killer.start()
    assert launch(["train", str(scenes), *options, "--out", str(tmp_path / "broken")], number) == 0
    killer.join()
    one, several, broken = (
        read_state(tmp_path / name / "checkpoints" / STATE)[1] for name in ("one", "several", "broken")
    )
    ours, theirs = (
        {name: t for name, t in each.items() if name.startswith("model.")} for each in (one, several)
    )
    assert farthest(ours, theirs) < 1e-2
    assert all(several[name].equal(broken[name]) for name in several)


def kill_one(out: Path, rank: int) -> None:
    """Kills one of the trainers after an epoch."""
    me = os.getpid()
    while not (out / "checkpoints" / "last" / "model.json").exists():
        time.sleep(0.02)
    children = [
        int(word)
        for each in Path(f"/proc/{me}/task").iterdir()
        for word in (each / "children").read_text().split()
    ]
    ranks = {
        f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"): child
        for child in children
        if b"train" in Path(f"/proc/{child}/cmdline").read_bytes()
    }
    os.kill(ranks[True], signal.SIGKILL)
