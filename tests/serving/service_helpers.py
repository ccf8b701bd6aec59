"""A network whose answer is known beforehand, applications of it, pictures, and what tests send."""

import asyncio
import io
import threading
import time
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from http.client import HTTPConnection

import httpx
import numpy as np
import torch
from fastapi import FastAPI
from PIL import Image
from torch import nn

from fullconv.inference.segmenter import Segmenter
from fullconv.labels import Head, LabelSet
from fullconv.preprocessing import Preprocessing
from fullconv.serving.app import create_app
from fullconv.serving.connections import listen, serve
from fullconv.serving.service import Service
from fullconv.serving.settings import Settings

LABELS = LabelSet(("red", "green", "blue"), ((200, 0, 0), (0, 200, 0), (0, 0, 200)))


class Brightest(nn.Module):
    """Labels each pixel by its brightest channel; of equal ones the first."""

    num_classes = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1), requires_grad=False)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return 8 * self.weight * pictures


class TwoHeads(Brightest):
    """And, as a second head, whether red is below one half."""

    num_classes = 5

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        red = pictures[:, :1]
        return torch.cat([8 * self.weight * pictures, red, 1 - red], dim=1)


def segmenter_of(model: nn.Module | None = None, heads: tuple[Head, ...] = ()) -> Segmenter:
    plain = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    return Segmenter(model or Brightest(), LABELS, plain, device="cpu", precision="fp32", heads=heads)


def brightest(picture: np.ndarray) -> np.ndarray:
    """What `Brightest` says of an (H, W, 3) picture."""
    return picture.argmax(axis=2).astype(np.uint8)


def picture_of(height: int = 20, width: int = 30, seed: int = 0) -> np.ndarray:
    """(H, W, 3) uint8, noise in cells of 4 x 5 pixels."""
    cells = np.random.default_rng(seed).integers(0, 256, (-(-height // 4), -(-width // 5), 3), np.uint8)
    return cells.repeat(4, 0).repeat(5, 1)[:height, :width]


def encoded(picture: np.ndarray, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, form)
    return stream.getvalue()


def decoded(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def image(content: bytes) -> dict[str, tuple[str, bytes]]:
    """As httpx takes files."""
    return {"image": ("photo", content)}


@asynccontextmanager
async def application(
    source: Segmenter | Callable[[], Segmenter] | None = None,
    settings: Settings | None = None,
    ready: bool = True,
):
    """A client and the service behind it, without sockets."""
    app = create_app(source or segmenter_of(), settings or Settings())
    async with app.router.lifespan_context(app):
        service: Service = app.state.service
        service.app = app  # pyright: ignore[reportAttributeAccessIssue]
        while ready and service._pipeline is None and service.failure is None:
            await asyncio.sleep(0.01)
        yield client_of(app), service


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=60)


def asked(
    ask: Callable[[httpx.AsyncClient], Awaitable[httpx.Response]],
    source: Segmenter | Callable[[], Segmenter] | None = None,
    settings: Settings | None = None,
) -> httpx.Response:
    """The reply to one request of a fresh application."""

    async def main() -> httpx.Response:
        async with application(source, settings) as (client, _):
            return await ask(client)

    return asyncio.run(main())


def code_of(reply: httpx.Response) -> str:
    """The code of a refusal, whose shape and message are checked."""
    content = reply.json()
    assert list(content) == ["error"]
    assert list(content["error"]) == ["code", "message"]
    message = content["error"]["message"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    assert reply.headers["content-type"] == "application/json"
    return content["error"]["code"]


async def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        await asyncio.sleep(0.005)


@contextmanager
def running(
    source: Segmenter | Callable[[], Segmenter] | None = None,
    settings: Settings | None = None,
    ready: bool = True,
):
    """A service behind a real socket, in a thread: its port, and the service. In the end it is stopped as by a signal."""
    app = create_app(source or segmenter_of(), settings or Settings())
    service: Service = app.state.service
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    thread = threading.Thread(target=serve, args=(app, listener))
    thread.start()
    try:
        while ready and get(port, "/v2/health/ready")[0] != 200:
            time.sleep(0.02)
        yield port, service
    finally:
        service.stop()
        thread.join(30)
        assert not thread.is_alive()


def get(port: int, path: str) -> tuple[int, bytes]:
    """Status and content, by a connection of its own."""
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


class Held:
    """A segmenter that waits, before each batch, until it is let go; it remembers the batches."""

    def __init__(self, open: bool = False) -> None:
        self.segmenter = segmenter_of()
        self.batches: list[list[np.ndarray]] = []
        self.gate = threading.Semaphore(10**6 if open else 0)
        self.predict = self.segmenter.predict_batch
        self.segmenter.predict_batch = self.held  # pyright: ignore[reportAttributeAccessIssue]

    def held(self, pictures: list[np.ndarray], extras: list[None]) -> object:
        self.batches.append(pictures)
        assert self.gate.acquire(timeout=30)
        return self.predict(pictures, extras)

    def let_go(self, batches: int = 10**6) -> None:
        self.gate.release(batches)
