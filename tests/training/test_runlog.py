"""The log: whole lines, also after a crash in the middle of one."""

import json

import pytest

from fullconv.errors import StorageError
from fullconv.training.runlog import append


def test_lines_are_appended_and_a_broken_one_does_not_swallow_the_next(tmp_path):
    append(tmp_path, {"kind": "start"})
    with (tmp_path / "log.jsonl").open("ab") as file:
        file.write(b'{"kind": "st')
    append(tmp_path, {"kind": "step", "step": 1})
    lines = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(lines[0]) == {"kind": "start"}
    assert json.loads(lines[2]) == {"kind": "step", "step": 1}


def test_a_folder_that_is_gone(tmp_path):
    with pytest.raises(StorageError, match=r"log\.jsonl: No such file.*--resume"):
        append(tmp_path / "gone", {"kind": "start"})
