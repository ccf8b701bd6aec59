"""Prediction by a service elsewhere: the same files as from a model here. It needs none of the service's own packages."""

import io
import json
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np
from PIL import Image

from fullconv.data.pictures import load_upright, open_header, read_picture
from fullconv.errors import ConfigError, FullconvError, InputError, PictureError, RunError
from fullconv.inference.folder import jobs_of, journaled, part_of
from fullconv.inference.outputs import Answer, Job, Record, files_of, write_answer
from fullconv.labels import LabelSet
from fullconv.lookahead import ahead, pool

CONNECTIONS = 4
"""Pictures on their way at a time: enough to keep a network busy while others travel."""

REPLY_SECONDS = 600
PATIENCE_SECONDS = 600
"""How long a picture is sent again while the service says that it is full."""

BREAKS = 4
"""Times that a connection may break for one picture; the pauses in between double."""

DRAWN = {"overlay", "before-after", "confidence", "entropy"}
"""The kinds that show the picture itself."""

MAPS = {"confidence", "entropy"}


@dataclass(frozen=True)
class Served:
    """What a service says of its model.

    Attributes:
        name: what it is called there.
        digest: tells it from other models.
        labels: the classes.
        heads: those of further heads.
        max_bytes: the longest file that it takes.
    """

    name: str
    digest: str
    labels: LabelSet
    heads: dict[str, LabelSet]
    max_bytes: int


