"""Archives unpack inside their folder or not at all."""

import errno
import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest

from fullconv.download import archives, unpack
from fullconv.errors import DataError, StorageError

FILES = {
    "set/images/a.jpg": b"a" * 5000,
    "set/masks/a.png": b"b" * 70_000,
    "set/READ ME.txt": b"",
    "x/y.txt": b"y",
}
SUFFIXES = {".tar": "w:", ".tgz": "w:gz", ".tar.bz2": "w:bz2", ".tar.xz": "w:xz", ".zip": ""}


def make(path: Path, files: dict[str, bytes]) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("set/", b"")
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, SUFFIXES["".join(path.suffixes)]) as archive:  # type: ignore[call-overload]
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def with_member(path: Path, name: str, **attributes: object) -> Path:
    with tarfile.open(path, "w") as archive:
        member = tarfile.TarInfo(name)
        for key, value in attributes.items():
            setattr(member, key, value)
        archive.addfile(member)
    return path


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def fault(archive: Path, folder: Path) -> str:
    with pytest.raises(DataError) as caught:
        unpack(archive, folder)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(archive))
    return str(caught.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_kind(tmp_path, suffix):
    """The name says nothing: the first bytes do."""
    archive = make(tmp_path / f"a{suffix}", FILES).rename(tmp_path / "archive")
    counted = []
    written = unpack(archive, tmp_path / "out", count=counted.append)
    assert content_of(tmp_path / "out") == FILES
    assert sorted(written) == sorted(tmp_path / "out" / name for name in FILES)
    assert sum(counted) == sum(map(len, FILES.values()))


@pytest.mark.parametrize("suffix", [".tgz", ".zip"])
def test_parts_of_an_archive_come_where_they_are_wanted(tmp_path, suffix):
    files = {
        **FILES,
        "__MACOSX/set/images/._a.jpg": b"junk",
        "set/images/.DS_Store": b"junk",
        "./set/images/b.jpg": b"b",
    }
    archive = make(tmp_path / f"a{suffix}", files)
    unpack(archive, tmp_path / "out", (("set/images", "images/train"), ("set/masks", "masks")))
    assert content_of(tmp_path / "out") == {
        "images/train/a.jpg": FILES["set/images/a.jpg"],
        "images/train/b.jpg": b"b",
        "masks/a.png": FILES["set/masks/a.png"],
    }
    assert unpack(archive, tmp_path / "none", (("elsewhere", ""),)) == []


@pytest.mark.parametrize(
    "name",
    [
        "../a.txt",
        "set/../../a.txt",
        "/etc/a.txt",
        "C:/a.txt",
        "a\\..\\..\\b",
        "set/a\0.txt",
        "..",
        "x" * 2000,
    ],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_elsewhere(tmp_path, name, kind):
    if kind == "tar":
        archive = with_member(tmp_path / "a.tar", name)
    else:
        archive = tmp_path / "a.zip"
        with zipfile.ZipFile(archive, "w") as file:
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            file.writestr(info, b"x")
    if "\0" in name and kind == "tar":  # a tar's names end there
        unpack(archive, tmp_path / "out")
        assert content_of(tmp_path / "out") == {"set/a": b""}
        return
    said = fault(archive, tmp_path / "out")
    assert "which may lead out of the folder; refused; get the archive from another address" in said
    assert not content_of(tmp_path / "out")
    assert not (tmp_path / "a.txt").exists()


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE]
)
@pytest.mark.parametrize("target", ["/etc/passwd", "set/images/a.jpg"])
def test_links_and_devices_in_a_tar(tmp_path, kind, target):
    archive = with_member(tmp_path / "a.tar", "set/link", type=kind, linkname=target)
    assert "'set/link' is a link or a device; expected folders and plain files" in fault(
        archive, tmp_path / "out"
    )
    assert not (tmp_path / "out").exists()


