"""fullconv data split."""

import json
from pathlib import Path

from calling import call
from data_sets import stripes, write_set

from fullconv.data.dataset import open_dataset


def scenes(root: Path, num_train: int, num_val: int) -> Path:
    maps = [stripes(4, 12, [0, 1, number % 2]) for number in range(num_train + num_val)]
    return write_set(root, {"train": maps[:num_train], "val": maps[num_train:]}, ["background", "bag"])


def test_split(capsys, tmp_path):
    folder = scenes(tmp_path / "scenes", 9, 3)
    code, out, err = call(capsys, "data", "split", folder, tmp_path / "new", "--val", 0.25, "--stratify")
    assert code == 0
    lines = out.splitlines()
    assert lines[:2] == [
        "                        train      val",
        "pictures                    9        3",
    ]
    assert lines[2].startswith("background ")
    assert lines[-1] == f"{tmp_path}/new: each picture by itself"
    assert "note   the names look like frames of 2 sequences; --by sequence keeps each whole\n" in err
    assert err.endswith(f"next   fullconv train {tmp_path}/new --out runs/new\n")
    assert {split: len(samples) for split, samples in open_dataset(tmp_path / "new").splits.items()} == {
        "train": 9,
        "val": 3,
    }


def test_folds_of_sequences(capsys, tmp_path):
    folder = scenes(tmp_path / "scenes", 9, 3)
    code, out, err = call(capsys, "data", "split", folder, tmp_path / "new", "--folds", 2, "--by", "sequence")
    assert code == 0
    assert out.startswith("                        fold0    fold1\npictures                    9        3\n")
    assert f"{tmp_path}/new: 2 groups, the largest of 9\n" in out
    assert (
        "note   fold0 has 75.0% of the pictures, 50.0% were asked for: groups are whole, and the largest has 9\n"
        in err
    )
    assert f"next   fullconv train {tmp_path}/new/fold0 --out runs/new\n" in err


def test_json(capsys, tmp_path):
    folder = scenes(tmp_path / "scenes", 3, 1)
    code, out, err = call(
        capsys, "data", "split", folder, tmp_path / "new", "--test", 0.25, "--json", "--copy"
    )
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert told["splits"] == {"train": 2, "val": 1, "test": 1}
    assert sum(told["shares"]["val"].values()) == 1
    assert (told["groups"], told["largest_group"], told["kept"]) == (4, 1, "")


def test_mistakes(capsys, tmp_path):
    folder = scenes(tmp_path / "scenes", 3, 1)
    for args, said in (
        ([folder, tmp_path / "new", "--val", 2], "got val 2.0 and test 0.0; expected parts of 1"),
        ([folder, tmp_path / "new", "--by", "("], "'(' is no regular expression"),
        ([folder, folder], "is there; expected a new or an empty folder"),
        ([tmp_path / "none", tmp_path / "new"], "no such folder"),
    ):
        code, out, err = call(capsys, "data", "split", *args)
        assert (code, out) == (1, "")
        assert said in err
        assert err.count("\n") == 1
