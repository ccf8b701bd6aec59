"""A service's life: its model is loaded, it answers, it is asked to stop."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
from starlette.requests import Request

from fullconv.bundle import MANIFEST, read_manifest
from fullconv.devices import return_freed_memory
from fullconv.errors import FullconvError, InputError
from fullconv.inference.segmenter import Segmenter
from fullconv.models.build import MODELS
from fullconv.models.describe import describe_network
from fullconv.serving.bodies import Bodies
from fullconv.serving.collecting import Collection
from fullconv.serving.logs import log
from fullconv.serving.metrics import Metrics
from fullconv.serving.pipeline import Pipeline
from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import FORMATS, Settings
from fullconv.serving.watching import Watch, pictures_in

WARM_UP_HW = (128, 192)
MOST_EXAMPLES = 12
TIDY_SECONDS = 30.0
"""How often freed memory is given back: pictures of all sizes leave gaps in it."""


class Service:
    """What the routes share.

    Args:
        loader: gives the segmenter; called in a thread once the service runs.
        settings: what is allowed.

    Attributes:
        about: what `GET /v1/model` says, once the model is loaded.
        stopping: when a stop was asked for, if it was.
        collection: where corrections go, if anywhere.
        watch: the pictures that are ranked, if any.
        examples: the pictures that the page offers.
    """

    def __init__(self, loader: Callable[[], Segmenter], settings: Settings) -> None:
        self.loader = loader
        self.settings = settings
        self.metrics = Metrics()
        self.bodies = Bodies(settings)
        self.network = ThreadPoolExecutor(1, "network")
        self.about: dict[str, Any] = {}
        self.failure: Exception | None = None
        self.stopping: float | None = None
        self.collection: Collection | None = None
        self.watch: Watch | None = None
        self.examples: list[Path] = []
        self.watching: asyncio.Task[None] | None = None
        self._pipeline: Pipeline | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads the model aside, so that the service answers from the first moment."""
        loading, tidying = asyncio.create_task(self.load()), asyncio.create_task(tidy())
        try:
            yield
        finally:
            loading.cancel()
            tidying.cancel()
            if self.watching is not None:
                self.watching.cancel()
            if self._pipeline is not None:
                self._pipeline.stop()
            self.network.shutdown(wait=False, cancel_futures=True)
            if self.collection is not None:
                self.collection.close()
            log("stopped")

    async def load(self) -> None:
        began = time.perf_counter()
        try:
            segmenter, self.about = await asyncio.get_running_loop().run_in_executor(
                self.network, loaded, self.loader, self.settings
            )
            self.open_folders(segmenter)
        except Exception as error:
            self.failure = error
            known = isinstance(error, FullconvError)
            log("the model does not load", logging.ERROR, None if known else error, reason=str(error))
            return
        gc.collect()
        gc.freeze()  # what is there now stays: to look through it again would hold up requests for a tenth of a second
        self._pipeline = Pipeline(segmenter, self.network, self.settings.queue, self.metrics)
        if self.settings.watch is not None:
            self.watch = Watch(
                self.settings.watch,
                segmenter,
                self.network,
                self._pipeline,
                self.bodies,
                self.collection,
                self.settings,
            )
            self.watching = asyncio.create_task(self.watch.run())
        log("ready", model=self.settings.name, seconds=round(time.perf_counter() - began, 2))

    def open_folders(self, segmenter: Segmenter) -> None:
        """
        Raises:
            InputError: a folder is not there, or cannot be used.
        """
        if self.settings.collect is not None:
            self.collection = Collection(self.settings.collect, segmenter.labels)
        if self.settings.watch is not None:
            pictures_in(self.settings.watch)
        if self.settings.examples is not None:
            self.examples = pictures_in(self.settings.examples)[:MOST_EXAMPLES]

    @property
    def pipeline(self) -> Pipeline:
        """
        Raises:
            Refusal: the model is being loaded, or does not load, or the service is being stopped.
        """
        if self.stopping is not None:
            raise Refusal("shutting_down", "the service is being stopped; try again elsewhere or later", 5)
        if self.failure is not None:
            raise Refusal("not_ready", "the model does not load; the service's log says why")
        if self._pipeline is None:
            raise Refusal("not_ready", "the model is being loaded; try again in a moment", retry_after=2)
        return self._pipeline

    def stop(self) -> None:
        """Takes no new requests; those that are there go on."""
        self.stopping = time.monotonic()

    def abandon(self) -> None:
        """Ends the requests that are there, too."""
        if self._pipeline is not None:
            self._pipeline.abandon()


async def tidy() -> None:
    while True:
        await asyncio.sleep(TIDY_SECONDS)
        await asyncio.to_thread(return_freed_memory)


def service_of(request: Request) -> Service:
    return request.app.state.service


def loaded(loader: Callable[[], Segmenter], settings: Settings) -> tuple[Segmenter, dict[str, Any]]:
    """The model, after a first picture: it is recorded then, and ready to go."""
    segmenter = loader()
    channels = segmenter.preprocessing.num_channels
    if channels != 3:
        raise InputError(f"the model takes {channels} channels; a service has red, green and blue alone")
    seconds = [time_prediction(segmenter) for _ in range(2)]  # the first one records the network
    pace = 1e6 * seconds[-1] / (WARM_UP_HW[0] * WARM_UP_HW[1])
    return segmenter, describe(segmenter, settings) | {"seconds_per_megapixel": round(pace, 3)}


def time_prediction(segmenter: Segmenter) -> float:
    began = time.perf_counter()
    _ = segmenter.predict(np.zeros((*WARM_UP_HW, 3), np.uint8)).label_map
    return time.perf_counter() - began


def describe(segmenter: Segmenter, settings: Settings) -> dict[str, Any]:
    """What `GET /v1/model` says."""
    manifest = None if segmenter.folder is None else read_manifest(Path(segmenter.folder) / MANIFEST)
    architecture = None if manifest is None else manifest.architecture
    trained = {} if manifest is None else manifest.trained
    network = describe_network(segmenter.model, segmenter.labels.num_classes)
    preprocessing = segmenter.preprocessing
    return {
        "name": settings.name,
        "digest": None if manifest is None else manifest.weights_sha256,
        "architecture": None if architecture is None else architecture.model_dump(mode="json"),
        "stride": None if architecture is None else MODELS[architecture.model].stride,
        "parameters": network["parameters"],
        "receptive_field": network["receptive_field"],
        "classes": class_list(segmenter.labels),
        "heads": {head.name: class_list(head.labels) for head in segmenter.heads},
        "preprocessing": {
            "channels": "RGB",
            "scale": 1 / 255,
            "mean": preprocessing.mean,
            "std": preprocessing.std,
        },
        "engine": {
            "name": segmenter.engine.name,
            "device": segmenter.engine.device.type,
            "precision": segmenter.engine.precision,
        },
        "metrics": {} if manifest is None else manifest.metrics,
        "trained_on": trained.get("data"),
        "licence": trained.get("licence"),
        "limits_of_use": trained.get("limits"),
        "limits": {
            "formats": FORMATS,
            "max_bytes": settings.max_bytes,
            "max_pixels": settings.max_pixels,
            "max_side": settings.max_side,
            "queue": settings.queue,
            "timeout": settings.timeout,
        },
    }


def class_list(labels: Any) -> list[dict[str, Any]]:
    return [
        {"id": index, "name": name, "color": list(color)}
        for index, (name, color) in enumerate(zip(labels.names, labels.colors, strict=True))
    ]
