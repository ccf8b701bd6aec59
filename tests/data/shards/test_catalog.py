"""Lists of shards are in the format of wids, and say nothing that could lead out of their folder."""

import json
import time
from pathlib import Path

import numpy as np
import pytest
from tar_files import mutated

from fullconv.data.shards.catalog import Catalog, ShardEntry, is_catalog, read_catalog
from fullconv.errors import DataError

ENTRY = {"url": "a-0.tar", "nsamples": 3, "filesize": 2048}
LIST = {"__kind__": "wids-shard-index-v1", "wids_version": 1, "name": "a", "shardlist": [ENTRY]}


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content))
    return path


def test_a_list_of_wids(tmp_path):
    """As `widsindex create` writes them: with an MD5, and without name or size."""
    more = {"url": "b/0.tar", "nsamples": 5, "md5sum": "0" * 32}
    catalog = read_catalog(write(tmp_path / "a.json", LIST | {"shardlist": [ENTRY, more]}))
    assert catalog.shardlist == (
        ShardEntry(url="a-0.tar", nsamples=3, filesize=2048),
        ShardEntry(url="b/0.tar", nsamples=5),
    )


def test_what_is_written_is_read_again(tmp_path):
    catalog = Catalog(name='a "b"', shardlist=(ShardEntry(**ENTRY, sha256="0" * 64), ShardEntry(**ENTRY)))
    path = tmp_path / "a.json"
    path.write_text(catalog.text())
    assert json.loads(catalog.text()) == LIST | {
        "name": 'a "b"',
        "shardlist": [ENTRY | {"sha256": "0" * 64}, ENTRY],
    }
    assert read_catalog(path) == catalog
    assert len(catalog.text().splitlines()) == 4


def test_which_files_are_lists(tmp_path):
    assert is_catalog(write(tmp_path / "a.json", LIST))
    assert not is_catalog(write(tmp_path / "b.json", {"images": []}))
    assert not is_catalog(tmp_path / "c.json")
    assert not is_catalog(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([LIST], r"a.json: : Input should be a valid dictionary"),
        (LIST | {"wids_version": 2}, r"a.json: wids_version: Input should be 1; expected a list of shards"),
        (LIST | {"shardlist": []}, r"a.json: shardlist: Tuple should have at least 1 item"),
        (
            LIST | {"shardlist": [ENTRY | {"nsamples": -1}]},
            r"a.json: shardlist.0.nsamples: Input should be greater",
        ),
        *(
            (
                LIST | {"shardlist": [ENTRY | {"url": url}]},
                r"a.json: lists '.*'; expected files beside it, such as train",
            )
            for url in (
                "../a.tar",
                "/a.tar",
                "b/../../a.tar",
                "http://a.org/a.tar",
                "pipe:cat a",
                "b\\a.tar",
                "",
                "a\0.tar",
            )
        ),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_catalog(write(tmp_path / "a.json", content))


@pytest.mark.parametrize("text", [b"", b"{", b"[" * 100_000, b"\xff\xfe{}", b"9" * 5000])
def test_what_is_no_json(tmp_path, text):
    (tmp_path / "a.json").write_bytes(text)
    with pytest.raises(DataError, match=r"a\.json: is not JSON; expected a list of shards; copy it again"):
        read_catalog(tmp_path / "a.json")


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.json: cannot be read \(No such file or directory\)"):
        read_catalog(tmp_path / "a.json")


def try_mutated_lists(path: Path, number: int) -> int:
    rng, refused = np.random.default_rng(0), []
    text = json.dumps(LIST | {"shardlist": [ENTRY] * 30}).encode()
    for _ in range(number):
        path.write_bytes(mutated(text, rng))
        began = time.process_time()
        try:
            catalog = read_catalog(path)
        except DataError as error:
            refused.append(str(error))
        else:
            assert all(".." not in entry.url for entry in catalog.shardlist)
        assert time.process_time() - began < 1
    assert not [line for line in refused if "\n" in line]
    return len(refused)


def test_mutated_lists(tmp_path):
    assert try_mutated_lists(tmp_path / "a.json", 300) > 100


@pytest.mark.slow
def test_many_mutated_lists(tmp_path):
    assert try_mutated_lists(tmp_path / "a.json", 5_000) > 2_000
