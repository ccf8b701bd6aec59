"""Figures as text and files."""

import json

import numpy as np

from fullconv.labels import LabelSet
from fullconv.metrics import Confusion
from fullconv.reporting.tables import figures_table, write_evaluation

LABELS = LabelSet.from_names(["sky", "road", "unicorn"])


def figures() -> dict:
    confusion = Confusion(3)
    confusion.update(np.array([[0, 0, 1, 1]], np.uint8), np.array([[0, 0, 0, 1]], np.uint8))
    return confusion.summary(LABELS.names, 1, "val")


def test_the_table_is_in_percent_and_says_what_is_absent():
    lines = figures_table(figures()).splitlines()
    assert lines[1].split() == ["sky", "66.7", "66.7", "3"]
    assert lines[2].split() == ["road", "50.0", "100.0", "1"]
    assert lines[3].split() == ["unicorn", "n/a", "n/a", "0"]
    assert "mean IU                 58.3" in lines
    assert lines[-1] == "over 1 pictures of split 'val'"


def test_files(tmp_path):
    sample = (np.zeros((8, 9, 3), np.uint8), np.zeros((8, 9), np.uint8), np.ones((8, 9), np.uint8))
    write_evaluation(tmp_path / "e", figures(), [sample], LABELS)
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text()) == figures()
    assert (tmp_path / "e" / "samples.jpg").read_bytes()[:2] == b"\xff\xd8"
    write_evaluation(tmp_path / "f", figures(), [], LABELS)
    assert [file.name for file in (tmp_path / "f").iterdir()] == ["evaluation.json"]
