"""The queue: what is refused, dropped, done together and done alone."""

import asyncio
import threading

import httpx
import numpy as np
import pytest
from service_helpers import (
    Held,
    application,
    brightest,
    code_of,
    decoded,
    encoded,
    image,
    picture_of,
    segmenter_of,
    until,
)

from fullconv.inference.segmenter import Segmenter
from fullconv.serving.settings import Settings


def send(client: httpx.AsyncClient, picture: np.ndarray, **headers: str) -> "asyncio.Task[httpx.Response]":
    ask = client.post("/v1/predict?output=mask", files=image(encoded(picture)), headers=headers)
    return asyncio.create_task(ask)


def test_requests_beyond_the_queue_are_refused_and_the_others_answered():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter, Settings(queue=2)) as (client, service):
            pictures = [picture_of(20, 30 + index) for index in range(3)]
            sent = [send(client, picture) for picture in pictures]
            await until(lambda: len(service.pipeline.jobs) == 3)
            refused = await send(client, pictures[0])
            assert (refused.status_code, code_of(refused)) == (503, "queue_full")
            assert int(refused.headers["retry-after"]) >= 1
            unread = await client.post("/v2/models/model/infer", content=b"no JSON")
            assert code_of(unread) == "queue_full"  # before the body is looked at
            held.let_go()
            for reply, picture in zip(await asyncio.gather(*sent), pictures, strict=True):
                np.testing.assert_array_equal(decoded(reply.content), brightest(picture))
            assert (await send(client, pictures[0])).status_code == 200

    asyncio.run(main())


def test_pictures_of_one_size_go_through_the_network_together():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter) as (client, service):
            first = send(client, picture_of(50, 50))
            await until(lambda: len(held.batches) == 1)
            sizes = [(20, 30), (20, 31), (20, 30), (20, 31), (20, 30)]
            pictures = [picture_of(*size, seed=index) for index, size in enumerate(sizes)]
            sent = []
            for picture in pictures:  # the first is decoded at once; the others wait behind it
                sent.append(send(client, picture))
                await until(lambda: len(service.pipeline.jobs) == 1 + len(sent))
            held.let_go()
            for reply, picture in zip(await asyncio.gather(*sent), pictures, strict=True):
                np.testing.assert_array_equal(decoded(reply.content), brightest(picture))
            await first
        assert sum(len(batch) for batch in held.batches) == 6
        assert all(len({picture.shape for picture in batch}) == 1 for batch in held.batches)
        assert max(len(batch) for batch in held.batches) >= 2

    asyncio.run(main())


def test_a_batch_ends_at_its_pixels():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter) as (client, service):
            service.pipeline.batch_pixels = 2 * 600
            sent = [send(client, picture_of(20, 30)) for _ in range(7)]
            held.let_go()
            assert [reply.status_code for reply in await asyncio.gather(*sent)] == [200] * 7
        assert max(len(batch) for batch in held.batches) <= 2

    asyncio.run(main())


def test_what_was_asked_for_by_clients_that_hung_up_is_not_done():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter) as (client, service):
            kept = send(client, picture_of(20, 30))
            await until(lambda: len(held.batches) == 1)
            gone = [Hanging(service, picture_of(20, 31 + index)) for index in range(6)]
            await until(lambda: len(service.pipeline.jobs) == 7)
            for each in gone:
                each.hang_up()
            await until(lambda: len(service.pipeline.jobs) == 1)
            assert not service.pipeline.waiting
            held.let_go()
            assert (await kept).status_code == 200
            assert (await send(client, picture_of(40, 40))).status_code == 200
            assert all([await each.ended for each in gone])
        seen = [picture.shape[1] for batch in held.batches for picture in batch]
        assert seen == [30, 40]

    asyncio.run(main())


class Hanging:
    """A request whose client can hang up; spoken to the application as a server would."""

    def __init__(self, service, picture: np.ndarray) -> None:
        request = httpx.Request("POST", "http://localhost/v1/predict", files=image(encoded(picture)))
        headers = [(name.lower().encode(), value.encode()) for name, value in request.headers.items()]
        self.scope = {
            "type": "http", "method": "POST", "path": "/v1/predict", "raw_path": b"/v1/predict", "query_string": b"",
            "headers": headers, "http_version": "1.1", "scheme": "http", "server": None, "client": None, "root_path": "",
        }  # fmt: skip
        self.messages: asyncio.Queue = asyncio.Queue()
        self.messages.put_nowait({"type": "http.request", "body": request.read(), "more_body": False})
        self.sent: list = []
        self.ended = asyncio.create_task(self.run(service.app))

    async def run(self, app) -> bool:
        await app(self.scope, self.messages.get, self.send)
        return not self.sent

    async def send(self, message) -> None:
        self.sent.append(message)

    def hang_up(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})


