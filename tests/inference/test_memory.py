"""How much memory there is, as the machine and the container say."""

import pytest
import torch

from fullconv.inference import memory
from fullconv.inference.memory import available_memory, left_of_group


@pytest.fixture
def group(tmp_path):
    """Makes a control group of 1000 bytes, of which 400 are taken, 100 of them by files that may go."""
    own, folder = tmp_path / "own", tmp_path / "root" / "a" / "b"
    folder.mkdir(parents=True)
    own.write_text("1:name=systemd:/x\n0::/a/b\n")
    for name, content in (("max", "1000\n"), ("current", "400\n"), ("stat", "anon 300\ninactive_file 100\n")):
        (folder / f"memory.{name}").write_text(content)
    return own, tmp_path / "root"


def test_what_is_left_of_a_group(group):
    assert left_of_group(*group) == 700


@pytest.mark.parametrize(("name", "content"), [("max", "max\n"), ("stat", "anon 300\n"), ("current", "")])
def test_without_a_limit_nothing_is_said(group, name, content):
    (group[1] / "a" / "b" / f"memory.{name}").write_text(content)
    assert left_of_group(*group) == 1 << 62


def test_another_system(tmp_path):
    assert left_of_group(tmp_path / "none", tmp_path) == 1 << 62
    (tmp_path / "own").write_text("12:memory:/a\n")
    assert left_of_group(tmp_path / "own", tmp_path) == 1 << 62


def test_a_container_of_less_memory_than_the_machine(monkeypatch):
    free = available_memory(torch.device("cpu"))
    assert free > 0
    monkeypatch.setattr(memory, "left_of_group", lambda: 12345)
    assert available_memory(torch.device("cpu")) == 12345