class Server:
    """A service; connections to it are kept until the context ends.

    Args:
        url: http or https, host, and perhaps a port and a path before /v1.
        token: that requests bear, if any.

    Raises:
        ConfigError: the address is none.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        parts = urlsplit(url)
        try:
            port = parts.port
        except ValueError:
            port = -1
        if parts.scheme not in ("http", "https") or not parts.hostname or port == -1:
            raise ConfigError(f"--server is {url!r}; expected an address like http://127.0.0.1:8000")
        self.url = url
        self.host, self.port, self.path = parts.hostname, port, parts.path.rstrip("/")
        self.kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self.idle: list[HTTPConnection] = []

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        while self.idle:
            self.idle.pop().close()

    def served(self) -> Served:
        """
        Raises:
            RunError: there is no such service, or it is not ready in time.
            ConfigError: it does not let us in.
        """
        try:
            about = json.loads(self.ask("GET", "/v1/model")[0])
            digest = about["digest"] or ""
            heads = {name: label_set(classes) for name, classes in about["heads"].items()}
            limit = int(about["limits"]["max_bytes"])
            return Served(str(about["name"]), str(digest), label_set(about["classes"]), heads, limit)
        except (ValueError, LookupError, TypeError, AttributeError, InputError) as error:
            if isinstance(error, ConfigError):
                raise
            raise RunError(f"{self.url} does not speak like fullconv serve; check the address") from None

    def ask(self, method: str, path: str, body: bytes = b"", content_type: str = "") -> tuple[bytes, str]:
        """What the service answers, and its Server-Timing; asked again while it is full, or the connection breaks.

        Raises:
            PictureError: it refuses what was sent.
            ConfigError: it does not let us in.
            RunError: it cannot be reached, or stays full.
        """
        began, breaks = time.monotonic(), 0
        headers = self.headers | ({"Content-Type": content_type} if content_type else {})
        while True:
            try:
                status, retry_after, timing, content = self.ask_once(method, path, body, headers)
            except (OSError, HTTPException) as error:
                breaks += 1
                if breaks > BREAKS:
                    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                    raise RunError(
                        f"cannot reach {self.url}: {reason}; is 'fullconv serve' running there?"
                    ) from None
                time.sleep(0.25 * 2**breaks)
                continue
            if status == 200:
                return content, timing
            message = message_of(content, status)
            if status in (429, 503) and retry_after and time.monotonic() - began < PATIENCE_SECONDS:
                time.sleep(min(30.0, seconds_of(retry_after)))
            elif status in (429, 503):
                raise RunError(f"{self.url}: {message}")
            elif status in (401, 403, 404, 405):
                raise ConfigError(f"{self.url}: {message}")
            else:
                raise PictureError(message)

    def ask_once(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, str, str, bytes]:
        """Status, Retry-After, Server-Timing and content of a reply."""
        try:
            connection = self.idle.pop()
        except IndexError:
            connection = self.kind(self.host, self.port, timeout=REPLY_SECONDS)
        try:
            connection.request(method, self.path + path, body, headers)
            reply = connection.getresponse()
            content = reply.read()
        except BaseException:
            connection.close()
            raise
        self.idle.append(connection)
        return reply.status, reply.getheader("Retry-After", ""), reply.getheader("Server-Timing", ""), content


def label_set(classes: list[dict[str, Any]]) -> LabelSet:
    colors = tuple(
        (int(red), int(green), int(blue)) for red, green, blue in (entry["color"] for entry in classes)
    )
    return LabelSet(tuple(str(entry["name"]) for entry in classes), colors)


def message_of(content: bytes, status: int) -> str:
    try:
        return " ".join(str(json.loads(content)["error"]["message"]).split())
    except (ValueError, LookupError, TypeError):
        return f"answered with status {status}"


def seconds_of(retry_after: str) -> float:
    """
    >>> seconds_of("3"), seconds_of("Wed, 21 Oct 2015 07:28:00 GMT")
    (3.0, 5.0)
    """
    return float(retry_after) if retry_after.isdecimal() else 5.0


def predict_remotely(
    server: Server,
    served: Served,
    sources: Sequence[Path],
    out: Path,
    kinds: set[str],
    shard: tuple[int, int] = (1, 1),
) -> Iterator[Record]:
    """`inference.folder.predict_files` by a service: the same files and records, an interrupted run goes on likewise.

    Confidence and entropy come with 8 bits, and so may differ by 1/510 from those of a model here.

    Raises:
        RunError: the service went away.
        StorageError: the disk is full or may not be written.
    """
    jobs = part_of(jobs_of(sources, None), shard)
    identity = {"model": served.digest, "server": served.name, "kinds": sorted(kinds)}
    wanted = frozenset(kinds)

    def label(kind: str, some: Iterable[Job]) -> Iterator[Record]:
        if kind != "picture":
            text = f"is a {kind}; a server takes pictures; leave --server away, or cut it into pictures"
            yield from ({"source": str(job.source), "error": f"{job.source}: {text}"} for job in some)
            return
        with pool(CONNECTIONS) as threads:
            yield from ahead(threads, partial(label_one, server, served, out, wanted), some, most=CONNECTIONS)

    yield from journaled(jobs, out, wanted, shard, identity if served.digest else None, label)


def label_one(server: Server, served: Served, out: Path, kinds: frozenset[str], job: Job) -> Record:
    """Has one picture labelled, writes its files, and gives its record."""
    source = {"source": str(job.source)}
    try:
        answer, seconds = remote_answer(server, served, kinds, job.path)
    except PictureError as error:
        text = str(error).removeprefix("image: ")
        return {**source, "error": text if text.startswith(str(job.source)) else f"{job.source}: {text}"}
    told = write_answer(answer, out, kinds, job.name)
    return {**source, **files_of(job.name, kinds), **told, "seconds": seconds}


def remote_answer(
    server: Server, served: Served, kinds: frozenset[str], source: Path
) -> tuple[Answer, float]:
    """What the service says of a picture, and the seconds that its network took.

    Raises:
        PictureError: the picture cannot be read, here or there.
    """
    try:
        data = source.read_bytes() if source.stat().st_size <= served.max_bytes else None
    except OSError as error:
        raise PictureError(f"{source}: cannot be read ({error.strerror})") from None
    if data is None:
        raise PictureError(
            f"{source}: has more than {served.max_bytes:,} bytes, the server's limit; reduce it"
        )
    picture = read_picture(source) if kinds & DRAWN else None
    seconds = 0.0

    def answer_of(labels: LabelSet, head: str | None) -> Answer:
        nonlocal seconds
        where = "" if head is None else f"&head={quote(head, safe='')}"
        output = "maps" if kinds & MAPS else "mask"
        content, timing = server.ask("POST", f"/v1/predict?output={output}{where}", *form(data))
        seconds += network_seconds(timing)
        pixels = np.asarray(decoded(content, server.url))
        arrays = {}
        if output == "maps":
            arrays = {
                "confidence": pixels[..., 1] / np.float32(255),
                "entropy": pixels[..., 2] / np.float32(255),
            }
            pixels = np.ascontiguousarray(pixels[..., 0])
        if "scores" in kinds:
            content, _ = server.ask("POST", f"/v1/predict?output=scores{where}", *form(data))
            arrays["scores"] = np.load(io.BytesIO(content), allow_pickle=False)
        if pixels.max(initial=0) >= labels.num_classes or (
            picture is not None and pixels.shape != picture.shape[:2]
        ):
            raise RunError(f"{server.url} sent a mask that does not fit {source}; is it of this version?")
        blank = np.broadcast_to(np.uint8(0), (*pixels.shape, 3))
        return Answer(blank if picture is None else picture, pixels, labels, arrays, {})

    first = answer_of(served.labels, None)
    for name, labels in served.heads.items():
        first.heads[name] = answer_of(labels, name)
    return first, round(seconds, 4)


def form(data: bytes) -> tuple[bytes, str]:
    """A form with the one field `image`, and its type."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="image"; filename="image"\r\n\r\n'
    body = b"".join((head.encode(), data, f"\r\n--{boundary}--\r\n".encode()))
    return body, f"multipart/form-data; boundary={boundary}"


def decoded(content: bytes, url: str) -> Image.Image:
    try:
        image = open_header(io.BytesIO(content), "the mask")
        return load_upright(image, "the mask")
    except FullconvError as error:
        raise RunError(f"{url} sent no mask: {error}") from None


def network_seconds(timing: str) -> float:
    """Of a Server-Timing header.

    >>> network_seconds("queue;dur=0.1, network;dur=41.5")
    0.0415
    """
    for part in timing.split(","):
        name, _, duration = part.strip().partition(";dur=")
        if name == "network" and duration.replace(".", "", 1).isdecimal():
            return float(duration) / 1000
    return 0.0
