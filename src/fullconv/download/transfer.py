"""One attempt to fetch a file over HTTP, which goes on where an earlier one stopped.

What has come is in `NAME.partial`; `NAME.partial.json` beside it says from which address, how long the whole is and
by which mark (ETag, or date of change) the server knows it. An attempt goes on only where the server's mark is still
the same, or where a digest will tell in the end: two versions of a file are never spliced in silence.

Source: RFC 9110 "HTTP Semantics", sections 13.1.5 (If-Range) and 14 (range requests), www.rfc-editor.org/rfc/rfc9110.
"""

import email.utils
import errno
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http.client import responses
from pathlib import Path
from typing import IO, Any

from fullconv.errors import StorageError
from fullconv.storage import write_text_atomically

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are there, and those that there will be where that is known."""

CHUNK = 1 << 18
STALL_SECONDS = 30.0
SLOWEST = 1024
"""A server that sends less than `SLOWEST` bytes a second over `STALL_SECONDS` has stalled."""

MAX_REDIRECTS = 5
TRY_LATER = (408, 425, 429, 500, 502, 503, 504)
"""Status codes after which the same request may succeed; after other errors it will not."""


class Broken(Exception):
    """An attempt that did not end well.

    Attributes:
        final: another attempt at the same address would end alike.
        seconds: how long the server asks to wait before.
    """

    def __init__(self, reason: str, *, final: bool = False, seconds: float = 0) -> None:
        super().__init__(reason)
        self.final, self.seconds = final, seconds


@dataclass(frozen=True)
class Begun:
    """What is known of a file that has come in part: `NAME.partial.json`."""

    address: str = ""
    mark: str = ""
    length: int | None = None


def note_of(partial: Path) -> Path:
    """Where it stands what a part is a part of."""
    return partial.with_name(partial.name + ".json")


def drop(partial: Path) -> None:
    """Forgets what has come."""
    for path in (partial, note_of(partial)):
        path.unlink(missing_ok=True)


def attempt(
    address: str,
    partial: Path,
    *,
    size: int | None = None,
    has_digest: bool = False,
    progress: Progress | None = None,
) -> None:
    """Fetches what `partial` lacks; when it returns, the file is as long as the server and `size` say.

    Args:
        address: http:// or https://.
        partial: may hold the beginning.
        size: the length that is expected, in bytes.
        has_digest: a digest tells in the end whether all parts belong together.
        progress: called after each piece.

    Raises:
        Broken: the server could not be reached, refused, stalled, broke off or sent something else.
        StorageError: the disk is full or may not be written.
    """
    begun = _begun(partial)
    have = partial.stat().st_size if partial.exists() else 0
    same = bool(begun.mark) and begun.address == address
    if have and not (same or has_digest):
        drop(partial)
        have, begun = 0, Begun()
    headers = {"User-Agent": "fullconv", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    if have and same:
        headers["If-Range"] = begun.mark
    try:
        with _open(urllib.request.Request(address, headers=headers)) as reply:
            start, total = _place(reply, have, begun if same else Begun(length=begun.length), partial)
            _check_length(total, size, partial, start)
            _note(partial, Begun(address, _mark(reply.headers), total))
            _copy(reply, partial, start, total if total is not None else size, progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != 416 or not have:
            raise _refusal(error) from None
        if error.headers.get("Content-Range") != f"bytes */{have}":
            drop(partial)
            raise Broken("the file has another length than before") from None
    except Broken:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failure(error) from None


def answers(address: str, seconds: float = 5) -> bool:
    """Whether a server replies to a request for `address`, whatever it says."""
    try:
        urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=seconds).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows few redirects, and none that would give up encryption."""

    max_redirections = MAX_REDIRECTS

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        scheme = newurl.partition(":")[0].lower()
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            fp.close()
            raise Broken(f"it redirects from {req.type} to {newurl[:200]!r}, which is refused", final=True)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(request: urllib.request.Request) -> http.client.HTTPResponse:
    # made anew each time: the environment says which proxy there is
    return urllib.request.build_opener(_Redirects).open(request, timeout=STALL_SECONDS)


def _begun(partial: Path) -> Begun:
    try:
        told = json.loads(note_of(partial).read_bytes())
        return Begun(str(told["address"]), str(told["mark"]), told["length"])
    except (OSError, ValueError, KeyError, TypeError):
        return Begun()


def _note(partial: Path, begun: Begun) -> None:
    write_text_atomically(note_of(partial), json.dumps(asdict(begun)))


