"""Faults are planted the same way each time, into a set that appears whole or not at all."""

from pathlib import Path

import pytest

from fullconv.data.doctor.kinds import KINDS
from fullconv.data.faults.planting import FAULTS, chosen_faults, write_faulty_scenes
from fullconv.errors import ConfigError, DataError, UnknownNameError


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_seed_gives_the_same_faults(tmp_path: Path):
    codes = ["mask-jpeg", "mask-ids", "near-same-across"]
    first, second, other = (
        write_faulty_scenes(tmp_path / name, codes, 9, 4, seed, (64, 64))
        for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    assert content(first) == content(second)
    assert content(first) != content(other)


def test_the_order_of_the_names_does_not_matter(tmp_path: Path):
    assert chosen_faults(["mask-ids", "mask-missing", "mask-ids"]) == ["mask-missing", "mask-ids"]
    assert chosen_faults(["all", "mask-ids"]) == [code for code, fault in FAULTS.items() if not fault.alone]
    assert chosen_faults(["layout"]) == ["layout"]


def test_each_fault_says_what_it_does():
    for fault in FAULTS.values():
        assert fault.plant.__doc__
    assert FAULTS.keys() <= KINDS.keys()


@pytest.mark.parametrize(
    ("codes", "error", "message"),
    [
        (["mask-idz"], UnknownNameError, "unknown fault 'mask-idz'; did you mean 'mask-ids'?"),
        (
            ["layout", "mask-ids"],
            ConfigError,
            "--fault layout changes the whole set; expected it alone, got 2",
        ),
        (["all", "layout"], ConfigError, "--fault layout changes the whole set; expected it alone"),
        (
            ["mask-ids", "mask-jpeg", "unreadable", "mask-void"],
            ConfigError,
            "got 9 training and 4 validation scenes for 4 faults; expected at least 12 and 3",
        ),
    ],
)
def test_what_cannot_be_planted(tmp_path: Path, codes, error, message):
    with pytest.raises(error) as caught:
        write_faulty_scenes(tmp_path / "a", codes, 9, 4, 0, (64, 64))
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match="exists and is not empty"):
        write_faulty_scenes(tmp_path / "a", ["mask-ids"], 9, 4, 0, (64, 64))
    assert (tmp_path / "a" / "mine.txt").read_text() == "mine"
    (tmp_path / "empty").mkdir()
    assert content(write_faulty_scenes(tmp_path / "empty", ["mask-ids"], 9, 4, 0, (64, 64)))
