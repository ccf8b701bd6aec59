"""What was collected is a sound data set on which training goes on; and a disk that is really full."""

import asyncio
import io
import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from calling import call
from PIL import Image
from service_helpers import application, code_of, encoded

from fullconv.data.scenes import draw_scene
from fullconv.inference.segmenter import load
from fullconv.serving.settings import Settings


def as_jpeg(picture: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def collect_four(folder: Path) -> None:
    """As the page saves corrections: each mask as drawn, but for one class in a corner and void below."""

    async def main() -> None:
        async with application(load("camvid"), Settings(collect=folder)) as (client, _):
            for index in range(4):
                scene, drawn = draw_scene(0, index, (96, 128))
                picture = as_jpeg(scene)
                mask = drawn.copy()
                mask[:48, :64] = index
                mask[90:] = 255
                files = {"image": (f"photo {index}.jpg", picture), "mask": ("mask.png", encoded(mask))}
                assert (await client.post("/v1/collect", files=files)).status_code == 200

    asyncio.run(main())


def test_training_goes_on_from_what_was_collected(tmp_path, capsys):
    collect_four(tmp_path / "meadow")
    code, out, _ = call(capsys, "data", "check", tmp_path / "meadow", "--json")
    assert code == 0
    counts = json.loads(out)["counts"]
    assert (counts["ruins"], counts["harms"]) == (0, 0)
    code, _, err = call(
        capsys, "train", tmp_path / "meadow", "--init", "camvid", "--out", tmp_path / "run",
        "--epochs", 1, "--batch-size", 3, "--crop", "64x96", "--workers", 0,
    )  # fmt: skip
    assert code == 0, err
    trained, before = load(tmp_path / "run"), load("camvid")
    assert trained.labels.names == before.labels.names
    assert str(trained.model) == str(before.model)


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of its own, of 256 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    if os.name == "nt" or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here: only root may")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_is_really_full(small_disk):
    """What was saved stays whole, what was not leaves nothing, and once there is room it goes on."""
    folder = small_disk / "meadow"

    def pair(seed: int) -> dict[str, tuple[str, bytes]]:
        noise = np.random.default_rng(seed).integers(0, 256, (120, 160, 3), np.uint8)  # about 58 kB
        return {
            "image": ("a.png", encoded(noise)),
            "mask": ("m.png", encoded(np.zeros((120, 160), np.uint8))),
        }

    async def main() -> None:
        async with application(load("camvid"), Settings(collect=folder)) as (client, service):
            replies = [await client.post("/v1/collect", files=pair(seed)) for seed in range(6)]
            saved = [reply.status_code for reply in replies].count(200)
            assert 2 <= saved < 6
            assert [reply.status_code for reply in replies] == [200] * saved + [507] * (6 - saved)
            assert code_of(replies[-1]) == "storage_full"
            files = [path for path in folder.rglob("*") if path.is_file()]
            assert len(files) == 2 + 2 * saved  # dataset.yaml, the lock, and pairs
            assert service.collection is not None
            assert sum(service.collection.count().values()) == saved
            filler = next(
                path for path in files if path.suffix == ".png" and path.parent.parent.name == "images"
            )
            filler.unlink()
            assert (await client.post("/v1/collect", files=pair(9))).status_code == 200
            assert (await client.get("/v1/collect")).json()["count"] == saved + 1

    asyncio.run(main())
