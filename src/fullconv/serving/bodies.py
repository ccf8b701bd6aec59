"""Bodies of requests: read within bounds of length, time and memory, and taken apart in memory. Nothing goes to the disk."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import Settings

MOST_PARTS = 8
MOST_HEAD_BYTES = 4096
"""Of the head of a part."""


class Bodies:
    """Reads bodies, and keeps count of the bytes that all of them hold."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.held = 0

    @asynccontextmanager
    async def of(self, request: Request, at_most: int | None = None) -> AsyncIterator[bytearray]:
        """A request's body, held until the context ends.

        Args:
            request: whose body has not been read.
            at_most: so many bytes; default: as many as the settings say.

        Raises:
            Refusal: it is too long, comes too slowly, or does not fit beside the others that are held.
            starlette.requests.ClientDisconnect: the client hung up.
        """
        body, limit = bytearray(), at_most or self.settings.max_bytes
        self.check(declared_length(request), 0, limit)
        try:
            async with asyncio.timeout(self.settings.upload_seconds):
                async for chunk in request.stream():
                    self.check(len(body) + len(chunk), len(chunk), limit)
                    self.held += len(chunk)
                    body += chunk
            yield body
        except TimeoutError:
            raise Refusal(
                "slow_upload",
                f"only {len(body):,} bytes came within {self.settings.upload_seconds:g} seconds; send a smaller picture",
            ) from None
        finally:
            self.held -= len(body)

    def check(self, length: int, more: int, limit: int) -> None:
        if length > limit:
            raise Refusal("too_large", f"the body has more than {limit:,} bytes; reduce the picture")
        if self.held + more > self.settings.max_body_bytes_at_once:
            raise Refusal(
                "queue_full", "too many pictures are being sent at once; try again later", retry_after=1
            )


def declared_length(request: Request) -> int:
    text = request.headers.get("content-length", "")
    return int(text) if text.isdecimal() and len(text) < 20 else 0


class Field(NamedTuple):
    """A file in a form.

    Attributes:
        content: its bytes.
        file_name: what the sender calls it; empty where it says nothing.
    """

    content: bytes
    file_name: str


def form_file(body: bytes | bytearray, content_type: str, name: str) -> bytes:
    r"""The content of the one field of a form.

    Raises:
        Refusal: it is no such form, or has another field, or none.

    >>> form_file(
    ...     b'--b\r\nContent-Disposition: form-data; name="image"\r\n\r\nGIF\r\n--b--', "multipart/form-data; boundary=b", "image"
    ... )
    b'GIF'
    """
    return form_fields(body, content_type, (name,))[name].content


def form_fields(body: bytes | bytearray, content_type: str, names: Sequence[str]) -> dict[str, Field]:
    """The fields of a form, each of which must be there once, and no other.

    Args:
        body: of type multipart/form-data.
        content_type: with the boundary.
        names: of the fields.

    Raises:
        Refusal: it is no such form, or a field is missing, there twice, or of another name.

    Source: RFC 7578, "Returning Values from Forms: multipart/form-data"; RFC 2046, 5.1.
    """
    expected = " and ".join(map(repr, names))
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise Refusal(
            "unsupported_format",
            f"the body is {shown(kind) or 'of no type'}; expected multipart/form-data with a field {expected}",
        )
    boundary = options.get(b"boundary", b"")
    if not boundary or len(boundary) > 200:
        raise Refusal("bad_request", "the form names no boundary; let your HTTP library make the form")
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary, MOST_PARTS)
    if not parts or not parts[-1].startswith(b"--"):
        raise Refusal(
            "bad_request", f"the form is cut short, or has {MOST_PARTS} fields or more; send {expected} alone"
        )
    found: dict[str, list[Field]] = {name: [] for name in names}
    for part in parts[:-1]:
        head, gap, content = part.partition(b"\r\n\r\n")
        named = disposition(head) if gap and len(head) <= MOST_HEAD_BYTES else None
        if named is None:
            raise Refusal(
                "bad_request", "a part of the form has no name; let your HTTP library make the form"
            )
        field, file_name = named
        if field.decode("utf-8", "replace") not in found:
            raise Refusal("bad_field", f"the form has a field {shown(field)!r}; expected {expected} alone")
        found[field.decode()].append(Field(content, file_name.decode("utf-8", "replace")))
    for name, fields in found.items():
        if len(fields) != 1:
            raise Refusal(
                "bad_field", f"the form has {len(fields) or 'no'} field {name!r}; expected one, a file"
            )
    return {name: fields[0] for name, fields in found.items()}


def disposition(head: bytes) -> tuple[bytes, bytes] | None:
    """The name of a part and of its file, if it has them."""
    for line in head.split(b"\r\n"):
        header, _, value = line.partition(b":")
        if header.strip().lower() == b"content-disposition":
            kind, options = parse_options_header(value.strip())
            name = options.get(b"name") if kind == b"form-data" else None
            return None if name is None else (name, options.get(b"filename", b""))
    return None


def shown(text: bytes) -> str:
    """For a message: short, printable."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:80].decode("utf-8", "replace"))
