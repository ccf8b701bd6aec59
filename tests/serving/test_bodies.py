"""Bodies: bounded in length, time and number, and forms taken apart in memory."""

import asyncio

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_helpers import application, asked, code_of, encoded, image, picture_of

from fullconv.serving.bodies import form_file
from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import Settings

FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a;b.png"\r\nContent-Type: image/png\r\n\r\n'


def status_of(body: bytes, content_type: str) -> int:
    try:
        form_file(body, content_type, "image")
    except Refusal as refusal:
        return refusal.status
    return 200


@given(
    content=st.binary(max_size=2000),
    name=st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1),
)
def test_what_httpx_sends_is_found(content, name):
    request = httpx.Request("POST", "http://a", files={name: ("photo.png", content, "image/png")})
    assert form_file(request.read(), request.headers["content-type"], name) == content


@given(st.binary(max_size=300))
def test_whatever_is_sent_is_a_form_or_refused(body):
    for content in (body, PART + body, PART + body + b"\r\n--b--"):
        assert status_of(content, FORM) in (200, 400, 422)


@given(st.text(st.characters(codec="latin-1"), max_size=60))
def test_whatever_type_is_named_is_understood_or_refused(kind):
    for content_type in (kind, f"multipart/form-data; boundary={kind}"):
        assert status_of(PART + b"x\r\n--b--", content_type) in (200, 400, 415)


@pytest.mark.parametrize(
    ("body", "content_type", "code", "words"),
    [
        (b"", FORM, "bad_request", "cut short"),
        (PART + b"x", FORM, "bad_request", "cut short"),
        (b"--b--", FORM, "bad_field", "no field 'image'"),
        (PART + b"x\r\n" + PART + b"y\r\n--b--", FORM, "bad_field", "2 field 'image'"),
        ((PART + b"x\r\n") * 9 + b"--b--", FORM, "bad_request", "8 fields or more"),
        (PART.replace(b"image", b"picture", 1) + b"x\r\n--b--", FORM, "bad_field", "a field 'picture'; expected 'image'"),
        (PART.replace(b"image", b"\xff\n\x00" * 99, 1) + b"x\r\n--b--", FORM, "bad_field", "a field '"),
        (b"--b\r\nContent-Type: a/b\r\n\r\nx\r\n--b--", FORM, "bad_request", "has no name"),
        (b"--b\r\nContent-Disposition: attachment; name=image\r\n\r\nx\r\n--b--", FORM, "bad_request", "has no name"),
        (b"--b\r\nX: " + b"y" * 5000 + b"\r\n\r\nx\r\n--b--", FORM, "bad_request", "has no name"),
        (PART + b"x\r\n--b--", "multipart/form-data", "bad_request", "no boundary"),
        (PART + b"x\r\n--b--", "image/png", "unsupported_format", "is image/png; expected multipart/form-data"),
        (PART + b"x\r\n--b--", "", "unsupported_format", "of no type"),
    ],
)  # fmt: skip
def test_forms_that_are_refused(body, content_type, code, words):
    with pytest.raises(Refusal) as caught:
        form_file(body, content_type, "image")
    assert caught.value.code == code
    assert words in str(caught.value)
    assert str(caught.value).isprintable()


def test_a_preamble_and_an_epilogue_are_no_matter():
    assert form_file(b"hello\r\n" + PART + b"x\r\n--b--\r\nbye", FORM, "image") == b"x"


@pytest.mark.parametrize("path", ["/v1/predict", "/v2/models/model/infer"])
@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_long_is_not_taken_in(path, declared):
    taken = 0

    async def chunks():
        nonlocal taken
        for _ in range(1000):
            taken += 1000
            yield bytes(1000)

    headers = {"Content-Length": "1000000"} if declared else {}
    reply = asked(
        lambda client: client.post(path, content=chunks(), headers=headers), settings=Settings(max_bytes=5500)
    )
    assert (reply.status_code, code_of(reply)) == (413, "too_large")
    assert reply.headers["connection"] == "close"


def test_a_body_that_comes_too_slowly_is_refused():
    async def chunks():
        while True:
            yield b"x"
            await asyncio.sleep(0.02)

    settings = Settings(upload_seconds=0.2)
    reply = asked(lambda client: client.post("/v1/predict", content=chunks()), settings=settings)
    assert (reply.status_code, code_of(reply)) == (408, "slow_upload")


def test_all_bodies_together_are_bounded():
    async def main() -> None:
        settings = Settings(max_bytes=10_000, max_body_bytes_at_once=15_000)
        async with application(settings=settings) as (client, service):
            gate = asyncio.Event()

            async def held():
                yield bytes(9000)
                await gate.wait()

            first = asyncio.create_task(client.post("/v1/predict", content=held()))
            while service.bodies.held < 9000:
                await asyncio.sleep(0.01)
            refused = await client.post("/v1/predict", content=bytes(9000))
            assert (refused.status_code, code_of(refused)) == (503, "queue_full")
            assert "retry-after" in refused.headers
            gate.set()
            assert (await first).status_code == 415
            assert service.bodies.held == 0
            assert (await client.post("/v1/predict", files=image(encoded(picture_of())))).status_code == 200

    asyncio.run(main())
