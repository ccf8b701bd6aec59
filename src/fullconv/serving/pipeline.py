"""Requests on their way through decoding, the network and encoding: a bounded queue, then three stages side by side.

While the network sees one batch the next is decoded and the last encoded, each stage with one batch, so that memory is
bounded however many requests wait. Those whose client hung up, or whose time is over, are dropped where they are met.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from fullconv.inference.segmenter import Prediction, Segmenter
from fullconv.lookahead import THREADS
from fullconv.serving.metrics import Metrics
from fullconv.serving.refusals import Refusal

Result = TypeVar("Result")

BATCH_PIXELS = {"cpu": 1 << 18, "cuda": 1 << 22}
"""Pictures of one size go through the network together up to so many pixels: on a CPU small ones gain a quarter, while
larger ones lose (benchmarks/serving.py); the value for GPUs is a guess."""


@dataclass(eq=False)
class Job:
    """A request's pictures, of one size.

    Attributes:
        size_hw: their height and width.
        count: how many.
        decode: gives them, (H, W, 3) uint8 each; runs in a thread.
        label: what is wanted of a prediction; runs in the network's thread.
        encode: makes the reply; runs in a thread.
        timeout: seconds from now within which the reply is of use.
    """

    size_hw: tuple[int, int]
    count: int
    decode: Callable[[], list[np.ndarray]]
    label: Callable[[Prediction], Any]
    encode: Callable[["Job"], Response]
    timeout: float
    pictures: list[np.ndarray] = field(default_factory=list)
    answers: list[Any] = field(default_factory=list)
    reply: Response | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    admitted: float = field(default_factory=time.perf_counter)
    done: "asyncio.Future[Response]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )

    @property
    def num_pixels(self) -> int:
        return self.count * self.size_hw[0] * self.size_hw[1]

    def fail(self, error: Exception) -> None:
        if not self.done.done():
            self.done.set_exception(error)


class Pipeline:
    """The queue and its stages.

    Args:
        segmenter: labels the pictures.
        network: a single thread, in which it does so.
        queue: jobs that may be there besides one.
        metrics: is told what happens.
    """

    def __init__(self, segmenter: Segmenter, network: Executor, queue: int, metrics: Metrics) -> None:
        self.segmenter = segmenter
        self.network = network
        self.queue = queue
        self.metrics = metrics
        self.batch_pixels = BATCH_PIXELS.get(segmenter.engine.device.type, 0)
        self.jobs: set[Job] = set()
        self.waiting: deque[Job] = deque()
        self.arrived = asyncio.Event()
        self.decoded: asyncio.Queue[list[Job]] = asyncio.Queue(1)
        self.labelled: asyncio.Queue[list[Job]] = asyncio.Queue(1)
        self.codecs = ThreadPoolExecutor(THREADS, "codecs")
        self.pace = 0.0
        """Seconds that a job has lately taken from the next one."""
        self.stages = [
            asyncio.create_task(stage()) for stage in (self.decode_jobs, self.label_jobs, self.encode_jobs)
        ]
        metrics.watch_queue(lambda: len(self.waiting))

    async def run(self, job: Job, request: Request) -> Response:
        """The reply to a job.

        Raises:
            Refusal: the queue is full, or the time is over.
            ClientDisconnect: the client hung up; what was not begun is not done.
            Exception: what decoding, the network or encoding raised.
        """
        self.check_room()
        self.jobs.add(job)
        self.waiting.append(job)
        self.arrived.set()
        gone = asyncio.create_task(disconnected(request))
        try:
            await asyncio.wait((job.done, gone), timeout=job.timeout, return_when=asyncio.FIRST_COMPLETED)
            if job.done.done():
                return job.done.result()
            if gone.done():
                raise ClientDisconnect
            raise Refusal(
                "deadline_passed",
                f"not done within {job.timeout:g} seconds; try again later",
                self.expected_wait,
            )
        finally:
            gone.cancel()
            job.done.cancel()
            self.jobs.discard(job)
            if job in self.waiting:
                self.waiting.remove(job)

    def check_room(self) -> None:
        """
        Raises:
            Refusal: the queue is full.
        """
        if len(self.jobs) > self.queue:
            text = f"{len(self.jobs)} requests are waiting or worked on, as many as may; try again later"
            raise Refusal("queue_full", text, self.expected_wait)

    @property
    def expected_wait(self) -> float:
        """Seconds until what is there now will be done."""
        return self.pace * len(self.jobs)

    async def decode_jobs(self) -> None:
        while True:
            batch = await self.next_batch()
            await asyncio.gather(*(self.step("decode", self.codecs, [job], decode) for job in batch))
            await self.decoded.put(batch)

    async def next_batch(self) -> list[Job]:
        """The job that has waited longest, and those of equal size that may go with it."""
        while not self.waiting:
            self.arrived.clear()
            await self.arrived.wait()
        first = self.waiting.popleft()
        batch, num_pixels = [first], first.num_pixels
        for job in list(self.waiting):
            if job.size_hw == first.size_hw and num_pixels + job.num_pixels <= self.batch_pixels:
                self.waiting.remove(job)
                batch.append(job)
                num_pixels += job.num_pixels
        for job in batch:
            self.note(job, "queue", time.perf_counter() - job.admitted)
        return batch

    async def label_jobs(self) -> None:
        while True:
            batch = [job for job in await self.decoded.get() if not job.done.done()]
            began = time.perf_counter()
            if not await self.step("network", self.network, batch, self.label) and len(batch) > 1:
                for job in batch:  # one of them may be to blame, and only that one is to fail
                    await self.step("network", self.network, [job], self.label)
            for _ in batch:
                each = (time.perf_counter() - began) / len(batch)
                self.pace = 0.9 * (self.pace or each) + 0.1 * each
            await self.labelled.put(batch)

    def label(self, batch: list[Job]) -> None:
        """The network's part of the work."""
        pictures = [picture for job in batch for picture in job.pictures]
        predictions = iter(self.segmenter.predict_batch(pictures, [None] * len(pictures)))
        for job in batch:
            job.answers = [job.label(next(predictions)) for _ in job.pictures]
        self.metrics.batch.observe(len(pictures))
        self.metrics.pictures.inc(len(pictures))
        self.metrics.pixels.inc(sum(job.num_pixels for job in batch))

    async def encode_jobs(self) -> None:
        while True:
            batch = await self.labelled.get()
            await asyncio.gather(*(self.step("encode", self.codecs, [job], encode) for job in batch))
            for job in batch:
                if job.reply is not None and not job.done.done():
                    job.done.set_result(job.reply)

    async def step(
        self, stage: str, threads: Executor, batch: list[Job], work: Callable[[list[Job]], None]
    ) -> bool:
        """Does something with jobs in a thread; what it raises is what a lone job has come to.

        Returns:
            Whether it went well.
        """
        batch = [job for job in batch if not job.done.done()]
        if not batch:
            return True
        began = time.perf_counter()
        try:
            await asyncio.get_running_loop().run_in_executor(threads, work, batch)
        except Exception as error:
            if len(batch) == 1:
                batch[0].fail(error)
            return False
        for job in batch:
            self.note(job, stage, time.perf_counter() - began)
        return True

    async def in_thread(self, work: Callable[[], Result]) -> Result:
        """Work that would hold up the other requests."""
        return await asyncio.get_running_loop().run_in_executor(self.codecs, work)

    def note(self, job: Job, stage: str, seconds: float) -> None:
        job.seconds[stage] = seconds
        self.metrics.stages.labels(stage).observe(seconds)

    def abandon(self) -> None:
        """Ends all jobs that are not done."""
        for job in self.jobs:
            job.fail(
                Refusal("shutting_down", "the service is being stopped; try again elsewhere or later", 5)
            )

    def stop(self) -> None:
        self.abandon()
        for stage in self.stages:
            stage.cancel()
        self.codecs.shutdown(wait=False, cancel_futures=True)


def decode(batch: list[Job]) -> None:
    for job in batch:
        job.pictures = job.decode()


def encode(batch: list[Job]) -> None:
    for job in batch:
        job.reply = job.encode(job)


async def answered(pipeline: Pipeline, job: Job, request: Request) -> Response:
    """The reply to a job, which says how long its parts took, as does the log."""
    reply = await pipeline.run(job, request)
    stages = [(stage, 1000 * seconds) for stage, seconds in job.seconds.items()]
    reply.headers["Server-Timing"] = ", ".join(f"{stage};dur={ms:.1f}" for stage, ms in stages)
    height, width = job.size_hw
    request.state.facts |= {"size": f"{height}x{width}", "pictures": job.count}
    request.state.facts |= {f"{stage}_ms": round(ms, 1) for stage, ms in stages}
    return reply


async def disconnected(request: Request) -> None:
    """Returns once the client has hung up; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
