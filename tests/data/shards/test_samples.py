"""What stands in a shard under one key becomes a sample, read by arithmetic and one index at a time."""

import pickle
from pathlib import Path

import pytest
from tar_files import pack

from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades
from fullconv.data.shards.index import open_shard
from fullconv.data.shards.samples import Roles, ShardSamples, sample_name
from fullconv.data.sources import Member
from fullconv.errors import DataError


def samples_of(folder: Path, *shards: list[str], roles: Roles | None = None) -> ShardSamples:
    made = []
    for index, names in enumerate(shards):
        files = {name: name.encode() for name in names}
        made.append(open_shard(pack(folder / f"{index}.tar", files)))
    return ShardSamples(made, roles or Roles())


def content(member: object) -> bytes:
    assert isinstance(member, Member)
    return member.open().read()


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("a.jpg", "a.mask.png"),
        ("a.jpg", "a.png"),
        ("a.PNG", "a.JPEG"),  # the mask is the PNG, in whatever order they come
        ("a.png", "a.seg.png"),
        ("a.image.jpg", "a.label.png"),
        ("a.jpeg", "a.seg"),
        ("a.webp", "a.annotation.tif"),
        ("s/a.jpg", "s/a.mask.png"),
    ],
)
def test_picture_and_mask_by_their_ends(tmp_path, picture, mask):
    (sample,) = samples_of(
        tmp_path, [picture, mask, "a.json", "a.cls"] if picture[0] == "a" else [picture, mask]
    )
    expected = (mask, picture) if mask == "a.JPEG" else (picture, mask)
    assert (content(sample.picture).decode(), content(sample.mask).decode()) == expected
    assert sample.name == picture.partition(".")[0]
    assert isinstance(sample.picture, Member)
    assert str(sample.picture) == f"{tmp_path / '0.tar'}:{expected[0]}"


@pytest.mark.parametrize(
    "names",
    ["a.jpg", "a.jpg a.json", "a.jpg a.webp", "a.image.png a.rgb.png", "a.jpg a.mask.png a.seg.png", "a.jpg a.png a.gif",
     "a.mask.png", "a.left.jpg a.right.jpg"],
)  # fmt: skip
def test_what_is_no_pair(tmp_path, names):
    samples = samples_of(tmp_path, names.split())
    with pytest.raises(
        DataError,
        match=r"0\.tar: a sample has a\..*; expected one picture and one mask, KEY\.jpg and KEY\.ma",
    ):
        samples[0]


def test_a_sequence_over_shards(tmp_path):
    shards = [[f"{which}{index}.{kind}" for index in range(size) for kind in ("jpg", "mask.png")] for which, size in
              (("a", 3), ("b", 1), ("c", 4))]  # fmt: skip
    samples = samples_of(tmp_path, *shards)
    names = ["a0", "a1", "a2", "b0", "c0", "c1", "c2", "c3"]
    assert len(samples) == 8
    assert [sample.name for sample in samples] == names
    assert [samples[index].name for index in range(8)] == names
    assert samples[-1].name == "c3"
    assert [sample.name for sample in samples[1::3]] == names[1::3]
    with pytest.raises(IndexError):
        samples[8]
    assert [sample.name for sample in samples + samples] == names * 2
    copy = pickle.loads(pickle.dumps(samples))  # noqa: S301 (as worker processes get it)
    assert [sample.name for sample in copy] == names
    assert content(samples[5].picture) == b"c1.jpg"


def test_no_shards():
    samples = ShardSamples([], Roles())
    assert len(samples) == 0
    assert list(samples) == []


def test_further_heads_and_extra_channels(tmp_path):
    roles = Roles(("geo", "head1"), "Depth", ExtraFormat(1, (0, 9)), Shades(1, 0))
    names = ["a.jpg", "a.mask.png", "a.geo.png", "a.head1.png", "a.depth.png"]
    (sample,) = samples_of(tmp_path, names, roles=roles)
    assert [content(source) for source in sample.head_masks] == [b"a.geo.png", b"a.head1.png"]
    assert content(sample.extra) == b"a.depth.png"
    assert (sample.extra_format, sample.shades) == (ExtraFormat(1, (0, 9)), Shades(1, 0))
    with pytest.raises(
        DataError, match=r"a\.jpg has 0 members KEY\.Depth\.png; dataset\.yaml tells of one; correct the word"
    ):
        samples_of(tmp_path, names[:-1], roles=roles)[0]


@pytest.mark.parametrize(
    ("member", "name"),
    [
        ("a.jpg", "a"),
        ("s/a.b.jpg", "s/a"),
        ("./a.jpg", "a"),
        ("a%20b%2Ec.jpg", "a b.c"),
        ("v1.2/a.jpg", "v1.2/a"),
    ],
)
def test_names(tmp_path, member, name):
    assert sample_name(member, samples_of(tmp_path, ["a.jpg"]).shards[0]) == name


@pytest.mark.parametrize(
    "member",
    ["/a.jpg", "../a.jpg", "s/../a.jpg", "%2E%2E/a.jpg", "%2Fa.jpg", "a\\b.jpg", "a%0Ab.jpg", "%00.jpg"],
)
def test_names_that_lead_elsewhere(tmp_path, member):
    with pytest.raises(
        DataError, match=r"0\.tar: holds '.*', a name that leads elsewhere; expected a plain one"
    ):
        sample_name(member, samples_of(tmp_path, ["a.jpg"]).shards[0])
