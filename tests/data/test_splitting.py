"""Divisions are disjoint, complete, whole in their groups, near their parts, and the same in any order."""

import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.data.splitting import (
    divide,
    fold_fractions,
    groups_by_pattern,
    groups_by_sequence,
    groups_from_csv,
    num_sequences,
)
from fullconv.errors import ConfigError, DataError

FRACTIONS = st.sampled_from(
    [
        {"train": 0.9, "val": 0.1},
        {"train": 0.7, "val": 0.2, "test": 0.1},
        {"train": 0.05, "val": 0.95},
        {"val": 0.5, "test": 0.5},
        fold_fractions(3),
        fold_fractions(5),
    ]
)
SIZES = st.lists(st.integers(1, 12), min_size=5, max_size=40)


def grouped(sizes: list[int]) -> dict[str, str]:
    return {f"{group}_{member}": f"g{group}" for group, size in enumerate(sizes) for member in range(size)}


def pixels_of(names: list[str], seed: int) -> dict[str, list[int]]:
    draw = np.random.default_rng(seed)
    rare = draw.random((len(names), 3)) < [0.9, 0.3, 0]
    rare[draw.permutation(len(names))[:12], 2] = True
    counts = (draw.integers(1, 100_000, (len(names), 3)) * rare).tolist()
    return dict(zip(names, counts, strict=True))


@given(SIZES, FRACTIONS, st.booleans(), st.integers(0, 10))
def test_every_division(sizes, fractions, stratified, seed):
    groups = grouped(sizes)
    pixels = pixels_of(list(groups), seed) if stratified else None
    splits = divide(groups, fractions, pixels, seed)
    assert list(splits) == list(fractions)
    everything = [name for names in splits.values() for name in names]
    assert sorted(everything) == sorted(groups)  # complete, and disjoint
    where = {name: split for split, names in splits.items() for name in names}
    for group in set(groups.values()):
        assert len({where[name] for name in groups if groups[name] == group}) == 1
    number, largest = len(groups), max(sizes)
    for split, part in fractions.items():
        got = len(splits[split])
        assert 1 <= got < part * number + largest + 1e-6
        assert got > part * number - (len(fractions) - 1) * largest - 1e-6

    shuffled = list(groups.items())
    random.Random(seed).shuffle(shuffled)
    again = divide(dict(shuffled), dict(reversed(fractions.items())), pixels, seed)
    assert {split: again[split] for split in splits} == splits or len(set(fractions.values())) < len(
        fractions
    )
    assert divide(dict(shuffled), fractions, pixels, seed) == splits


@given(st.integers(10, 300), st.integers(0, 100))
def test_single_pictures_come_in_exact_numbers(number, seed):
    names = {str(index): str(index) for index in range(number)}
    splits = divide(names, {"train": 0.8, "val": 0.2}, seed=seed)
    assert abs(len(splits["val"]) - 0.2 * number) < 1


def test_every_picture_has_the_same_chance():
    """Of 300 seeds each of 20 names is in val some 60 times; six standard deviations are 42."""
    names = {f"n{index}": f"n{index}" for index in range(20)}
    counts = dict.fromkeys(names, 0)
    for seed in range(300):
        for name in divide(names, {"train": 0.8, "val": 0.2}, seed=seed)["val"]:
            counts[name] += 1
    assert all(abs(count - 60) < 42 for count in counts.values())


def test_two_pictures():
    assert sorted(map(len, divide({"a": "a", "b": "b"}, {"train": 0.99, "val": 0.01}).values())) == [1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_stratified_shares_are_nearer_than_those_of_chance(seed):
    names = [f"n{index}" for index in range(300)]
    pixels = pixels_of(names, seed)
    fractions = {"train": 0.8, "val": 0.1, "test": 0.1}
    totals = np.sum(list(pixels.values()), axis=0)

    def worst(splits: dict[str, list[str]]) -> float:
        found = [
            np.sum([pixels[name] for name in splits[split]], axis=0) / totals / part
            for split, part in fractions.items()
        ]
        return float(np.abs(np.array(found) - 1)[:, :2].max())

    groups = {name: name for name in names}
    even = divide(groups, fractions, pixels, seed)
    assert worst(even) < 0.05
    assert worst(even) < worst(divide(groups, fractions, None, seed))
    rare = [{name for name in names if pixels[name][2]} & set(members) for members in even.values()]
    assert all(rare)  # a class of twelve pictures is in each split


def test_too_few_groups():
    with pytest.raises(DataError) as caught:
        divide({"a": "x", "b": "x"}, {"train": 0.9, "val": 0.1})
    assert str(caught.value) == (
        "got 1 group (x) for 2 splits; expected at least one for each; group the pictures otherwise"
    )


def test_sequences():
    names = ["0001TP_006690", "0001TP_006720", "Seq05VD_f00000", "a1b2", "a3b7", "cover", "7"]
    assert groups_by_sequence(names) == {
        "0001TP_006690": "0001TP_*",
        "0001TP_006720": "0001TP_*",
        "Seq05VD_f00000": "Seq05VD_f*",
        "a1b2": "a1b*",
        "a3b7": "a3b*",
        "cover": "cover",
        "7": "*",
    }
    assert groups_by_sequence(["frame12_left", "frame13_left", "frame13_right"]) == {
        "frame12_left": "frame*_left",
        "frame13_left": "frame*_left",
        "frame13_right": "frame*_right",
    }
    assert num_sequences(["cover", "back"]) == num_sequences([]) == num_sequences(["a1", "a2", "a3"]) == 0


def test_patterns():
    names = ["paris_01", "paris_02", "rome_01"]
    assert groups_by_pattern(names, r"_(\d+)") == {"paris_01": "01", "paris_02": "02", "rome_01": "01"}
    assert groups_by_pattern(names, r"(p)aris|(r)ome") == {"paris_01": "p", "paris_02": "p", "rome_01": "r"}
    with pytest.raises(
        DataError, match=re.escape("'^r' is not in 2 of 3 names, such as 'paris_01'; expected it in each")
    ):
        groups_by_pattern(names, "^r")
    with pytest.raises(
        ConfigError, match=r"'\(' is no regular expression \(.*\); expected one, 'sequence', 'folder' or"
    ):
        groups_by_pattern(names, "(")


def test_a_csv(tmp_path):
    path = tmp_path / "groups.csv"
    path.write_bytes(
        '\ufeffpicture,patient\r\na,1\r\nimages/b.jpg, 2 \r\n\r\n"c, d",1,more\r\nelse,9\r\n'.encode()
    )
    assert groups_from_csv(["a", "b", "c, d"], path) == {"a": "1", "b": "2", "c, d": "1"}
    with pytest.raises(
        DataError, match=r"groups.csv: 2 of 3 pictures have no group, such as 'x'; expected a line NAME,GR"
    ):
        groups_from_csv(["a", "x", "y"], path)
    with pytest.raises(DataError, match="cannot be read"):
        groups_from_csv(["a"], tmp_path / "none.csv")
    path.write_bytes(b"a,\xff\n")
    with pytest.raises(DataError, match=r"cannot be read .* expected lines NAME,GROUP in UTF-8"):
        groups_from_csv(["a"], path)
