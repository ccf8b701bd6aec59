"""A folder's pictures, those first of which the model is least sure: to correct them teaches it most.

Each is ranked by the mean entropy of its scores, on a copy of at most `SIDE` pixels a side, and only while no request is
there or has just been: one that comes meanwhile waits for one such copy at most.
"""

import asyncio
import io
import time
from concurrent.futures import Executor
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.pictures import load_upright, open_header, to_rgb
from fullconv.errors import ConfigError, FullconvError
from fullconv.inference.segmenter import Segmenter
from fullconv.serving.bodies import Bodies
from fullconv.serving.collecting import Collection, digest_of
from fullconv.serving.pipeline import Pipeline
from fullconv.serving.settings import FORMATS, Settings

SIDE = 512
IDLE_SECONDS = 0.5
"""So long no request may have been there before the next picture is ranked."""

TICK_SECONDS = 0.05
LOOK_SECONDS = 3.0
"""How often new pictures are looked for, once the others are ranked."""

SHOWN = frozenset((".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp"))
"""What browsers show."""


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and below, by name; hidden ones are left out.

    Raises:
        ConfigError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder}: no such folder; expected one of pictures; check the path")
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SHOWN and not is_hidden(path.relative_to(folder)) and path.is_file()
    ]


def is_hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)


class Watch:
    """Ranks the pictures of a folder.

    Args:
        folder: of pictures.
        segmenter: the model.
        network: the thread in which it runs.
        pipeline: the requests' own, which goes first.
        bodies: those of requests that are still being sent.
        collection: what is in there is of no more use.
        settings: the limits.

    Attributes:
        pictures: the files, in the order in which they were met: an index stays one picture's.
        entropies: of those that are ranked, by index.
    """

    def __init__(
        self,
        folder: Path,
        segmenter: Segmenter,
        network: Executor,
        pipeline: Pipeline,
        bodies: Bodies,
        collection: Collection | None,
        settings: Settings,
    ) -> None:
        self.folder = folder
        self.segmenter = segmenter
        self.network = network
        self.pipeline = pipeline
        self.bodies = bodies
        self.collection = collection
        self.settings = settings
        self.pictures: list[Path] = []
        self.met: set[Path] = set()
        self.entropies: dict[int, float] = {}
        self.digests: dict[int, str] = {}
        self.next = 0

    async def run(self) -> None:
        """Goes on until it is cancelled."""
        busy, looked = time.monotonic(), -LOOK_SECONDS
        while True:
            now = time.monotonic()
            if self.pipeline.jobs or self.bodies.held:
                busy = now
            elif self.next < len(self.pictures):
                if now - busy >= IDLE_SECONDS:
                    await self.rank(self.next)
                    self.next += 1
            elif now - looked >= LOOK_SECONDS:
                await self.pipeline.in_thread(self.look)
                looked = now
            await asyncio.sleep(TICK_SECONDS)

    def look(self) -> None:
        """Takes note of pictures that are new in the folder."""
        try:
            found = pictures_in(self.folder)
        except (ConfigError, OSError):  # it is gone for now, a disk that was taken out perhaps
            return
        fresh = [path for path in found if path not in self.met]
        self.met.update(fresh)
        self.pictures += fresh

    async def rank(self, index: int) -> None:
        """A picture that cannot be read, or has an error in it, is passed over."""
        try:
            digest, picture = await self.pipeline.in_thread(
                lambda: reduced(self.pictures[index], self.settings)
            )
            loop = asyncio.get_running_loop()
            entropy = await loop.run_in_executor(self.network, mean_entropy, self.segmenter, picture)
        except (FullconvError, OSError, MemoryError):
            return
        self.digests[index] = digest
        self.entropies[index] = entropy

    def ranking(self) -> list[int]:
        """The indices of the pictures that are ranked and were not collected, the most useful first."""
        collected = self.collection
        left = [
            index for index in self.entropies if collected is None or not collected.has(self.digests[index])
        ]
        return sorted(left, key=lambda index: -self.entropies[index])


def reduced(path: Path, settings: Settings) -> tuple[str, np.ndarray]:
    """A picture's digest, and (H, W, 3) uint8 of at most `SIDE` pixels a side.

    Raises:
        PictureError: it cannot be read, or is larger than the service takes.
        OSError: the file cannot be read.
    """
    content = read_at_most(path, settings.max_bytes)
    image = open_header(
        io.BytesIO(content),
        path.name,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_side=settings.max_side,
        formats=FORMATS,
    )
    if image.format == "JPEG":
        image.draft("RGB", (SIDE, SIDE))  # decodes at 1/2, 1/4 or 1/8 of the size, but not below this one
    small = Image.fromarray(to_rgb(load_upright(image, path.name), path.name))
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    return digest_of(content), np.asarray(small)


def read_at_most(path: Path, max_bytes: int) -> bytes:
    """A file, or the first bytes of one that is too long, and one more."""
    with path.open("rb") as file:
        return file.read(max_bytes + 1)


def mean_entropy(segmenter: Segmenter, picture: np.ndarray) -> float:
    """The mean, over the pixels, of the entropy of their scores, as a share of the greatest there can be."""
    (prediction,) = segmenter.predict_batch([picture], [None])
    return float(prediction.entropy().mean())
