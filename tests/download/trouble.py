"""A server on this machine that serves as it is told: whole, cut, stalled, changed, refused, redirected."""

import email.utils
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Page:
    """What one path answers.

    Attributes:
        content: the file.
        etag: its mark, if it has one.
        modified: its date of change, in seconds since 1970, if it tells one.
        moves: what goes wrong, a dict for each request; after the last one all goes well. Keys: status, headers (dict);
            cut (bytes after which the connection breaks); stall (seconds before a byte is sent); length (what is announced);
            whole (ranges are not known); careless (If-Range is not heeded); shift (another part is sent than was asked
            for); become (content, etag) from then on.
        ranges: it knows ranges.
        chunked: it announces no length.
    """

    content: bytes
    etag: str = ""
    modified: float = 0
    moves: list[dict[str, Any]] = field(default_factory=list)
    ranges: bool = True
    chunked: bool = False


class Server(ThreadingHTTPServer):
    """`pages` by path; `seen` holds what was asked: (path, Range, If-Range)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, Page] = {}
        self.seen: list[tuple[str, str | None, str | None]] = []

    def address(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{path}"

    def handle_error(self, request, client_address):
        pass  # a client that hangs up is part of the tests


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def do_GET(self):
        asked, only_if = self.headers.get("Range"), self.headers.get("If-Range")
        path = self.path.split("/")[-1]
        self.server.seen.append((path, asked, only_if))
        self.close_connection = True
        page = self.server.pages.get(path)
        if page is None:
            self.send_error(404)
            return
        move = page.moves.pop(0) if page.moves else {}
        if "become" in move:
            page.content, page.etag = move["become"]
        if "status" in move:
            self.send_response(move["status"])
            for name, value in move.get("headers", {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(page, move, asked, only_if)

    def _send(self, page: Page, move: dict[str, Any], asked: str | None, only_if: str | None) -> None:
        date = email.utils.formatdate(page.modified, usegmt=True) if page.modified else ""
        same = only_if is None or only_if in (page.etag, date) or "careless" in move
        start = int(asked.split("=")[1].rstrip("-")) if asked else 0
        if not (page.ranges and same) or move.get("whole"):
            start = 0
        total = len(page.content)
        if start >= total:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{total}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start += move.get("shift", 0)
        body = page.content[start:]
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
        if page.etag:
            self.send_header("ETag", page.etag)
        if date:
            self.send_header("Last-Modified", date)
        if not page.chunked:
            self.send_header("Content-Length", str(move.get("length", len(body))))
        self.end_headers()
        time.sleep(move.get("stall", 0))
        self.wfile.write(body[: move.get("cut", len(body))])

    def log_message(self, *_):
        pass


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
