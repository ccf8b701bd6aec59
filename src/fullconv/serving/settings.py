"""What a service allows, and how long it waits."""

from dataclasses import dataclass
from pathlib import Path

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")
"""The pictures that are read: not PPM, which as text takes seconds to decode, and which no browser shows."""


@dataclass(frozen=True)
class Settings:
    """Sizes are in bytes and pixels, times in seconds.

    Attributes:
        name: what the model is called in addresses.
        queue: requests that may wait while one is worked on; more are refused at once.
        timeout: a request is answered within it, or refused; it may ask for less, not for more.
        max_bytes: of a request's body.
        max_json_bytes: of a body, or the part of it, that is JSON: nothing else runs while it is parsed.
        max_pixels: of a picture, or of all pictures of a request.
        max_side: of a picture.
        max_reply_bytes: of a reply with scores.
        max_body_bytes_at_once: of the bodies of all requests under way.
        token: what requests must bear, but for probes and the page.
        hosts: the names that the service answers to; none: to any. It keeps other sites' pages, whose name was made to
            point here (DNS rebinding), from using a service that only this machine may use.
        header_seconds: for the head of a request to come.
        upload_seconds: for its body to come.
        stall_seconds: for the client to take a piece of the reply.
        drain_seconds: for the requests under way to end after a stop was asked for.
        collect: the data folder that takes corrections.
        watch: the folder whose pictures are ranked.
        examples: the folder of the pictures that the page offers.
    """

    name: str = "model"
    queue: int = 32
    timeout: float = 60.0
    max_bytes: int = 32 << 20
    max_json_bytes: int = 2 << 20
    max_pixels: int = 50_000_000
    max_side: int = 16_384
    max_reply_bytes: int = 256 << 20
    max_body_bytes_at_once: int = 256 << 20
    token: str | None = None
    hosts: frozenset[str] = frozenset()
    header_seconds: float = 10.0
    upload_seconds: float = 30.0
    stall_seconds: float = 30.0
    drain_seconds: float = 7.0
    collect: Path | None = None
    watch: Path | None = None
    examples: Path | None = None


LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
"""The names under which a machine calls itself."""
