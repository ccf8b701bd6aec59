"""A division as a folder: it opens, holds the same pixels, and leaves the old one alone."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.data.dataset import open_dataset
from fullconv.data.resplit import Division, resplit
from fullconv.data.samples import read_heads, read_sample
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, DataError


def make(root: Path, splits: dict[str, list[str]], lists: dict[str, list[str]] | None = None) -> Path:
    """Twin trees, or a flat folder with lists; each mask holds a value of its own."""
    number = 0
    for split, names in splits.items():
        for name in names:
            number += 1
            for folder in ("images", "masks"):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (4, 3), (number, 0, 0)).save(root / "images" / split / f"{name}.png")
            Image.new("L", (4, 3), number % 3).save(root / "masks" / split / f"{name}.png")
    for split, names in (lists or {}).items():
        (root / f"{split}.txt").write_text("\n".join(names))
    (root / "dataset.yaml").write_text("name: things\nclasses: [a, b, c]\n")
    return root


def pixels_by_split(folder: Path) -> dict[str, set[tuple[int, int]]]:
    dataset = open_dataset(folder)
    return {
        split: {
            (int(picture[0, 0, 0]), int(label_map[0, 0]))
            for picture, label_map in (read_sample(sample, dataset.labels) for sample in samples)
        }
        for split, samples in dataset.splits.items()
    }


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("copy", [False, True])
def test_a_new_division(tmp_path, copy):
    names = [f"n{index}" for index in range(20)]
    source = make(tmp_path / "old", {"train": names[:15], "val": names[15:]})
    before, told = content(source), []
    made = resplit(
        open_dataset(source),
        tmp_path / "new",
        Division(val=0.2, test=0.1),
        copy=copy,
        progress=lambda done, total: told.append((done, total)),
    )
    assert {split: len(found) for split, found in made.splits.items()} == {"train": 14, "val": 4, "test": 2}
    assert told[-1] == (20, 20)
    assert content(source) == before
    old, new = pixels_by_split(source), pixels_by_split(tmp_path / "new")
    assert set.union(*new.values()) == set.union(*old.values())
    assert {split: len(found) for split, found in new.items()} == {"train": 14, "val": 4, "test": 2}
    dataset = open_dataset(tmp_path / "new")
    assert (dataset.name, dataset.labels) == ("things", open_dataset(source).labels)
    files = list((tmp_path / "new").glob("*/*.png"))
    assert len(files) == 40
    assert all(file.is_symlink() is not copy for file in files)
    for split, shares in made.shares.items():
        ids = [label for _, label in new[split]]
        assert shares == pytest.approx([ids.count(index) / len(ids) for index in range(3)])

    shutil.copytree(tmp_path, tmp_path.parent / f"{tmp_path.name}-moved", symlinks=True)  # both together
    assert pixels_by_split(tmp_path.parent / f"{tmp_path.name}-moved" / "new") == new


def test_test_stays_unless_a_part_is_asked_for(tmp_path):
    source = make(tmp_path / "old", {"train": ["a", "b", "c", "d"], "test": ["e", "f", "g", "h"]})
    made = resplit(open_dataset(source), tmp_path / "kept", Division(val=0.25))
    assert (made.kept, made.splits["test"]) == ("test", ["e", "f", "g", "h"])
    assert [len(made.splits[split]) for split in ("train", "val")] == [3, 1]
    assert pixels_by_split(tmp_path / "kept")["test"] == pixels_by_split(source)["test"]
    made = resplit(open_dataset(source), tmp_path / "new", Division(val=0.25, test=0.25))
    assert made.kept == ""
    assert [len(made.splits[split]) for split in ("train", "val", "test")] == [4, 2, 2]
    only_test = make(tmp_path / "only", {"test": ["e", "f"]})
    with pytest.raises(
        DataError, match="has no picture to divide, as test stays as it is; give --test a part, too"
    ):
        resplit(open_dataset(only_test), tmp_path / "none", Division())


def test_pictures_in_several_splits_and_names_given_twice(tmp_path):
    lists = {"train": ["a", "b"], "val": ["c"], "train_val": ["a", "b", "c"], "test": ["d"]}
    source = make(tmp_path / "voc", {"": ["a", "b", "c", "d"]}, lists)
    made = resplit(open_dataset(source), tmp_path / "new", Division(val=0.34))
    assert sorted(made.splits["train"] + made.splits["val"]) == ["a", "b", "c"]
    assert made.splits["test"] == ["d"]

    source = make(tmp_path / "twin", {"train": ["a", "b"], "val": ["a", "c"], "test": ["a"]})
    made = resplit(open_dataset(source), tmp_path / "twice", Division(val=0.5))
    assert sorted(made.splits["train"] + made.splits["val"]) == ["b", "c", "train_a", "val_a"]
    assert set.union(*pixels_by_split(tmp_path / "twice").values()) == set.union(
        *pixels_by_split(source).values()
    )


def test_folds(tmp_path):
    names = [f"n{index}" for index in range(9)]
    source = make(tmp_path / "old", {"train": names, "test": ["t"]})
    made = resplit(open_dataset(source), tmp_path / "new", Division(folds=3))
    assert {split: len(found) for split, found in made.splits.items()} == {"0": 3, "1": 3, "2": 3, "test": 1}
    folds = [pixels_by_split(tmp_path / "new" / f"fold{fold}") for fold in range(3)]
    everything = pixels_by_split(source)["train"]
    assert set.union(*(fold["val"] for fold in folds)) == everything
    for fold in folds:
        assert fold["train"] == everything - fold["val"]
        assert len(fold["val"]) == 3
        assert fold["test"] == pixels_by_split(source)["test"]


def test_groups_of_every_kind(tmp_path):
    source = make(tmp_path / "old", {"train": ["p_1", "p_2", "q_1", "q_2", "r_1", "r_2"]})
    (tmp_path / "g.csv").write_text(
        "".join(f"{name},{name[0]}\n" for name in ("p_1", "p_2", "q_1", "q_2", "r_1", "r_2"))
    )
    for number, by in enumerate(("sequence", "^(.)", str(tmp_path / "g.csv"))):
        made = resplit(open_dataset(source), tmp_path / str(number), Division(val=0.33, by=by))
        assert (made.num_groups, made.largest) == (3, 2)
        assert len({name[0] for name in made.splits["val"]}) == 1
        assert len(made.splits["val"]) == 2
    folders = make(tmp_path / "folders", {"x": ["1", "2"], "y": ["3", "4"]})
    (folders / "images" / "x").rename(folders / "images" / "train")
    (folders / "masks" / "x").rename(folders / "masks" / "train")
    made = resplit(open_dataset(folders), tmp_path / "f", Division(val=0.5, by="folder"))
    assert sorted(map(tuple, made.splits.values())) == [("1", "2"), ("3", "4")]
    with pytest.raises(DataError, match=r"got 1 group \(\*\) for 2 splits"):
        resplit(open_dataset(folders), tmp_path / "none", Division(val=0.5, by="sequence"))


def test_extra_channels_and_heads(tmp_path):
    source = write_scenes(tmp_path / "scenes", num_train=2, num_val=1, seed=1, depth=True, geometry=True)
    old = open_dataset(source)
    resplit(old, tmp_path / "new", Division(val=0.3))
    new = open_dataset(tmp_path / "new")
    assert (new.extra, new.heads, new.labels) == (old.extra, old.heads, old.labels)
    by_name = {sample.name: sample for samples in old.splits.values() for sample in samples}
    for samples in new.splits.values():
        for sample in samples:
            expected = read_heads(by_name[sample.name], old.labels, old.heads)
            for one, other in zip(read_heads(sample, new.labels, new.heads), expected, strict=True):
                assert np.array_equal(one, other)


def test_grey_masks_keep_what_is_dark(tmp_path):
    for name in ("a", "b", "c"):
        for folder in ("images", "masks"):
            (tmp_path / "old" / folder).mkdir(parents=True, exist_ok=True)
            Image.new("L", (4, 3), 250 if name == "a" else 5).save(tmp_path / "old" / folder / f"{name}.jpg")
    (tmp_path / "old" / "dataset.yaml").write_text(
        "classes: [background, bag]\nmasks: {dark: bag, light: background}"
    )
    resplit(open_dataset(tmp_path / "old"), tmp_path / "new", Division(val=0.3))
    assert set.union(*pixels_by_split(tmp_path / "new").values()) >= {(250, 0), (5, 1)}


def test_what_is_no_file_is_written_as_one(tmp_path):
    """Layouts may draw masks or hold pictures inside other files."""

    class Drawn(str):
        """A mask or a picture from elsewhere: no Path."""

    source = make(tmp_path / "old", {"train": ["a", "b"]})
    dataset = open_dataset(source)
    samples = tuple(
        replace(sample, picture=Drawn(sample.picture), mask=Drawn(sample.mask))  # type: ignore[arg-type]
        for sample in dataset.splits["train"]
    )
    resplit(replace(dataset, splits={"train": samples}), tmp_path / "new", Division(val=0.5))
    assert set.union(*pixels_by_split(tmp_path / "new").values()) == pixels_by_split(source)["train"]
    assert not any(path.is_symlink() for path in (tmp_path / "new").rglob("*"))


def test_where_there_are_no_links(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError("a required privilege is not held by the client")

    source = make(tmp_path / "old", {"train": ["a", "b", "c", "d"]})
    monkeypatch.setattr(Path, "symlink_to", refuse)
    resplit(open_dataset(source), tmp_path / "new", Division(folds=2))
    shutil.rmtree(source)
    assert len(pixels_by_split(tmp_path / "new" / "fold1")["val"]) == 2


def test_odd_names(tmp_path):
    source = make(tmp_path / "old", {"train": ["a.png", "b.1", "with space", "标志"]})
    made = resplit(open_dataset(source), tmp_path / "new", Division(val=0.25))
    assert sorted(made.splits["train"] + made.splits["val"]) == sorted(["a_png", "b.1", "with space", "标志"])
    assert sum(map(len, pixels_by_split(tmp_path / "new").values())) == 4


def test_faults(tmp_path):
    source = make(tmp_path / "old", {"train": ["a", "b"]})
    with pytest.raises(DataError, match="is there; expected a new or an empty folder; choose another"):
        resplit(open_dataset(source), source, Division())
    (source / "masks" / "train" / "a.png").write_bytes(b"")
    dataset = open_dataset(source)
    with pytest.raises(Exception, match=r"a.png: is empty \(0 bytes\)"):
        resplit(dataset, tmp_path / "new", Division())
    assert not (tmp_path / "new").exists()
    for val, test in ((0, 0), (1, 0), (0.5, 0.5), (-0.1, 0)):
        with pytest.raises(ConfigError, match="expected parts of 1, together more than 0 and less than 1"):
            Division(val, test)
    with pytest.raises(ConfigError, match="got 1 folds; expected at least 2"):
        Division(folds=1)


def test_camvid_by_sequence(real_data, tmp_path):
    made = resplit(open_dataset(real_data / "camvid"), tmp_path / "new", Division(by="sequence"))
    assert (made.num_groups, sum(map(len, made.splits.values()))) == (3, 468)
    prefixes = [{name.rstrip("0123456789") for name in names} for names in made.splits.values()]
    assert not set.intersection(*prefixes)
