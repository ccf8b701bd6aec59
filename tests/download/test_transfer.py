"""One attempt goes on only where that is safe, and says what went wrong."""

import errno
import io
import json
import shutil
import urllib.request
from collections import namedtuple

import pytest
from trouble import Page, serving

from fullconv.download import transfer
from fullconv.download.transfer import Broken, _Redirects, _seconds, answers, attempt, note_of
from fullconv.errors import StorageError

CONTENT = bytes(range(256)) * 2000
OTHER = CONTENT[::-1]


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(transfer, "STALL_SECONDS", 0.3)
    with serving() as server:
        yield server


@pytest.fixture
def partial(tmp_path):
    return tmp_path / "x.partial"


def broken(server, name, partial, **options) -> Broken:
    with pytest.raises(Broken) as caught:
        attempt(server.address(name), partial, **options)
    assert "\n" not in str(caught.value)
    return caught.value


def test_progress_and_note(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"')
    told = []
    attempt(server.address("a"), partial, progress=lambda done, total: told.append((done, total)))
    assert partial.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert json.loads(note_of(partial).read_text()) == {
        "address": server.address("a"),
        "mark": '"1"',
        "length": len(CONTENT),
    }


@pytest.mark.parametrize(
    "page", [Page(CONTENT, '"1"'), Page(CONTENT, modified=1e9), Page(CONTENT, 'W/"1"', 1e9)]
)
def test_goes_on_where_the_mark_is_the_same(server, partial, page):
    server.pages["a"] = page
    page.moves = [{"cut": 100_000}]
    assert str(broken(server, "a", partial)) == "the connection broke after 100,000 of 512,000 bytes"
    attempt(server.address("a"), partial)
    assert partial.read_bytes() == CONTENT
    _, asked, only_if = server.seen[-1]
    assert asked == "bytes=100000-"
    assert only_if == ('"1"' if page.etag == '"1"' else "Sun, 09 Sep 2001 01:46:40 GMT")


def test_a_file_that_changed_in_between_is_begun_anew(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}, {"become": (OTHER, '"2"')}])
    broken(server, "a", partial)
    attempt(server.address("a"), partial)
    assert partial.read_bytes() == OTHER


def test_a_server_that_goes_on_although_the_file_changed(server, partial):
    """It does not know If-Range."""
    server.pages["a"] = Page(
        CONTENT, '"1"', moves=[{"cut": 100_000}, {"become": (OTHER, '"2"'), "careless": True}]
    )
    broken(server, "a", partial)
    assert str(broken(server, "a", partial)) == "the file changed in between"
    assert not partial.exists()


def test_another_length_than_before(server, partial):
    server.pages["a"] = Page(CONTENT, moves=[{"cut": 100_000}])
    broken(server, "a", partial, has_digest=True)
    server.pages["a"] = Page(CONTENT + b"more")
    assert str(broken(server, "a", partial, has_digest=True)) == "the file changed in between"


def test_without_a_mark_and_a_digest_nothing_is_spliced(server, partial):
    server.pages["a"] = Page(CONTENT, moves=[{"cut": 100_000}])
    broken(server, "a", partial)
    attempt(server.address("a"), partial)
    assert server.seen[-1] == ("a", None, None)


def test_with_a_digest_it_goes_on_at_another_address(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}])
    server.pages["b"] = Page(CONTENT, '"other"')
    broken(server, "a", partial)
    attempt(server.address("b"), partial, has_digest=True)
    assert server.seen[-1] == ("b", "bytes=100000-", None)
    assert partial.read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}], ranges=False)
    broken(server, "a", partial)
    attempt(server.address("a"), partial)
    assert partial.read_bytes() == CONTENT


def test_another_part_than_was_asked_for(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}, {"shift": 7}])
    broken(server, "a", partial)
    assert str(broken(server, "a", partial)) == "it sent another part than it was asked for"
    attempt(server.address("a"), partial)
    assert partial.read_bytes() == CONTENT


