"""S1, S2, S3, S7 and throughput: a service under load, overload, dawdling clients, a stop, and for long.

    python benchmarks/serving.py [throughput] [batches] [overload] [slow] [stop]     all of these without arguments
    python benchmarks/serving.py soak --minutes 15

Services run in a process of their own and are spoken to over loopback, clients share the machine with them.

throughput  32 clients, each with one request at a time, against `Segmenter.predict` and the writing of a mask, in turns.
batches     what a CPU gains from pictures of one size in one pass.
overload    a network that takes --network seconds, 2 and 10 times as many requests as it can do, at a steady pace, a queue of 4.
slow        200 connections whose heads never end, and 200 uploads that break off: how long a probe takes meanwhile.
stop        SIGTERM with requests under way: what becomes of them, and how long it takes.
soak        all sorts of requests; memory as time goes on.
"""

import argparse
import asyncio
import io
import multiprocessing
import os
import random
import signal
import statistics
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import fullconv
from common import machine
from fullconv.data.masks import encode_mask
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing
from fullconv.serving.app import create_app
from fullconv.serving.client import form
from fullconv.serving.connections import listen, serve
from fullconv.serving.logs import set_up_logging
from fullconv.serving.settings import Settings

QUEUE = 4


class Stub(torch.nn.Module):
    """A network that takes a while, and no processor."""

    num_classes = 3

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        time.sleep(self.seconds)
        return pictures


