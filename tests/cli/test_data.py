"""The commands for data sets."""

import json

import pytest

from fullconv.cli import main
from fullconv.data.dataset import open_dataset


def call(capsys: pytest.CaptureFixture[str], *args: object) -> str:
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    assert not stop.value.code
    return capsys.readouterr().out


def test_sample_with_depth_and_geometry(capsys, tmp_path):
    folder = tmp_path / "scenes"
    out = call(
        capsys,
        "data",
        "sample",
        folder,
        "--train",
        2,
        "--val",
        1,
        "--depth",
        "--geometry",
        "--seed",
        5,
        "--json",
    )
    assert json.loads(out) == {
        "data": str(folder), "train": 2, "val": 1, "seed": 5, "depth": True, "geometry": True,
    }  # fmt: skip
    dataset = open_dataset(folder)
    assert dataset.num_channels == 4
    assert [head.name for head in dataset.heads] == ["geometry"]


def test_a_plain_sample_has_neither(capsys, tmp_path):
    out = call(capsys, "data", "sample", tmp_path / "scenes", "--train", 2, "--val", 1)
    assert "2 training and 1 validation scenes" in out
    dataset = open_dataset(tmp_path / "scenes")
    assert (dataset.num_channels, dataset.heads) == (3, ())