def test_nothing_is_left_to_fetch(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"')
    attempt(server.address("a"), partial)
    attempt(server.address("a"), partial)
    assert server.seen[-1] == ("a", "bytes=512000-", '"1"')
    assert partial.read_bytes() == CONTENT
    server.pages["a"].content = CONTENT[:100]
    assert str(broken(server, "a", partial)) == "the file has another length than before"
    assert not partial.exists()


def test_a_damaged_note_is_no_note(server, partial):
    server.pages["a"] = Page(CONTENT, '"1"', moves=[{"cut": 100_000}])
    broken(server, "a", partial)
    note_of(partial).write_text("{")
    attempt(server.address("a"), partial)
    assert server.seen[-1] == ("a", None, None)


@pytest.mark.parametrize(
    ("page", "said", "final"),
    [
        (Page(CONTENT, moves=[{"stall": 2}]), "it sent nothing for 0 s", False),
        (
            Page(CONTENT, moves=[{"length": 600_000}]),
            "the connection broke after 512,000 of 600,000 bytes",
            False,
        ),
        (Page(CONTENT, moves=[{"status": 404}]), "HTTP 404 Not Found", True),
        (
            Page(CONTENT, moves=[{"status": 503, "headers": {"Retry-After": "7"}}]),
            "HTTP 503 Service Unavailable",
            False,
        ),
        (Page(CONTENT, moves=[{"status": 599}]), "HTTP 599", True),
    ],
)
def test_what_goes_wrong(server, partial, page, said, final):
    server.pages["a"] = page
    fault = broken(server, "a", partial)
    assert (str(fault), fault.final) == (said, final)
    assert fault.seconds == (7 if "503" in said else 0)


def test_lengths_that_are_not_the_expected(server, partial):
    server.pages["a"] = Page(CONTENT)
    fault = broken(server, "a", partial, size=7)
    assert (str(fault), fault.final) == ("it announces 512,000 bytes; expected 7", True)
    server.pages["a"] = Page(CONTENT, chunked=True)
    fault = broken(server, "a", partial, size=7)
    assert str(fault) == "it sent more than the 7 bytes that were expected"
    attempt(server.address("a"), partial, size=len(CONTENT))
    assert partial.read_bytes() == CONTENT


def test_a_trickle_is_a_stall(server, partial, monkeypatch):
    monkeypatch.setattr(transfer, "_open", lambda request: urllib.request.urlopen(request, timeout=5))
    monkeypatch.setattr(transfer, "STALL_SECONDS", 1e-9)
    monkeypatch.setattr(transfer, "SLOWEST", 1e18)
    server.pages["a"] = Page(CONTENT)
    assert "bytes in 0 s" in str(broken(server, "a", partial))


def test_redirects(server, partial):
    server.pages["a"] = Page(CONTENT)
    server.pages["moved"] = Page(b"", moves=[{"status": 302, "headers": {"Location": "/a"}}])
    attempt(server.address("moved"), partial)
    assert partial.read_bytes() == CONTENT
    server.pages["circle"] = Page(b"", moves=[{"status": 302, "headers": {"Location": "/circle"}}] * 20)
    fault = broken(server, "circle", partial)
    assert (str(fault), fault.final) == ("it redirects in a circle or more than 5 times", True)
    for number in range(9):
        server.pages[f"far{number}"] = Page(
            b"", moves=[{"status": 301, "headers": {"Location": f"/far{number + 1}"}}]
        )
    assert "more than 5 times" in str(broken(server, "far0", partial))
    assert len([path for path, _, _ in server.seen if path.startswith("far")]) == 6
    server.pages["file"] = Page(b"", moves=[{"status": 302, "headers": {"Location": "ftp://host/a"}}])
    assert (
        str(broken(server, "file", partial)) == "it redirects from http to 'ftp://host/a', which is refused"
    )


def test_encryption_is_not_given_up():
    request = urllib.request.Request("https://host/a")
    with pytest.raises(
        Broken, match="it redirects from https to 'http://host/b', which is refused"
    ) as caught:
        _Redirects().redirect_request(request, io.BytesIO(), 302, "", {}, "http://host/b")
    assert caught.value.final
    onward = _Redirects().redirect_request(request, io.BytesIO(), 302, "", {}, "https://other/b")
    assert onward is not None
    assert onward.full_url == "https://other/b"


def test_no_server_and_no_such_host(server, partial):
    with pytest.raises(Broken, match="refused") as caught:
        attempt("http://127.0.0.1:9/a", partial)
    assert not caught.value.final
    with pytest.raises(Broken) as caught:
        attempt("http://no such host/a", partial)
    assert caught.value.final


def test_a_server_that_speaks_no_http(server, partial, monkeypatch):
    import http.client

    def garbled(request):
        raise http.client.BadStatusLine("?")

    monkeypatch.setattr(transfer, "_open", garbled)
    assert str(broken(server, "a", partial)) == "it does not speak HTTP well (BadStatusLine)"


def test_a_proxy_of_the_environment_is_used(server, partial, monkeypatch):
    server.pages["a"] = Page(CONTENT)
    monkeypatch.setenv("http_proxy", server.address("")[:-1])
    monkeypatch.delenv("no_proxy", raising=False)
    attempt("http://somewhere.invalid/a", partial)
    assert partial.read_bytes() == CONTENT


def test_a_disk_that_is_too_small_is_said_before(server, partial, monkeypatch):
    server.pages["a"] = Page(CONTENT, '"1"')
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10, 5, 1000))
    with pytest.raises(
        StorageError, match=r"x needs 0.00 GB more, and 0.00 GB are free; free space or choose"
    ):
        attempt(server.address("a"), partial)
    assert not partial.exists()


def test_a_disk_that_fills_up_keeps_what_has_come(server, partial, monkeypatch):
    server.pages["a"] = Page(CONTENT, '"1"')
    write = transfer.write_all

    def full(file, data, path):
        if file.tell() > 100_000:
            raise transfer.unwritable(path, OSError(errno.ENOSPC, "No space left on device"))
        write(file, data, path)

    monkeypatch.setattr(transfer, "write_all", full)
    with pytest.raises(
        StorageError, match=r"disk full: cannot write .*x.partial; free space and run it again"
    ):
        attempt(server.address("a"), partial)
    monkeypatch.undo()
    assert partial.stat().st_size > 100_000
    attempt(server.address("a"), partial)
    assert partial.read_bytes() == CONTENT
    assert server.seen[-1][1] is not None


def test_a_device_without_room():
    with open("/dev/full", "wb", buffering=0) as file, pytest.raises(StorageError, match="disk full"):
        transfer.write_all(file, b"abc", transfer.Path("/dev/full"))
    assert "choose a folder that may be written" in str(
        transfer.unwritable(transfer.Path("x"), PermissionError(errno.EACCES, "Permission denied"))
    )


def test_a_folder_that_is_not_there(server, tmp_path):
    server.pages["a"] = Page(CONTENT)
    with pytest.raises((StorageError, Broken)):
        attempt(server.address("a"), tmp_path / "none" / "x.partial")


def test_when_to_come_back():
    assert _seconds("Fri, 31 Dec 2100 23:59:59 GMT") > 1e9
    assert _seconds("-1") == _seconds("") == 0
    assert _seconds("9" * 400) == 0


def test_who_answers(server):
    assert answers(server.address("a"))
    assert not answers("http://127.0.0.1:9/a")