def test_what_is_not_done_in_time_is_refused_and_not_done():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter, Settings(timeout=20)) as (client, service):
            kept = send(client, picture_of(20, 30))
            await until(lambda: len(held.batches) == 1)
            late = [
                send(client, picture_of(20, 31 + index), **{"X-Request-Timeout": "1"}) for index in range(4)
            ]
            for reply in await asyncio.gather(*late):
                assert (reply.status_code, code_of(reply)) == (504, "deadline_passed")
            held.let_go()
            assert (await kept).status_code == 200
            assert len(service.pipeline.jobs) == 0
        assert [picture.shape[1] for batch in held.batches for picture in batch] == [30]

    asyncio.run(main())


def test_the_service_sets_the_longest_time():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter, Settings(timeout=0.1)) as (client, _):
            reply = await send(client, picture_of(), **{"X-Request-Timeout": "1000"})
            held.let_go()
        assert code_of(reply) == "deadline_passed"
        assert "0.1 seconds" in reply.text

    asyncio.run(main())


@pytest.mark.parametrize(("error", "status"), [(MemoryError(), 503), (RuntimeError("secret"), 500)])
def test_of_a_batch_that_fails_each_picture_is_tried_alone(error, status):
    async def main() -> list[httpx.Response]:
        held = Held()
        predict = held.predict

        def fail(pictures: list[np.ndarray], extras: list[None]) -> object:
            if any(picture[0, 0, 0] == 77 for picture in pictures):
                raise error
            return predict(pictures, extras)

        held.predict = fail
        async with application(held.segmenter) as (client, service):
            first = send(client, picture_of(50, 50))
            await until(lambda: len(held.batches) == 1)
            filler = send(client, picture_of(51, 50))  # is decoded meanwhile
            pictures = [picture_of(20, 30, seed) for seed in range(4)]
            pictures[2][:] = 77
            pictures[3][0, 0, 0] = 1
            sent = [send(client, picture) for picture in pictures]
            await until(lambda: len(service.pipeline.jobs) == 6)
            held.let_go()
            replies = await asyncio.gather(*sent)
            await asyncio.gather(first, filler)
        assert max(len(batch) for batch in held.batches) >= 2
        return replies

    replies = asyncio.run(main())
    assert [reply.status_code for reply in replies] == [200, 200, status, 200]
    assert "secret" not in replies[2].text


def test_a_full_service_tells_when_to_come_again():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter, Settings(queue=0)) as (client, service):
            service.pipeline.pace = 3.4
            kept = send(client, picture_of())
            await until(lambda: len(held.batches) == 1)
            refused = await send(client, picture_of())
            assert refused.headers["retry-after"] == "3"
            held.let_go()
            assert (await kept).status_code == 200
            assert 0 < service.pipeline.pace < 3.4

    asyncio.run(main())


def test_what_is_left_when_the_service_stops_is_told_so():
    async def main() -> None:
        held = Held()
        async with application(held.segmenter) as (client, service):
            sent = [send(client, picture_of(20, 30 + index)) for index in range(3)]
            await until(lambda: len(service.pipeline.jobs) == 3)
            service.stop()
            assert code_of(await client.get("/v2/health/ready")) == "shutting_down"
            assert code_of(await send(client, picture_of())) == "shutting_down"
            service.abandon()
            for reply in await asyncio.gather(*sent):
                assert (reply.status_code, code_of(reply)) == (503, "shutting_down")
                assert "retry-after" in reply.headers
            held.let_go()

    asyncio.run(main())


def test_a_segmenter_is_only_used_by_one_thread():
    segmenter, threads = segmenter_of(), set()
    predict = segmenter.predict_batch

    def note(self: Segmenter, pictures: list[np.ndarray], extras: list[None]) -> object:
        threads.add(threading.get_ident())
        return predict(pictures, extras)

    segmenter.predict_batch = note.__get__(segmenter)

    async def main() -> None:
        async with application(segmenter) as (client, _):
            replies = await asyncio.gather(*(send(client, picture_of(20, 30 + index)) for index in range(12)))
            assert {reply.status_code for reply in replies} == {200}

    asyncio.run(main())
    assert len(threads) == 1
    assert threading.main_thread().ident not in threads