def load_stub(seconds: float) -> fullconv.Segmenter:
    plain = Preprocessing((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    segmenter = fullconv.Segmenter(
        Stub(seconds), LabelSet.from_names("abc"), plain, device="cpu", precision="fp32"
    )
    segmenter.tiler.tile = "whole"
    return segmenter


def run_service(model: str | float, queue: int, port: "multiprocessing.SimpleQueue[int]") -> None:
    listener = listen("127.0.0.1", 0)
    port.put(listener.getsockname()[1])
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    set_up_logging("json")
    load = load_stub if isinstance(model, float) else fullconv.load
    app = create_app(lambda: load(model), Settings(queue=queue, timeout=600))
    serve(app, listener)


@contextmanager
def service(model: str | float, queue: int = 32):
    """A service in a process of its own, once it is ready: its process and port; `model` may be the seconds of a stub."""
    context = multiprocessing.get_context("spawn")
    told = context.SimpleQueue()
    process = context.Process(target=run_service, args=(model, queue, told))
    process.start()
    port = told.get()
    try:
        while asyncio.run(ask(port, "GET", "/v2/health/ready"))[0] != 200:
            time.sleep(0.2)
        yield process, port
    finally:
        process.terminate()
        process.join()


async def ask(
    port: int, method: str, path: str, body: bytes = b"", content_type: str = ""
) -> tuple[int, str, float]:
    """Status, Retry-After and seconds of a request on a connection of its own; 0 where the connection broke."""
    began = time.perf_counter()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return 0, "", time.perf_counter() - began
    try:
        return await ask_on(reader, writer, method, path, body, content_type, began)
    finally:
        writer.close()


async def ask_on(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    method: str,
    path: str,
    body: bytes,
    content_type: str,
    began: float,
) -> tuple[int, str, float]:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    try:
        writer.write(head.encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        await reader.readexactly(int(headers["content-length"]))
    except (OSError, asyncio.IncompleteReadError):
        return 0, "", time.perf_counter() - began
    return int(first.split()[1]), headers.get("retry-after", ""), time.perf_counter() - began


def jpeg(height: int, width: int, seed: int = 0) -> bytes:
    """A smooth picture."""
    small = np.random.default_rng(seed).integers(0, 256, (-(-height // 16), -(-width // 16), 3), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] if values else float("nan")


def resident(pid: int) -> float:
    """MB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


async def closed_loop(port: int, clients: int, seconds: float, content: bytes) -> list[float]:
    """Clients with one request at a time, each on a connection that is kept: the seconds of each request."""
    body, content_type = form(content)
    times, end = [], time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            reply = await ask_on(reader, writer, "POST", "/v1/predict?output=mask", body, content_type, began)
            assert reply[0] == 200, reply
            times.append(reply[2])
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return times


def throughput(seconds: float) -> None:
    segmenter = fullconv.load("camvid")

    def bare(content: bytes) -> float:
        """Pictures a second."""
        count, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            encode_mask(segmenter.predict(Image.open(io.BytesIO(content))).label_map, segmenter.labels)
            count += 1
        return count / (time.perf_counter() - began)

    with service("camvid") as (_, port):
        for size in ((128, 128), (256, 256), (512, 512)):
            content = jpeg(*size)
            bare(content)
            alone, served, times = [], [], []
            for _ in range(3):
                alone.append(bare(content))
                began = time.perf_counter()
                taken = asyncio.run(closed_loop(port, 32, seconds, content))
                served.append(len(taken) / (time.perf_counter() - began))
                times += taken
            ratio = statistics.median(s / a for s, a in zip(served, alone, strict=True))
            print(
                f"throughput {size[0]} x {size[1]}: bare {statistics.median(alone):.2f} pictures/s, 32 clients "
                f"{statistics.median(served):.2f}, ratio {ratio:.2f}; "
                f"p50 {quantile(times, 0.5):.2f} s, p99 {quantile(times, 0.99):.2f} s"
            )


def batches() -> None:
    segmenter = fullconv.load("camvid")
    for size in ((64, 64), (128, 128), (256, 256), (360, 480)):
        pictures = [np.asarray(Image.open(io.BytesIO(jpeg(*size, seed)))) for seed in range(8)]
        best = {}
        for _ in range(4):
            for count in (1, 2, 4, 8):
                began = time.process_time()
                for first in range(0, 8, count):
                    for each in segmenter.predict_batch(pictures[first : first + count], [None] * count):
                        _ = each.label_map
                best[count] = min(best.get(count, 1e9), (time.process_time() - began) / 8)
        shown = ", ".join(f"{count}: {1000 * took:.1f}" for count, took in best.items())
        print(f"batches {size[0]} x {size[1]}: ms of processor time a picture, by batch size: {shown}")


async def open_loop(port: int, rate: float, seconds: float, content: bytes) -> list[tuple[int, str, float]]:
    """Requests at a steady pace, whatever becomes of them."""
    body, content_type = form(content)
    tasks, began = [], time.perf_counter()
    for number in range(int(rate * seconds)):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(ask(port, "POST", "/v1/predict?output=mask", body, content_type)))
    return await asyncio.gather(*tasks)


def overload(seconds: float, network: float) -> None:
    content = jpeg(64, 64)
    with service(network, QUEUE) as (process, port):
        calm = asyncio.run(closed_loop(port, 4, seconds / 2, content))
        capacity = len(calm) / (seconds / 2)
        print(f"overload: {capacity:.1f} requests/s can be done by a network of {1000 * network:.0f} ms")
        for factor in (2, 10):
            before, began = resident(process.pid), time.perf_counter()
            replies = asyncio.run(open_loop(port, factor * capacity, seconds, content))
            took = time.perf_counter() - began
            done = [reply[2] for reply in replies if reply[0] == 200]
            refused = [reply for reply in replies if reply[0] == 503]
            after = asyncio.run(ask(port, "POST", "/v1/predict?output=mask", *form(content)))
            bound = (QUEUE + 1) / capacity + 0.1
            print(
                f"overload {factor} x for {seconds:.0f} s: {len(done)} done, {len(refused)} refused, "
                f"{len(replies) - len(done) - len(refused)} other; done p50 {1000 * quantile(done, 0.5):.0f} ms, "
                f"p99 {1000 * quantile(done, 0.99):.0f} ms (bound {1000 * bound:.0f}); refusals p50 "
                f"{1000 * quantile([r[2] for r in refused], 0.5):.1f} ms, "
                f"p99 {1000 * quantile([r[2] for r in refused], 0.99):.1f} ms, "
                f"with Retry-After {sum(bool(r[1]) for r in refused)}; "
                f"goodput {len(done) / took / capacity:.0%} of capacity; memory {before:.0f} to "
                f"{resident(process.pid):.0f} MB; the next request {after[0]} in {1000 * after[2]:.0f} ms"
            )


def slow() -> None:
    head = b"POST /v1/predict HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n"

    async def probe(port: int, count: int = 50) -> list[float]:
        times = []
        for _ in range(count):
            status, _, took = await ask(port, "GET", "/v2/health/ready")
            assert status == 200
            times.append(took)
            await asyncio.sleep(0.02)
        return times

    async def main(port: int) -> None:
        calm = await probe(port)
        writers = []
        for _ in range(200):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"X-Slow: a")
            writers.append(writer)
        held = await probe(port)
        for writer in writers:
            writer.close()
        probing = asyncio.create_task(probe(port))
        for _ in range(200):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head + b"Content-Length: 1000000\r\n\r\n" + bytes(100_000))
            await writer.drain()
            writer.transport.abort()
        broken = await probing
        for name, times in (
            ("calm", calm),
            ("200 heads that never end", held),
            ("200 uploads that break off", broken),
        ):
            print(
                f"slow: probe, {name}: p50 {1000 * quantile(times, 0.5):.1f} ms, longest {1000 * max(times):.1f} ms"
            )

    with service(0.05) as (_, port):
        asyncio.run(main(port))


def stop() -> None:
    # Of sizes of their own, so that they go through the network one by one.
    contents = [jpeg(64, 64 + index) for index in range(20)]

    async def main(process: multiprocessing.Process, port: int) -> None:
        tasks = [
            asyncio.create_task(ask(port, "POST", "/v1/predict", *form(content))) for content in contents
        ]
        await asyncio.sleep(0.3)
        os.kill(process.pid or 0, signal.SIGTERM)
        began = time.perf_counter()
        await asyncio.sleep(0.05)
        ready = await ask(port, "GET", "/v2/health/ready")
        late = await ask(port, "POST", "/v1/predict", *form(contents[0]))
        replies = Counter(reply[0] for reply in await asyncio.gather(*tasks))
        while process.is_alive():
            await asyncio.sleep(0.02)
        print(
            f"stop: 20 requests under way: {dict(replies)}; then ready {ready[0]}, a new request {late[0]}; ended in "
            f"{time.perf_counter() - began:.1f} s with {process.exitcode}"
        )

    with service(0.05) as (process, port):
        asyncio.run(main(process, port))


def soak(minutes: float) -> None:
    """Pictures of all sizes, outputs of all kinds, damaged files, clients that go away; four at a time."""
    generator = random.Random(0)
    pictures = [jpeg(generator.randrange(32, 400), generator.randrange(32, 400), seed) for seed in range(24)]
    damaged = [picture[: len(picture) // 2] for picture in pictures[:4]]
    outputs = ("json", "json&shapes=polygons", "mask", "overlay", "scores", "maps")
    statuses: Counter[int] = Counter()

    async def client(port: int, end: float) -> None:
        while time.monotonic() < end:
            body, content_type = form(generator.choice(pictures + damaged))
            asking = ask(port, "POST", f"/v1/predict?output={generator.choice(outputs)}", body, content_type)
            try:
                async with asyncio.timeout(0.01 if generator.random() < 0.1 else 120):
                    statuses[(await asking)[0]] += 1
            except TimeoutError:
                statuses[-1] += 1

    async def main(process: multiprocessing.Process, port: int) -> list[tuple[float, float]]:
        began, memory = time.monotonic(), []
        clients = [asyncio.create_task(client(port, began + 60 * minutes)) for _ in range(4)]
        while not all(each.done() for each in clients):
            memory.append((time.monotonic() - began, resident(process.pid or 0)))
            await asyncio.sleep(5)
        await asyncio.gather(*clients)
        return memory

    with service("camvid") as (process, port):
        memory = asyncio.run(main(process, port))
    settled = [(seconds, size) for seconds, size in memory if seconds > 60 * minutes / 3]
    slope = np.polyfit(*zip(*settled, strict=True), 1)[0] * 600
    print(
        f"soak {minutes:g} min: {dict(statuses)} (-1: the client went away); memory {memory[0][1]:.0f} MB at first, "
        f"{settled[0][1]:.0f} after a third, {memory[-1][1]:.0f} at the end, most {max(size for _, size in memory):.0f}; "
        f"{slope:+.2f} MB in 10 minutes over the last two thirds"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", nargs="*", default=["throughput", "batches", "overload", "slow", "stop"])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--network", type=float, default=0.05)
    parser.add_argument("--minutes", type=float, default=15)
    arguments = parser.parse_args()
    print(f"{machine()}; load {os.getloadavg()[0]:.1f} before")
    commands = {
        "throughput": lambda: throughput(arguments.seconds),
        "batches": batches,
        "overload": lambda: overload(arguments.seconds, arguments.network),
        "slow": slow,
        "stop": stop,
        "soak": lambda: soak(arguments.minutes),
    }
    for what in arguments.what:
        commands[what]()
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
