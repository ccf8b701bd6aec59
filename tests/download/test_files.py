"""Downloading whole and checked, against a server on this machine that makes every kind of trouble."""

import hashlib
import random
import threading

import pytest
from trouble import Page, serving

from fullconv.download import RemoteFile, download, fetch, files, transfer
from fullconv.errors import InputError, RunError, StorageError

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(files, "WAITS", (0.001, 0.001, 0.001))
    monkeypatch.setattr(transfer, "STALL_SECONDS", 0.5)
    with serving() as server:
        server.pages["good.bin"] = Page(CONTENT)
        yield server


def address(server, name, sha=SHA):
    return f"{server.address(name)}#sha256={sha}"


def remote(server, *names, digest=f"sha256:{SHA}", size=None):
    return RemoteFile(names[0], tuple(server.address(name) for name in names), digest, size)


def test_a_file_comes_once_and_whole(server, tmp_path):
    file = download(address(server, "good.bin"), tmp_path)
    assert file.read_bytes() == CONTENT
    count = len(server.seen)
    assert download(address(server, "good.bin"), tmp_path) == file
    assert len(server.seen) == count
    assert [each.name for each in tmp_path.iterdir()] == ["good.bin"]


def test_a_cut_transfer_goes_on_where_it_stopped(server, tmp_path):
    server.pages["cut.bin"] = Page(CONTENT, moves=[{"cut": 300_000}])
    assert download(address(server, "cut.bin"), tmp_path).read_bytes() == CONTENT
    assert server.seen[-1] == ("cut.bin", "bytes=300000-", None)


def test_what_was_fetched_before_an_end_is_kept(server, tmp_path):
    server.pages["cut.bin"] = Page(CONTENT, moves=[{"cut": 300_000}, *[{"status": 503}] * 4])
    with pytest.raises(
        RunError, match=r"HTTP 503 Service Unavailable; try again later, or fetch cut.bin by hand into"
    ):
        download(address(server, "cut.bin"), tmp_path)
    assert (tmp_path / "cut.bin.partial").stat().st_size == 300_000
    assert not (tmp_path / "cut.bin").exists()
    assert download(address(server, "cut.bin"), tmp_path).read_bytes() == CONTENT
    assert server.seen[-1] == ("cut.bin", "bytes=300000-", None)


@pytest.mark.parametrize("seed", range(8))
def test_a_line_that_breaks_at_random(server, tmp_path, seed):
    draw = random.Random(seed)
    moves = [
        draw.choice(
            [
                {"cut": draw.randrange(400_000)},
                {"status": 503},
                {"status": 429, "headers": {"Retry-After": "0"}},
                {"whole": True, "cut": draw.randrange(400_000)},
                {"shift": draw.randrange(1, 99)},
            ]
        )
        for _ in range(3)
    ]
    server.pages["a.bin"] = Page(CONTENT, draw.choice(["", '"1"']), moves=moves)
    assert fetch(remote(server, "a.bin", size=len(CONTENT)), tmp_path).read_bytes() == CONTENT
    assert [each.name for each in tmp_path.iterdir()] == ["a.bin"]


def test_a_transfer_that_always_brings_something_goes_on(server, tmp_path):
    server.pages["a.bin"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}] * 9)
    assert fetch(remote(server, "a.bin", digest=""), tmp_path).read_bytes() == CONTENT


def test_and_one_that_brings_next_to_nothing_does_not(server, tmp_path):
    server.pages["a.bin"] = Page(CONTENT, '"1"', moves=[{"cut": 10}] * 99)
    with pytest.raises(RunError, match="the connection broke after 40 of"):
        fetch(remote(server, "a.bin"), tmp_path)


