"""Downloading, against a server on this machine that cuts, corrupts, redirects and forgets."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fullconv.download import download
from fullconv.errors import InputError, RunError, StorageError

CONTENT = bytes(range(256)) * 4000
SHA = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    requests: list[str]

    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.seen.append((self.path, asked))
        if self.path == "/moved.bin":
            self.send_response(302)
            self.send_header("Location", "/good.bin")
            self.end_headers()
            return
        if self.path == "/gone.bin":
            self.send_error(404)
            return
        start = int(asked.split("=")[1].rstrip("-")) if asked and self.path != "/norange.bin" else 0
        body = CONTENT[start:] if self.path != "/wrong.bin" else b"x" * 100
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/cut.bin" and not start:
            body = body[:300_000]
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def address(server, name, sha=SHA):
    return f"http://127.0.0.1:{server.server_port}/{name}#sha256={sha}"


@pytest.mark.parametrize("name", ["good.bin", "moved.bin"])
def test_a_file_comes_once_and_whole(server, tmp_path, name):
    file = download(address(server, name), tmp_path)
    assert file.read_bytes() == CONTENT
    count = len(server.seen)
    assert download(address(server, name), tmp_path) == file
    assert len(server.seen) == count
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_a_cut_transfer_goes_on_where_it_stopped(server, tmp_path):
    with pytest.raises(RunError, match="download failed"):
        download(address(server, "cut.bin"), tmp_path)
    assert (tmp_path / "cut.bin.partial").stat().st_size == 300_000
    assert not (tmp_path / "cut.bin").exists()
    assert download(address(server, "cut.bin"), tmp_path).read_bytes() == CONTENT
    assert server.seen[-1] == ("/cut.bin", "bytes=300000-")


def test_a_server_that_cannot_go_on_starts_anew(server, tmp_path):
    (tmp_path / "norange.bin.partial").write_bytes(b"old" * 100)
    assert download(address(server, "norange.bin"), tmp_path).read_bytes() == CONTENT


def test_wrong_content_is_refused_and_removed(server, tmp_path):
    with pytest.raises(RunError, match=r"SHA-256 is .*expected"):
        download(address(server, "wrong.bin"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_mirrors_are_tried_in_turn(server, tmp_path):
    good = address(server, "good.bin").partition("#")[0]
    assert download(address(server, "gone.bin"), tmp_path, mirrors=(good,)).read_bytes() == CONTENT


def test_the_digest_may_be_in_the_name(server, tmp_path):
    with pytest.raises(RunError):
        download(f"http://127.0.0.1:{server.server_port}/net-{'0' * 8}.pth", tmp_path)
    file = download(f"http://127.0.0.1:{server.server_port}/net-{SHA[:8]}.pth", tmp_path)
    assert file.read_bytes() == CONTENT


def test_an_address_without_a_digest_is_refused(tmp_path):
    with pytest.raises(InputError, match="gives no SHA-256; append"):
        download("https://example.org/net.pth", tmp_path)


def test_a_folder_that_cannot_be_made_is_said(server, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        download(address(server, "good.bin"), tmp_path / "file")
