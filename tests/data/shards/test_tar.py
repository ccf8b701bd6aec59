"""Members are found where Python's tarfile finds them; what is no plain tar is refused in one line."""

import bz2
import gzip
import io
import lzma
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tar_files import FORMATS, LONG, member, mutated, pack

from fullconv.data.shards.tar import END, Entry, entries, header, padding, size_before
from fullconv.errors import DataError


def by_tarfile(path: Path) -> list[Entry]:
    with tarfile.open(path) as tar:
        return [Entry(info.name, info.offset_data, info.size) for info in tar if info.isreg()]


@pytest.mark.parametrize("form", FORMATS)
def test_members_are_where_tarfile_finds_them(tmp_path, form):
    names = ["a.jpg", "a.mask.png", "b/c.jpg", LONG] + (
        [] if form == "ustar" else ["é" * 120 + ".jpg", "x" * 300]
    )
    files = {name: bytes(range(256)) * index for index, name in enumerate(names)}
    path = pack(tmp_path / "a.tar", files, FORMATS[form])
    found = list(entries(path))
    assert found == by_tarfile(path)
    content = path.read_bytes()
    assert {entry.name: content[entry.offset :][: entry.size] for entry in found} == files


def test_folders_links_and_devices_are_passed_over(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for kind in (tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE):
            tar.addfile(member("n" * 150, kind=kind, linkname="k" * 150))
        tar.addfile(member("a.jpg", b"abc"), io.BytesIO(b"abc"))
    assert [entry.name for entry in entries(path)] == ["a.jpg"]
    assert list(entries(path)) == by_tarfile(path)


def test_global_headers_and_pax_sizes(tmp_path):
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "of all"}) as tar:
        info = member("a.jpg", b"abc")
        info.pax_headers = {"size": "3", "comment": "é"}
        tar.addfile(info, io.BytesIO(b"abc"))
    assert list(entries(path)) == by_tarfile(path)


def test_a_size_in_binary(tmp_path):
    """As GNU tar writes what eleven octal digits cannot hold; here it is small."""
    block = bytearray(header("a.jpg", 3))
    block[124:136] = b"\x80" + (3).to_bytes(11, "big")
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    (tmp_path / "a.tar").write_bytes(bytes(block) + b"abc" + padding(3) + END)
    assert list(entries(tmp_path / "a.tar")) == [Entry("a.jpg", 512, 3)] == by_tarfile(tmp_path / "a.tar")


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=300),
    st.integers(0, 2**33),
)
def test_headers_are_those_that_tarfile_reads(name, size):
    head = header(name, size)
    with tarfile.open(fileobj=io.BytesIO(head + END)) as tar:
        info = tar.next()
    assert info is not None
    assert (info.name.rstrip("/"), info.size, info.mtime, info.uid) == (name.rstrip("/"), size, 0, 0)
    assert len(head) % 512 == 0


def test_whoever_writes_a_header_writes_the_same():
    assert header("a.jpg", 30) == header("a.jpg", 30)
    with tarfile.open(fileobj=io.BytesIO(header("a.jpg", 0) + END)) as tar:
        (info,) = tar.getmembers()
    assert (info.uname, info.gname, info.gid, info.mode) == ("", "", 0, 0o644)


def test_what_follows_the_end_is_not_read(tmp_path):
    path = tmp_path / "a.tar"
    path.write_bytes(header("a.jpg", 0) + END + b"anything")
    assert [entry.name for entry in entries(path)] == ["a.jpg"]
    path.write_bytes(header("a.jpg", 0))  # some programs leave the end away
    assert [entry.name for entry in entries(path)] == ["a.jpg"]


GZIPPED = gzip.compress(b"a" * 600, mtime=0)  # the test's name holds it, and must not hold the time


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (GZIPPED, "is compressed \\(gzip\\); expected a plain tar, whose members can be reached; unpack it"),
        (bz2.compress(b"a" * 600), "is compressed \\(bzip2\\)"),
        (lzma.compress(b"a" * 600), "is compressed \\(xz\\)"),
        (b"\x28\xb5\x2f\xfd" + b"a" * 600, "is compressed \\(zstd\\)"),
        (b"no tar" * 100, "is no tar, or damaged; expected a plain tar of pictures and masks; copy it again"),
        (header("a.jpg", 0)[:300], "is no tar, or damaged"),
        (header("a.jpg", 0) + b"no header" * 60, "at byte 512 there is no header; expected a plain tar"),
        (header("a.jpg", 900) + b"a" * 500, "is cut short or damaged: 'a.jpg' has 900 bytes, and 500 are left"),
        (header("a" * 200, 3)[:512] + b"zz path=b\n" + bytes(1000), "there is an extended header that is none"),
        (header("a" * 200, 3)[:512] + b"9 size=x\n" + bytes(1000), "there is a size that is none"),
        (header("a" * 200, 3)[:512] + b"22 GNU.sparse.major=1\n" + bytes(1000), "there is a sparse file, which is not"),
    ],
)  # fmt: skip
def test_what_is_no_plain_tar(tmp_path, content, message):
    path = tmp_path / "a.tar"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        list(entries(path))
    assert str(path) in str(caught.value)


def test_a_kind_of_member_that_is_not_read(tmp_path):
    block = bytearray(header("a.jpg", 0))
    block[156:157] = b"S"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    (tmp_path / "a.tar").write_bytes(bytes(block))
    with pytest.raises(DataError, match=r"at byte 0 there is a member of type b'S', which is not read"):
        list(entries(tmp_path / "a.tar"))


def test_a_name_that_is_no_text(tmp_path):
    block = bytearray(header("a.jpg", 0))
    block[0] = 0xFF
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + 8 * 32 + sum(block[156:]))
    (tmp_path / "a.tar").write_bytes(bytes(block))
    with pytest.raises(DataError, match=r"the name b'\\xff.jpg' is not UTF-8"):
        list(entries(tmp_path / "a.tar"))


def test_no_file(tmp_path):
    with pytest.raises(DataError, match=r"a\.tar: cannot be read \(No such file or directory\)"):
        list(entries(tmp_path / "a.tar"))


def test_the_size_in_the_header_before(tmp_path):
    path = pack(tmp_path / "a.tar", {LONG: b"abc", "b.jpg": b"abcd" * 200})
    with path.open("rb") as file:
        found = list(entries(path))
        assert [size_before(file, entry.offset) for entry in found] == [3, 800]
        assert size_before(file, found[1].offset + 512) is None
        assert size_before(file, 10**6) is None


def try_mutated_tars(folder: Path, number: int) -> int:
    """Reads so many mutated tars; returns how many were refused."""
    rng = np.random.default_rng(0)
    seeds = [
        pack(
            folder / f"{name}.tar", {"a.jpg": b"abc", "é" * 120: b"d" * 600, LONG: b"", "b/c.png": b"e"}, form
        )
        for name, form in FORMATS.items()
        if name != "ustar"
    ]
    path, refused = folder / "mutated.tar", []
    for index in range(number):
        path.write_bytes(mutated(seeds[index % len(seeds)].read_bytes(), rng))
        began = time.process_time()
        try:
            found = list(entries(path))
        except DataError as error:
            refused.append(str(error))
        else:
            assert all(entry.offset + entry.size <= path.stat().st_size for entry in found)
        assert time.process_time() - began < 1
    assert not [line for line in refused if "\n" in line]
    return len(refused)


def test_mutated_tars(tmp_path):
    assert try_mutated_tars(tmp_path, 300) > 50


@pytest.mark.long
def test_many_mutated_tars(tmp_path):
    assert try_mutated_tars(tmp_path, 20_000) > 5000
