"""Files are written whole or not at all."""

import errno
import os
import shutil
from contextlib import nullcontext
from pathlib import Path

import pytest

from fullconv.errors import StorageError
from fullconv.storage import replaced_folder, write_atomically, write_text_atomically


def test_writes_and_replaces_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "new" / "folder" / "a.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new bytes")
    assert path.read_bytes() == b"new bytes"
    assert os.listdir(path.parent) == ["a.bin"]


def test_text_is_utf8_whatever_the_locale(tmp_path: Path):
    write_text_atomically(tmp_path / "a.txt", "Straße 全\n")
    assert (tmp_path / "a.txt").read_bytes() == "Straße 全\n".encode()


def test_a_file_has_the_usual_permissions(tmp_path: Path):
    write_atomically(tmp_path / "ours", b"")
    (tmp_path / "theirs").write_bytes(b"")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "theirs").stat().st_mode


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "disk full: cannot write {}; free space and try again"),
        (errno.EDQUOT, "disk full: cannot write {}; free space and try again"),
        (errno.EIO, "cannot write {}: Input/output error; choose a folder that may be written"),
    ],
)
def test_a_failing_disk_leaves_the_old_file_and_no_litter(tmp_path, monkeypatch, number, message):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError) as caught:
        write_atomically(path, b"new")
    assert str(caught.value) == message.format(path)
    assert os.listdir(tmp_path) == ["a.bin"]
    assert path.read_bytes() == b"old"


def test_an_interrupt_leaves_no_litter(tmp_path, monkeypatch):
    def interrupt(*names: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "a.bin", b"new")
    assert os.listdir(tmp_path) == []


def test_a_file_where_a_folder_should_be(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(
        StorageError, match=r"cannot write .*file/a\.bin: (File exists|Not a directory); choose a"
    ):
        write_atomically(tmp_path / "file" / "a.bin", b"")


def test_bytes_and_name_reach_the_disk_before_the_call_returns(tmp_path, monkeypatch):
    events = []
    real_fsync, real_replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (events.append("fsync"), real_fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("rename"), real_replace(a, b)))
    write_atomically(tmp_path / "a.bin", b"")
    assert events == ["fsync", "rename", "fsync"]


@pytest.mark.parametrize("fails", [KeyboardInterrupt, None])
def test_a_folder_left_under_its_old_name_stays_until_another_has_its_place(tmp_path, monkeypatch, fails):
    folder = tmp_path / "a"
    with replaced_folder(folder) as fresh:
        (fresh / "b.txt").write_text("old")
    folder.rename(tmp_path / ".a.old")  # a writer was killed here

    def dying(path, *_, **__):
        assert path != tmp_path / ".a.old" or folder.exists()
        genuine(path, ignore_errors=True)

    genuine = shutil.rmtree
    monkeypatch.setattr(shutil, "rmtree", dying)
    with pytest.raises(fails) if fails else nullcontext(), replaced_folder(folder) as fresh:
        assert (folder / "b.txt").read_text() == "old"
        (fresh / "b.txt").write_text("new")
        if fails:
            raise fails
    assert (folder / "b.txt").read_text() == ("old" if fails else "new")
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("number", [3, 150])
def test_a_replaced_folder_may_hold_folders_and_links(tmp_path, number):
    """Links are left alone: what they lead to may be read-only, or nowhere."""
    with replaced_folder(tmp_path / "a") as fresh:
        (fresh / "in" / "side").mkdir(parents=True)
        for index in range(number):
            (fresh / "in" / "side" / str(index)).write_text("x")
        (fresh / "link").symlink_to("nowhere")
    assert len(list((tmp_path / "a" / "in" / "side").iterdir())) == number
    assert (tmp_path / "a" / "link").is_symlink()
