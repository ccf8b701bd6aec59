"""The pictures of a folder, the most useful first, ranked while nobody asks for anything."""

import asyncio
import time
from typing import Any

import numpy as np
import pytest
from service_helpers import Held, application, asked, code_of, encoded, image, picture_of, segmenter_of, until

from fullconv.data.masks import encode_mask
from fullconv.errors import ConfigError
from fullconv.serving import watching
from fullconv.serving.collecting import digest_of
from fullconv.serving.settings import Settings
from fullconv.serving.watching import pictures_in, reduced

SURE = np.zeros((20, 30, 3), np.uint8)
SURE[..., 0] = 255
HALF = SURE.copy()
HALF[:, 15:] = 90
UNSURE = np.full((20, 30, 3), 90, np.uint8)


@pytest.fixture
def folder(tmp_path):
    """Three pictures, a fourth that cannot be read, and what is no picture."""
    (tmp_path / "deep").mkdir()
    for name, picture in (("a_sure.png", SURE), ("b_unsure.png", UNSURE), ("deep/c_half.png", HALF)):
        (tmp_path / name).write_bytes(encoded(picture))
    (tmp_path / "d_broken.png").write_bytes(b"nothing")
    (tmp_path / ".hidden.png").write_bytes(encoded(SURE))
    (tmp_path / "notes.txt").write_text("")
    return tmp_path


@pytest.fixture(autouse=True)
def in_haste(monkeypatch):
    for name in ("IDLE_SECONDS", "TICK_SECONDS", "LOOK_SECONDS"):
        monkeypatch.setattr(watching, name, 0.01)


async def ranked(client, count: int) -> list[dict]:
    state: dict[str, Any] = {"ranked": -1}
    end = time.monotonic() + 30
    while state["ranked"] != count:
        assert time.monotonic() < end
        state = (await client.get("/v1/watch")).json()
        await asyncio.sleep(0.01)
    return state["pictures"]


def test_the_least_sure_come_first(folder):
    async def main() -> None:
        async with application(settings=Settings(watch=folder)) as (client, _):
            pictures = await ranked(client, 4)
            assert [each["name"] for each in pictures] == ["b_unsure.png", "c_half.png", "a_sure.png"]
            assert pictures[0]["entropy"] == pytest.approx(1, abs=1e-3)
            assert pictures[1]["entropy"] == pytest.approx(
                (pictures[0]["entropy"] + pictures[2]["entropy"]) / 2, abs=1e-3
            )
            reply = await client.get(f"/v1/watch/{pictures[1]['index']}/picture")
            assert reply.content == encoded(HALF)
            assert reply.headers["content-type"] == "image/png"
            (folder / "e_new.png").write_bytes(encoded(UNSURE[:10]))
            assert "e_new.png" in [each["name"] for each in await ranked(client, 5)]

    asyncio.run(main())


def test_what_was_collected_is_left_out(folder, tmp_path_factory):
    async def main() -> None:
        settings = Settings(watch=folder, collect=tmp_path_factory.mktemp("collected"))
        async with application(settings=settings) as (client, service):
            await ranked(client, 4)
            mask = encode_mask(np.zeros((20, 30), np.uint8), service.collection.labels)
            files = {"image": ("another name.png", encoded(UNSURE)), "mask": ("mask.png", mask)}
            assert (await client.post("/v1/collect", files=files)).status_code == 200
            names = [each["name"] for each in (await client.get("/v1/watch")).json()["pictures"]]
            assert names == ["c_half.png", "a_sure.png"]

    asyncio.run(main())


def test_requests_go_first(folder):
    """While one is there, nothing is ranked; nor is the network ever asked for more than a small picture at a time."""
    held = Held()

    async def main() -> None:
        async with application(held.segmenter, Settings(watch=folder), ready=False) as (client, service):
            await until(lambda: service._pipeline is not None)
            asking = asyncio.create_task(client.post("/v1/predict", files=image(encoded(picture_of(33, 44)))))
            await until(lambda: bool(held.batches))
            await asyncio.sleep(0.3)
            shapes = [batch[0].shape for batch in held.batches]
            assert (33, 44, 3) in shapes
            waiting = len(shapes)
            assert waiting <= 2  # at most one that had been begun
            held.let_go()
            assert (await asking).status_code == 200
            await ranked(client, 4)

    asyncio.run(main())


def test_large_pictures_are_reduced_before_the_network_sees_them(tmp_path):
    large = np.zeros((1200, 1700, 3), np.uint8)
    large[:, 850:] = 255
    for name, form in (("a.jpg", "JPEG"), ("a.png", "PNG")):
        (tmp_path / name).write_bytes(encoded(large, form))
        digest, small = reduced(tmp_path / name, Settings())
        assert digest == digest_of((tmp_path / name).read_bytes())
        assert max(small.shape) == 512
        assert small.shape[0] / small.shape[1] == pytest.approx(12 / 17, abs=0.01)
        assert small[:, :200].max() < 10
        assert small[:, -200:].min() > 245


@pytest.mark.parametrize("path", ["/v1/watch/9/picture", "/v1/examples/9"])
def test_an_index_that_nothing_has(folder, path):
    reply = asked(lambda client: client.get(path), settings=Settings(watch=folder, examples=folder))
    assert (reply.status_code, code_of(reply)) == (404, "not_found")


@pytest.mark.parametrize("index", ["-1", "..%2f..%2fetc%2fpasswd", "a", "1e3", "99999999999"])
def test_only_indices_are_taken(folder, index):
    for path in (f"/v1/watch/{index}/picture", f"/v1/examples/{index}"):
        reply = asked(
            lambda client, path=path: client.get(path), settings=Settings(watch=folder, examples=folder)
        )
        assert reply.status_code in (404, 422)
        code_of(reply)


def test_examples(folder):
    async def ask(client):
        names = (await client.get("/v1/examples")).json()["examples"]
        assert names == ["a_sure.png", "b_unsure.png", "d_broken.png", "c_half.png"]
        (folder / "b_unsure.png").unlink()
        assert (await client.get("/v1/examples/1")).status_code == 404
        return await client.get("/v1/examples/0")

    assert asked(ask, settings=Settings(examples=folder)).content == encoded(SURE)


def test_a_file_that_grew_too_large_is_not_sent(folder):
    settings = Settings(examples=folder, max_bytes=50)
    reply = asked(lambda client: client.get("/v1/examples/0"), settings=settings)
    assert (reply.status_code, code_of(reply)) == (413, "too_large")


def test_without_folders():
    async def ask(client):
        assert (await client.get("/v1/watch")).json() == {
            "on": False,
            "total": 0,
            "ranked": 0,
            "pictures": [],
        }
        assert (await client.get("/v1/watch/0/picture")).status_code == 404
        return await client.get("/v1/examples")

    assert asked(ask).json() == {"examples": []}


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="no such folder"):
        pictures_in(tmp_path / "missing")

    async def main() -> None:
        async with application(segmenter_of(), Settings(watch=tmp_path / "missing")) as (_, service):
            assert isinstance(service.failure, ConfigError)

    asyncio.run(main())