def test_wrong_content_is_refused_and_removed(server, tmp_path):
    server.pages["wrong.bin"] = Page(b"x" * 100)
    with pytest.raises(RunError, match=r"SHA-256 is .*expected"):
        download(address(server, "wrong.bin"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_beginning_of_another_version_is_thrown_away(server, tmp_path):
    """Without a mark only the digest tells."""
    (tmp_path / "good.bin.partial").write_bytes(b"old" * 100)
    assert download(address(server, "good.bin"), tmp_path).read_bytes() == CONTENT
    assert [asked for _, asked, _ in server.seen] == ["bytes=300-", None]


def test_a_file_that_is_there_but_damaged_is_fetched_anew(server, tmp_path):
    (tmp_path / "good.bin").write_bytes(CONTENT[:-1] + b"x")
    assert download(address(server, "good.bin"), tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    "trouble",
    [
        Page(CONTENT, moves=[{"status": 404}]),
        Page(b"x" * 100),
        Page(b"", moves=[{"stall": 3}] * 9),
        Page(CONTENT, moves=[{"status": 500}] * 9),
        Page(CONTENT, moves=[{"status": 429, "headers": {"Retry-After": "3600"}}]),
        Page(CONTENT, moves=[{"length": 2_000_000}] * 9),
    ],
)
def test_mirrors_take_over(server, tmp_path, trouble, monkeypatch):
    monkeypatch.setattr(transfer, "STALL_SECONDS", 0.1)
    server.pages["bad.bin"] = trouble
    file = fetch(remote(server, "bad.bin", "good.bin", size=len(CONTENT)), tmp_path)
    assert file.read_bytes() == CONTENT
    assert file.name == "bad.bin"
    plain = server.address("good.bin")
    assert download(address(server, "gone.bin"), tmp_path, mirrors=(plain,)).read_bytes() == CONTENT


def test_every_address_says_why_it_failed(server, tmp_path):
    server.pages["busy"] = Page(b"", moves=[{"status": 429, "headers": {"Retry-After": "3600"}}])
    wanted = RemoteFile(
        "x", (server.address("busy"), server.address("none"), "file:///etc/passwd"), "md5:00000000"
    )
    with pytest.raises(RunError) as caught:
        fetch(wanted, tmp_path)
    said = str(caught.value)
    assert "/busy: HTTP 429 Too Many Requests; it asks to come back in 3600 s; " in said
    assert "/none: HTTP 404 Not Found; file:///etc/passwd: is no http:// or https:// address; try" in said
    assert "\n" not in said


def test_a_server_that_asks_for_patience_gets_it(server, tmp_path, monkeypatch):
    waited = []
    monkeypatch.setattr(files.time, "sleep", waited.append)
    server.pages["a.bin"] = Page(
        CONTENT, moves=[{"status": 503, "headers": {"Retry-After": "9"}}, {"status": 503}]
    )
    fetch(remote(server, "a.bin"), tmp_path)
    assert waited[0] == 9
    assert waited[1] < 0.01


def test_lengths_and_md5(server, tmp_path):
    fetch(remote(server, "good.bin", digest=f"md5:{MD5}"), tmp_path / "md5")
    with pytest.raises(RunError, match=r"MD5 is .*expected 0000"):
        fetch(remote(server, "good.bin", digest="md5:" + 32 * "0"), tmp_path / "wrong")
    fetch(remote(server, "good.bin", digest="", size=len(CONTENT)), tmp_path / "size")
    with pytest.raises(RunError, match="it announces 1,024,000 bytes; expected 5"):
        fetch(remote(server, "good.bin", digest="", size=5), tmp_path / "short")
    (tmp_path / "size" / "good.bin").write_bytes(b"short")
    assert (
        fetch(remote(server, "good.bin", digest="", size=len(CONTENT)), tmp_path / "size").stat().st_size > 5
    )


def test_the_digest_may_be_in_the_name(server, tmp_path):
    for name in (f"net-{'0' * 8}.pth", f"net-{SHA[:8]}.pth"):
        server.pages[name] = Page(CONTENT)
    with pytest.raises(RunError):
        download(server.address(f"net-{'0' * 8}.pth"), tmp_path)
    assert download(server.address(f"net-{SHA[:8]}.pth"), tmp_path).read_bytes() == CONTENT


def test_an_address_without_a_digest_is_refused(tmp_path):
    with pytest.raises(InputError, match="gives no SHA-256; append"):
        download("https://example.org/net.pth", tmp_path)


def test_a_folder_that_cannot_be_made_is_said(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        download(address(server, "good.bin"), tmp_path / "file")


def test_several_that_want_the_same_file_fetch_it_once(server, tmp_path):
    """Threads here; processes hold the same lock."""
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.append(fetch(remote(server, "good.bin"), tmp_path).read_bytes())
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 6
    assert len(server.seen) == 1
    assert [each.name for each in tmp_path.iterdir()] == ["good.bin"]
