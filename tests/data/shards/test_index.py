"""What an index says is what is in the shard; what is damaged or belongs to another is refused in one line."""

import os
import time
from pathlib import Path

import numpy as np
import pytest
from tar_files import mutated, pack

from fullconv.data.shards.index import Shard, _stretch, has_picture, index_text, open_shard, samples_in
from fullconv.data.shards.tar import Entry, entries
from fullconv.errors import DataError

FILES = {
    "a.jpg": b"abc",
    "a.mask.png": b"de",
    "s/b.JPG": b"f",
    "s/b.mask.png": b"g" * 600,
    "readme.txt": b"h",
}


def entries_named(*names: str) -> list[Entry]:
    return [Entry(name, 512 * index, 1) for index, name in enumerate(names, start=1)]


def grouped(*names: str) -> list[tuple[str, list[str]]]:
    return [(key, list(record)) for key, record in samples_in(entries_named(*names))]


def test_adjacent_members_of_one_key_are_a_sample():
    assert grouped("a.jpg", "a.mask.png", "b/a.JPG", "b/a.cls", "a.jpg") == [
        ("a", ["jpg", "mask.png"]), ("b/a", ["jpg", "cls"]), ("a", ["jpg"]),
    ]  # fmt: skip
    assert grouped("a.b/c.d.jpg", "./e.jpg", "none", "d/.hidden.jpg", "e.jpg", "e.jpg") == [
        ("a.b/c", ["d.jpg"]), ("./e", ["jpg"]), ("e", ["jpg"]), ("e", ["jpg"]),
    ]  # fmt: skip
    assert grouped() == []


def test_what_has_a_picture():
    assert has_picture({"json": Entry("a", 512, 1), "left.jpeg": Entry("a", 512, 1)})
    assert not has_picture({"json": Entry("a", 512, 1), "jpgs": Entry("a", 512, 1)})


def write_index(tar: Path) -> Path:
    path = tar.with_suffix(".idx")
    path.write_bytes(index_text(record for _, record in samples_in(entries(tar)) if has_picture(record)))
    return path


def test_the_format_is_that_of_dali(tmp_path):
    """The lines that wds2idx writes for such a tar, by the source's own words: extension, offset, size, name."""
    tar = pack(tmp_path / "a.tar", FILES)
    assert write_index(tar).read_text().splitlines() == [
        "v1.2 2",
        "jpg 512 3 a.jpg mask.png 1536 2 a.mask.png",
        "jpg 2560 1 s/b.JPG mask.png 3584 600 s/b.mask.png",
    ]


def test_a_shard_tells_its_samples(tmp_path):
    tar = pack(tmp_path / "a.tar", FILES)
    write_index(tar)
    shard = open_shard(tar)
    assert shard == Shard(tar, 2, tar.stat().st_size, tmp_path / "a.idx")
    assert shard.record(0) == {"jpg": Entry("a.jpg", 512, 3), "mask.png": Entry("a.mask.png", 1536, 2)}
    assert list(shard.record(1)) == ["jpg", "mask.png"]
    content = tar.read_bytes()
    for record in map(shard.record, range(2)):
        assert all(content[entry.offset :][: entry.size] == FILES[entry.name] for entry in record.values())


def test_a_shard_without_an_index_is_gone_through_once(tmp_path, monkeypatch):
    monkeypatch.setenv("FULLCONV_CACHE", str(tmp_path / "cache"))
    tar = pack(tmp_path / "a.tar", FILES | {"s p.jpg": b"i"})
    first = open_shard(tar)
    assert first.num_samples == 3
    assert first.index.parent == tmp_path / "cache" / "shards"
    assert first.record(2) == {"jpg": Entry("s%20p.jpg", first.record(2)["jpg"].offset, 1)}
    written = first.index.stat().st_mtime_ns
    assert open_shard(tar) == first
    assert first.index.stat().st_mtime_ns == written
    assert not (tmp_path / "a.idx").exists()
    os.utime(tar, ns=(1, 1))  # another file, for all we know
    assert open_shard(tar).index != first.index