def test_links_in_a_zip(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        file.writestr(info, "/etc/passwd")
    assert "'link' is a link or a device" in fault(tmp_path / "a.zip", tmp_path / "out")


def test_encrypted_zips(tmp_path):
    make(tmp_path / "a.zip", {"a": b"x"})
    content = bytearray((tmp_path / "a.zip").read_bytes())
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = content.rfind(mark)
        content[at + offset] |= 1
    (tmp_path / "a.zip").write_bytes(content)
    assert "'a' is encrypted" in fault(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize("suffix", [".tgz", ".zip"])
def test_bombs(tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    archive = make(tmp_path / f"a{suffix}", {f"{i}.txt": b"\0" * 4_000_000 for i in range(3)})
    assert archive.stat().st_size < 50_000
    assert "unpacks to far more than its" in fault(archive, tmp_path / "out")
    assert sum(map(len, content_of(tmp_path / "out").values())) <= 1 << 20


def test_a_bomb_in_what_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    archive = make(tmp_path / "a.tgz", {**{f"{i}.txt": b"\0" * 4_000_000 for i in range(3)}, "in/a": b"a"})
    with pytest.raises(DataError, match="unpacks to far more"):
        unpack(archive, tmp_path / "out", (("in", ""),))


def test_a_sparse_bomb(tmp_path, monkeypatch):
    """A sparse file claims what it does not hold."""
    monkeypatch.setattr(archives, "ALWAYS", 1 << 20)
    header = bytearray(tarfile.TarInfo("hole").tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386 : 386 + 24] = b"%011o\0%011o\0" % (0, 0)  # one part of nothing
    header[483:495] = b"%011o\0" % (1 << 32)  # of four gigabytes
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) + b"\0" * 1024)
    with tarfile.open(tmp_path / "a.tar") as file:
        assert file.getmembers()[0].size == 1 << 32
    assert "unpacks to far more" in fault(tmp_path / "a.tar", tmp_path / "out")


def test_too_many_files(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MOST_FILES", 3)
    files = {str(number): b"" for number in range(5)}
    assert "holds 6 files; at most 3" in fault(make(tmp_path / "a.zip", files), tmp_path / "zip")
    assert "holds more than 3 files" in fault(make(tmp_path / "a.tar", files), tmp_path / "tar")


def test_headers_that_claim_gigabytes(tmp_path):
    """A pax header is read in one piece; gzip makes a gigabyte of zeros small."""
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 1 << 32
    with gzip.GzipFile(tmp_path / "a.tgz", "wb") as file:
        file.write(header.tobuf(tarfile.GNU_FORMAT) + b"\0" * 10_000)
    assert "a header of 4,294,967,296 bytes" in fault(tmp_path / "a.tgz", tmp_path / "out")


def test_sizes_below_zero(tmp_path):
    """They send tarfile back, to read the same member for ever."""
    header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.GNU_FORMAT))
    header[124:136] = (-512 & (256**12 - 1)).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    (tmp_path / "a.tar").write_bytes(bytes(header) * 3 + b"\0" * 1024)
    assert fault(tmp_path / "a.tar", tmp_path / "out")


def test_a_file_where_a_folder_is(tmp_path):
    assert "both as a folder and as a file" in fault(
        make(tmp_path / "a.tar", {"a": b"", "a/b": b""}), tmp_path / "1"
    )
    assert "both as a folder and as a file" in fault(
        make(tmp_path / "b.zip", {"a/b": b"", "a": b""}), tmp_path / "2"
    )


def test_what_is_no_archive(tmp_path):
    for number, content in enumerate((b"", b"hello", b"<html>", b"PK\x03\x04", b"\x1f\x8b\x08", b"\0" * 100)):
        path = tmp_path / str(number)
        path.write_bytes(content)
        assert "is damaged or cut short (" in fault(path, tmp_path / "out")
    assert "no such file" in fault(tmp_path / "none.zip", tmp_path / "out")


def test_a_full_disk(tmp_path, monkeypatch):
    def full(file, data, path):
        raise StorageError(f"disk full: cannot write {path}; free space")

    monkeypatch.setattr(archives, "write_all", full)
    with pytest.raises(StorageError, match="disk full"):
        unpack(make(tmp_path / "a.tar", FILES), tmp_path / "out")
    monkeypatch.undo()

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=r"cannot write .*Read-only file system"):
        unpack(tmp_path / "a.tar", tmp_path / "out2")


def mutated(content: bytes, draw: random.Random) -> bytes:
    data = bytearray(content)
    for _ in range(draw.randrange(1, 8)):
        if not data:
            break
        kind, at = draw.randrange(4), draw.randrange(len(data))
        if kind == 0:
            data[at] = draw.randrange(256)
        elif kind == 1:
            del data[at : at + draw.randrange(1, 600)]
        elif kind == 2:
            data[at:at] = data[draw.randrange(len(data)) :][: draw.randrange(1, 600)]
        else:
            data = data[:at]
    return bytes(data)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_damaged_archives_raise_one_type(tmp_path, suffix):
    damage(tmp_path, suffix, 60)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_many_damaged_archives_raise_one_type(tmp_path, suffix):
    damage(tmp_path, suffix, 2000)


def damage(folder: Path, suffix: str, number: int) -> None:
    draw = random.Random(suffix)
    files = {"a/b.txt": b"hello " * 40, "c" * 120: b"", "d/e": draw.randbytes(700)}
    content = make(folder / f"whole{suffix}", files).read_bytes()
    raised = 0
    for count in range(number):
        archive = folder / f"{count}{suffix}"
        archive.write_bytes(mutated(content, draw))
        before = set(folder.iterdir())
        try:
            unpack(archive, folder / "out")
        except DataError:
            raised += 1
        assert set(folder.iterdir()) - before <= {folder / "out"}
        archive.unlink()
    assert raised > number / 5
