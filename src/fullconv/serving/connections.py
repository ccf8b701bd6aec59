"""The HTTP server: uvicorn, with a limit for the head of a request, and a stop that is announced before it comes.

uvicorn itself waits for heads without end, and closes its door at the first SIGTERM: whoever asks whether the service is
ready would find no one there, rather than be told that it is not.
"""

import asyncio
import json
import os
import socket
import time
from types import FrameType
from typing import Any

import h11
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from fullconv.errors import ConfigError, InputError
from fullconv.serving.service import Service
from fullconv.serving.settings import Settings

KEEP_ALIVE_SECONDS = 15
STOP_SECONDS = 2
"""What is left, after the requests under way had their time, for their replies to go out."""


def serve(app: FastAPI, listener: socket.socket) -> None:
    """Answers until SIGTERM or SIGINT; those under way are finished.

    Raises:
        InputError: the model cannot be served as it was asked for. (Where it is damaged, the service stays, and says so.)
    """
    service: Service = app.state.service

    class Protocol(PatientProtocol):
        settings = service.settings

    config = uvicorn.Config(
        app,
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
    Server(config, service).run(sockets=[listener])
    if isinstance(service.failure, InputError):
        raise service.failure


def listen(host: str, port: int) -> socket.socket:
    """
    Raises:
        ConfigError: the address is taken, or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = os.strerror(error.errno).lower() if error.errno else str(error)
        raise ConfigError(
            f"cannot listen at {host}:{port}: {reason}; stop what runs there, or give another --host or --port"
        ) from None


class Server(uvicorn.Server):
    """At a signal the service says that it is not ready, and stops once the requests under way are answered."""

    def __init__(self, config: uvicorn.Config, service: Service) -> None:
        super().__init__(config)
        self.service = service

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.service.stopping is not None:  # a second one: now
            super().handle_exit(sig, frame)
            return
        self._captured_signals.append(sig)
        self.service.stop()

    async def on_tick(self, counter: int) -> bool:
        since = self.service.stopping
        if since is not None and time.monotonic() - since > self.service.settings.drain_seconds:
            self.service.abandon()
            self.should_exit = True
        elif (since is not None and not self.server_state.tasks) or isinstance(
            self.service.failure, InputError
        ):
            self.should_exit = True
        return await super().on_tick(counter)


class PatientProtocol(H11Protocol):
    """Closes a connection whose next request does not come in time, from its first byte on."""

    settings = Settings()
    timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self.watch_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.timer is not None:
            self.timer.cancel()

    def watch_head(self) -> None:
        if self.conn.their_state is not h11.IDLE:
            if self.timer is not None:
                self.timer.cancel()
            self.timer = None
        elif self.timer is None:
            self.timer = self.loop.call_later(self.settings.header_seconds, self.transport.close)

    def send_400_response(self, msg: str) -> None:
        content = {"error": {"code": "bad_request", "message": "this is not HTTP, or its head is too long"}}
        body = json.dumps(content).encode()
        headers: list[Any] = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        events = (h11.Response(status_code=400, headers=headers), h11.Data(data=body), h11.EndOfMessage())
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()
