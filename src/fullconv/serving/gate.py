"""What every request passes, before and after it is worked on: identity, access, headers, log and figures."""

import asyncio
import hmac
import logging
import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fullconv.serving.logs import log
from fullconv.serving.metrics import Metrics
from fullconv.serving.refusals import Refusal, error_reply, refusal_of
from fullconv.serving.settings import Settings

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""For the page: all that it uses comes from here, but for the pictures that a user gives it (blob:)."""

SECURITY = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PUBLIC = ("/", "/favicon.ico", "/v2/health/live", "/v2/health/ready")
PUBLIC_FOLDER = "/static/"
"""What may be had without a token: probes, and the page, which asks for the token."""

PIECE = 1 << 18
"""Bytes of a reply that are handed over at a time: so many at most lie around for a client that does not take them."""

LINGER_SECONDS = 3.0
"""How long what is still being sent is thrown away after a refusal: a connection that is cut earlier may lose the reply."""


class Gate:
    """The outermost layer of the application; `app` is the rest of it."""

    def __init__(self, app: ASGIApp, settings: Settings, metrics: Metrics) -> None:
        self.app = app
        self.settings = settings
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, self.settings)
        with self.metrics.in_flight.track_inprogress():
            try:
                try:
                    check_access(scope, self.settings)
                    await self.app(scope, exchange.receive, exchange.send)
                except ClientDisconnect:
                    exchange.code = "client_gone"
                except Exception as error:
                    await self.refuse(error, scope, exchange)
            finally:
                self.record(scope, exchange)

    async def refuse(self, error: Exception, scope: Scope, exchange: "Exchange") -> None:
        refusal = refusal_of(error)
        exchange.code = refusal.code
        if refusal.status == 500:
            log("error", logging.ERROR, error, id=exchange.id)
        if exchange.status is None and refusal.code != "client_gone":
            await error_reply(refusal)(scope, exchange.receive, exchange.send)

    def record(self, scope: Scope, exchange: "Exchange") -> None:
        seconds = (exchange.ended or time.perf_counter()) - exchange.began
        route = getattr(scope.get("route"), "path", "other")
        status = exchange.status if exchange.status is not None else 499
        self.metrics.requests.labels(route, str(status), exchange.code or "").inc()
        self.metrics.latency.labels(route).observe(seconds)
        log(
            "request",
            id=exchange.id,
            client=(scope.get("client") or ["?"])[0],
            method=scope["method"][:16],
            path=scope["path"][:200],
            status=status,
            code=exchange.code,
            ms=round(1000 * seconds, 1),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            **scope["state"]["facts"],
        )


class Exchange:
    """A request and its reply, watched as they pass.

    Attributes:
        id: the client's X-Request-Id, or one made here.
        status: of the reply, once it has begun.
        code: of the refusal, if it is one.
        bytes_in: received of the body.
        bytes_out: sent of the reply's.
        began: when the head of the request had come.
        ended: when the reply had been handed over.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send, settings: Settings) -> None:
        headers = Headers(scope=scope)
        given = headers.get("x-request-id", "")
        self.id = given if re.fullmatch(r"[\w.:/+=-]{1,128}", given, re.ASCII) else uuid.uuid4().hex
        self.status: int | None = None
        self.code: str | None = None
        self.bytes_in = self.bytes_out = 0
        self.began, self.ended = time.perf_counter(), None
        self.body_is_read = "transfer-encoding" not in headers and headers.get("content-length", "0") == "0"
        self.path = scope["path"]
        self.stall_seconds = settings.stall_seconds
        self.next_message = receive
        self.pass_on = send
        scope.setdefault("state", {})["facts"] = {}

    async def receive(self) -> Message:
        message = await self.next_message()
        self.bytes_in += len(message.get("body", b""))
        self.body_is_read |= not message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        """Adds the headers, and hands a large body over in pieces, each within `stall_seconds`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            headers["Cache-Control"] = "no-cache" if is_public(self.path) else "no-store"
            for name, value in SECURITY.items():
                headers[name] = value
            if not self.body_is_read:
                headers["Connection"] = "close"
            await self.hand_over(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        self.bytes_out += len(body)
        for start in range(0, max(1, len(body)), PIECE):
            last = start + PIECE >= len(body) and not more and self.body_is_read
            piece = body[start : start + PIECE]
            await self.hand_over({"type": "http.response.body", "body": piece, "more_body": not last})
        self.ended = time.perf_counter()
        if not more and not self.body_is_read:
            await self.linger()
            await self.hand_over({"type": "http.response.body", "body": b"", "more_body": False})

    async def hand_over(self, message: Message) -> None:
        """
        Raises:
            ClientDisconnect: the client does not take it.
        """
        try:
            async with asyncio.timeout(self.stall_seconds):
                await self.pass_on(message)
        except TimeoutError:
            raise ClientDisconnect from None

    async def linger(self) -> None:
        """Throws away what the client is still sending, for a while."""
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while not self.body_is_read:
                    await self.receive()
        except TimeoutError:
            pass


def check_access(scope: Scope, settings: Settings) -> None:
    """Who may ask.

    Raises:
        Refusal: another host was meant, another site's page asks, or the token is missing or wrong.
    """
    headers = Headers(scope=scope)
    host = host_name(headers.get("host", ""))
    if settings.hosts and host not in settings.hosts:
        raise Refusal(
            "forbidden",
            f"this service does not answer to {host[:100]!r}; use {', '.join(sorted(settings.hosts))}",
        )
    if scope["method"] not in ("GET", "HEAD") and headers.get("sec-fetch-site") == "cross-site":
        raise Refusal("forbidden", "this comes from another site's page; open the service's own")
    if settings.token is None or is_public(scope["path"]):
        return
    wanted = f"Bearer {settings.token}"
    if not hmac.compare_digest(headers.get("authorization", "").encode(), wanted.encode()):
        raise Refusal(
            "unauthorized",
            "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'",
            headers={"WWW-Authenticate": "Bearer"},
        )


def is_public(path: str) -> bool:
    return path in PUBLIC or path.startswith(PUBLIC_FOLDER)


def host_name(host: str) -> str:
    """What stands before the port, in small letters.

    >>> host_name("LOCALHOST:8000"), host_name("[::1]:8000"), host_name("::1")
    ('localhost', '::1', '::1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return (host if host.count(":") > 1 else host.partition(":")[0]).lower()