def _mark(headers: Any) -> str:
    """The strong mark of a version, or "": what If-Range may hold."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _place(reply: http.client.HTTPResponse, have: int, begun: Begun, partial: Path) -> tuple[int, int | None]:
    """Where the reply's bytes belong, and how long the whole is if that is told."""
    if reply.status != 206:
        told = reply.headers.get("Content-Length", "")
        return 0, int(told) if told.isdecimal() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", reply.headers.get("Content-Range", ""))
    if found is None or int(found[1]) != have:
        drop(partial)
        raise Broken("it sent another part than it was asked for")
    total = None if found[2] == "*" else int(found[2])
    mark = _mark(reply.headers)
    other_mark = mark and begun.mark and mark != begun.mark
    if other_mark or (total and begun.length and total != begun.length):
        drop(partial)
        raise Broken("the file changed in between")
    return have, total


def _check_length(total: int | None, size: int | None, partial: Path, start: int) -> None:
    if total is not None and size is not None and total != size:
        raise Broken(f"it announces {total:,} bytes; expected {size:,}", final=True)
    whole = total if total is not None else size
    if whole is None:
        return
    free = shutil.disk_usage(partial.parent).free
    already = partial.stat().st_size if partial.exists() else 0
    if whole - start > free + (already - start):
        raise StorageError(
            f"{partial.parent}: {partial.name.removesuffix('.partial')} needs {(whole - start) / 1e9:.2f} GB more, and "
            f"{free / 1e9:.2f} GB are free; free space or choose another folder"
        )


def _copy(
    reply: http.client.HTTPResponse, partial: Path, start: int, total: int | None, progress: Progress | None
) -> None:
    done = start
    began, at_least = time.monotonic(), start
    with _written(partial, "ab" if start else "wb") as file:
        while chunk := reply.read1(CHUNK):
            done += len(chunk)
            if total is not None and done > total:
                raise Broken(f"it sent more than the {total:,} bytes that were expected", final=True)
            write_all(file, chunk, partial)
            if progress:
                progress(done, total)
            if time.monotonic() - began > STALL_SECONDS:
                if done - at_least < SLOWEST * STALL_SECONDS:
                    raise Broken(f"it sent {done - at_least:,} bytes in {STALL_SECONDS:.0f} s")
                began, at_least = time.monotonic(), done
        try:
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(partial, error) from None
    if total is not None and done < total:
        raise Broken(f"the connection broke after {done:,} of {total:,} bytes")


def _written(partial: Path, mode: str) -> IO[bytes]:
    try:
        return open(partial, mode, buffering=0)
    except OSError as error:
        raise unwritable(partial, error) from None


def write_all(file: IO[bytes], data: bytes, path: Path) -> None:
    """Writes to an unbuffered file.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    rest = memoryview(data)
    try:
        while rest:  # a disk that fills up takes a part
            rest = rest[file.write(rest) :]
    except OSError as error:
        raise unwritable(path, error) from None


def unwritable(path: Path, error: OSError) -> StorageError:
    """What to say where a file could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageError(
            f"disk full: cannot write {path}; free space and run it again: it goes on from there"
        )
    return StorageError(f"cannot write {path}: {error.strerror}; choose a folder that may be written")


def _refusal(error: urllib.error.HTTPError) -> Broken:
    later = error.code in TRY_LATER
    asked = error.headers.get("Retry-After", "") if later else ""
    if 300 <= error.code < 400:
        return Broken(f"it redirects in a circle or more than {MAX_REDIRECTS} times", final=True)
    return Broken(
        f"HTTP {error.code} {responses.get(error.code, '')}".strip(), final=not later, seconds=_seconds(asked)
    )


def _seconds(asked: str) -> float:
    """What a Retry-After header, seconds or a date, asks for.

    >>> _seconds("120"), _seconds("Wed, 21 Oct 2015 07:28:00 GMT"), _seconds("soon")
    (120.0, 0.0, 0.0)
    """
    if re.fullmatch(r"\d{1,9}", asked):
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _failure(error: Exception) -> Broken:
    """What went wrong on the line, and whether it would again."""
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    final = isinstance(
        cause, socket.gaierror | ssl.SSLCertVerificationError | ValueError | http.client.InvalidURL
    )
    if isinstance(cause, TimeoutError):
        return Broken(f"it sent nothing for {STALL_SECONDS:.0f} s")
    if isinstance(cause, http.client.HTTPException):
        return Broken(f"it does not speak HTTP well ({type(cause).__name__})", final=final)
    return Broken(getattr(cause, "strerror", None) or str(cause), final=final)