def test_an_index_that_cannot_be_kept(tmp_path, monkeypatch):
    tar = pack(tmp_path / "a.tar", FILES)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("FULLCONV_CACHE", str(tmp_path / "file"))
    with pytest.raises(
        DataError, match=r"a\.tar: has no index beside it, and cannot write .*; or set FULLCONV_CACHE"
    ):
        open_shard(tar)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            b"",
            "is no index: begins with b'', expected 'v1.2 SAMPLES'; remove it, and the shard is gone through anew",
        ),
        (b"v1.1 1\njpg 512 3\n", "is no index"),
        (b"v1.2 2\njpg 512 3 a.jpg\n", "it tells of 2 samples and has 1, expected 2"),
        (b"v1.2 1\njpg 512 3 a.jpg x\n", "line 2 is not made of extension, offset, size and name"),
        (b"v1.2 1\njpg 512 3\n", "line 2 is not made"),
        (b"v1.2 1\njpg 512 3 \xff.jpg\n", "line 2 is not made"),
        (b"v1.2 1\njpg 512 " + b"9" * 5000 + b" a.jpg\n", "line 2 is not made"),
        (b"v1.2 1\njpg 100 3 a.jpg\n", "line 2 tells of bytes that the shard does not have"),
        (b"v1.2 1\njpg 512 -3 a.jpg\n", "line 2 tells of bytes"),
        (b"v1.2 1\njpg 512 99999 a.jpg\n", "line 2 tells of bytes"),
        (b"v1.2 1\njpg 1024 3 a.jpg\n", "a.jpg is elsewhere in the shard; expected a line for each sample"),
        (b"v1.2 1\njpg 512 4 a.jpg\n", "a.jpg is elsewhere in the shard"),
    ],
)
def test_an_index_that_is_damaged_or_of_another_shard(tmp_path, text, message):
    tar = pack(tmp_path / "a.tar", FILES)
    tar.with_suffix(".idx").write_bytes(text)
    with pytest.raises(DataError, match=message) as caught:
        open_shard(tar).record(0)
    assert "a.idx: is no index" in str(caught.value)


def test_a_shard_that_changed(tmp_path):
    tar = pack(tmp_path / "a.tar", FILES)
    write_index(tar)
    shard = open_shard(tar)
    tar.write_bytes(tar.read_bytes()[:-512])
    with pytest.raises(DataError, match=r"a\.tar: has 9,728 bytes; expected 10,240; copy it again"):
        shard.record(0)
    tar.unlink()
    with pytest.raises(
        DataError, match=r"a\.tar: cannot be read \(No such file or directory\); copy it again"
    ):
        shard.record(0)
    with pytest.raises(DataError, match=r"a\.tar: cannot be read \(No such file"):
        open_shard(tar)
    shard.index.unlink()
    with pytest.raises(DataError, match=r"a\.idx: cannot be read .*; remove it, and it is made anew"):
        shard.record(0)


def try_mutated_indices(folder: Path, number: int) -> int:
    """Reads all samples by so many mutated indices; returns how many were refused."""
    rng = np.random.default_rng(0)
    files = {f"{index:03d}.{kind}": b"a" * index for index in range(20) for kind in ("jpg", "mask.png")}
    tar = pack(folder / "a.tar", files)
    text, refused = write_index(tar).read_bytes(), []
    for _ in range(number):
        tar.with_suffix(".idx").write_bytes(mutated(text, rng))
        began = time.process_time()
        try:
            _stretch.cache_clear()  # else the last attempt would be what is read
            shard = open_shard(tar)
            records = [shard.record(each) for each in range(min(shard.num_samples, 1000))]
        except DataError as error:
            refused.append(str(error))
        else:
            assert all(
                entry.offset + entry.size <= shard.num_bytes
                for record in records
                for entry in record.values()
            )
        assert time.process_time() - began < 1
    assert not [line for line in refused if "\n" in line]
    return len(refused)


def test_mutated_indices(tmp_path):
    assert try_mutated_indices(tmp_path, 300) > 50


@pytest.mark.slow
def test_many_mutated_indices(tmp_path):
    assert try_mutated_indices(tmp_path, 5_000) > 1000
