"""The cache of converted models: hits, damage, size, and folders that may not be written."""

import os

import pytest

from fullconv.inference.engines import cache
from fullconv.inference.engines.cache import drop_oldest, kept


class Maker:
    """Counts how often it is asked."""

    def __init__(self, content: bytes = b"model") -> None:
        self.content = content
        self.calls = 0

    def __call__(self) -> bytes:
        self.calls += 1
        return self.content


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FULLCONV_CACHE", str(tmp_path))
    return tmp_path / "engines"


def test_made_once(folder):
    make = Maker()
    assert [kept("a", make), kept("a", make)] == [b"model", b"model"]
    assert make.calls == 1
    assert kept("b", Maker(b"other")) == b"other"
    assert sorted(file.name for file in folder.iterdir()) == ["a", "b"]


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-1], lambda d: d + b"x", lambda d: b"x" + d[1:], lambda d: b""]
)
def test_a_damaged_file_is_made_anew(folder, damage):
    make = Maker()
    kept("a", make)
    (folder / "a").write_bytes(damage((folder / "a").read_bytes()))
    assert [kept("a", make), kept("a", make)] == [b"model", b"model"]
    assert make.calls == 2


def test_without_a_folder_it_is_made_each_time(folder):
    folder.write_bytes(b"a file where the folder should be")
    make = Maker()
    assert [kept("a", make), kept("a", make)] == [b"model", b"model"]
    assert make.calls == 2


def test_what_was_used_longest_ago_goes_first(folder, monkeypatch):
    for age, name in enumerate(("new", "mid", "old")):
        kept(name, Maker(bytes(1000)))
        os.utime(folder / name, ns=(10**18 - age * 10**9,) * 2)
    kept("old", Maker())  # used: now the newest
    drop_oldest(folder, 2 * (1000 + cache.DIGEST))
    assert sorted(file.name for file in folder.iterdir()) == ["new", "old"]
    drop_oldest(folder, 0)
    assert [file.name for file in folder.iterdir()] == ["old"]
    monkeypatch.setattr(cache, "LIMIT", 0)
    kept("another", Maker())
    assert [file.name for file in folder.iterdir()] == ["another"]
