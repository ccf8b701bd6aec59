"""What every request passes: identity, access, headers, log and figures."""

import asyncio
import json
import logging

import pytest
from prometheus_client.parser import text_string_to_metric_families
from service_helpers import application, asked, code_of, encoded, image, picture_of

from fullconv.serving.gate import Gate, host_name
from fullconv.serving.logs import JsonLines, TextLines
from fullconv.serving.metrics import Metrics
from fullconv.serving.settings import LOOPBACK, Settings

TOKEN = "s3cret-t0ken"


@pytest.mark.parametrize(
    "path", ["/v1/model", "/metrics", "/openapi.json", "/v2", "/v2/models/model", "/nothing"]
)
@pytest.mark.parametrize("given", [None, "Bearer wrong", f"bearer {TOKEN}", TOKEN, "Bearer ", "Bearer é"])
def test_without_the_token_there_is_nothing(path, given):
    headers = {} if given is None else {"Authorization": given.encode()}
    reply = asked(lambda client: client.get(path, headers=headers), settings=Settings(token=TOKEN))
    assert (reply.status_code, code_of(reply)) == (401, "unauthorized")
    assert reply.headers["www-authenticate"] == "Bearer"


def test_with_the_token_there_is_all():
    async def main() -> None:
        async with application(settings=Settings(token=TOKEN)) as (client, _):
            headers = {"Authorization": f"Bearer {TOKEN}"}
            files = image(encoded(picture_of()))
            assert (await client.post("/v1/predict", files=files, headers=headers)).status_code == 200
            assert (await client.post("/v1/predict", files=files)).status_code == 401
            for path in ("/", "/static/page.css", "/v2/health/live", "/v2/health/ready"):
                assert (await client.get(path)).status_code == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost:8000", 200),
        ("127.0.0.1", 200),
        ("[::1]:8000", 200),
        ("LocalHost", 200),
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("127.0.0.1.nip.example:8000", 403),
        ("", 403),
    ],
)
def test_another_hosts_name_is_not_answered_to(host, status):
    reply = asked(lambda client: client.get("/", headers={"Host": host}), settings=Settings(hosts=LOOPBACK))
    assert reply.status_code == status
    assert status == 200 or code_of(reply) == "forbidden"


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200), ("none", 200)])
def test_other_sites_pages_may_not_post(site, status):
    files = image(encoded(picture_of()))
    reply = asked(lambda client: client.post("/v1/predict", files=files, headers={"Sec-Fetch-Site": site}))
    assert reply.status_code == status


@pytest.mark.parametrize(
    ("host", "name"),
    [("a:1", "a"), ("[2001:DB8::1]:80", "2001:db8::1"), ("[::1", "::1"), ("", ""), (":80", "")],
)
def test_host_names(host, name):
    assert host_name(host) == name


@pytest.mark.parametrize("given", ["abc-123", "a" * 128])
def test_a_request_keeps_its_name(given):
    reply = asked(lambda client: client.get("/v2", headers={"X-Request-Id": given}))
    assert reply.headers["x-request-id"] == given


@pytest.mark.parametrize("given", [None, "", "a b", "a" * 129, "<script>", "é".encode()])
def test_a_request_without_a_proper_name_gets_one(given):
    headers = {} if given is None else {"X-Request-Id": given}
    name = asked(lambda client: client.get("/v2", headers=headers)).headers["x-request-id"]
    assert len(name) == 32
    assert name.isalnum()


def test_each_request_is_logged_in_a_line(caplog):
    caplog.set_level(logging.INFO, "fullconv.serving")

    async def main() -> None:
        async with application() as (client, _):
            await client.post(
                "/v1/predict?output=mask", files=image(encoded(picture_of())), headers={"X-Request-Id": "one"}
            )
            await client.get("/no%0Athing?secret=1")

    asyncio.run(main())
    requests = [record for record in caplog.records if record.getMessage() == "request"]
    first, second = (json.loads(JsonLines().format(record)) for record in requests)
    assert (first["event"], first["id"], first["status"], first["size"]) == ("request", "one", 200, "20x30")
    assert (first["method"], first["path"], first["client"]) == ("POST", "/v1/predict", "127.0.0.1")
    assert first["bytes_in"] > 0
    assert first["bytes_out"] > 0
    assert {"ms", "queue_ms", "decode_ms", "network_ms", "encode_ms"} <= set(first)
    assert (second["status"], second["code"], second["path"]) == (404, "not_found", "/no\nthing")
    assert "secret" not in str(second)
    text = TextLines().format(requests[1])
    assert "\n" not in text
    assert " request id=" in text


def test_figures_are_those_of_prometheus():
    async def main() -> str:
        async with application(settings=Settings(max_pixels=1000)) as (client, _):
            for height in (20, 21, 400):
                await client.post("/v1/predict", files=image(encoded(picture_of(height, 30))))
            await client.get("/nothing")
            reply = await client.get("/metrics")
            assert reply.headers["content-type"].startswith("text/plain; version=0.0.4")
            return reply.text

    families = {family.name: family for family in text_string_to_metric_families(asyncio.run(main()))}
    counted = {
        (sample.labels["route"], sample.labels["status"], sample.labels["code"]): sample.value
        for sample in families["fullconv_requests"].samples
        if sample.name.endswith("_total")
    }
    assert counted == {
        ("/v1/predict", "200", ""): 2,
        ("/v1/predict", "413", "too_large"): 1,
        ("other", "404", "not_found"): 1,
    }
    values = {sample.name: sample.value for family in families.values() for sample in family.samples}
    assert values["fullconv_pixels_total"] == 20 * 30 + 21 * 30
    assert values["fullconv_pictures_total"] == 2
    assert values["fullconv_queue_length"] == 0
    assert values["fullconv_requests_in_flight"] == 1
    assert {"fullconv_request_seconds", "fullconv_stage_seconds", "process_resident_memory_bytes"} <= set(
        families
    )


def test_a_large_reply_goes_out_in_pieces_and_not_to_those_who_do_not_take_it():
    sent = []

    async def app(scope, receive, send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": bytes(range(256)) * 4096})

    async def take(message) -> None:
        sent.append(message)

    async def never(message) -> None:
        await asyncio.sleep(10)

    async def gone():
        return {"type": "http.disconnect"}

    def scope() -> dict:
        return {"type": "http", "method": "GET", "path": "/", "headers": [], "client": None}

    gate = Gate(app, Settings(stall_seconds=0.05), Metrics())
    asyncio.run(gate(scope(), gone, take))
    bodies = [message["body"] for message in sent[1:]]
    assert b"".join(bodies) == bytes(range(256)) * 4096
    assert len(bodies) == 4
    assert [message["more_body"] for message in sent[1:]] == [True, True, True, False]
    asyncio.run(asyncio.wait_for(gate(scope(), gone, never), 5))
