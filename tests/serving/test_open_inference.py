"""The Open Inference Protocol: JSON, nested and flat, tensors as bytes, and what is refused."""

import asyncio
import json
from contextlib import suppress

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from service_helpers import application, asked, brightest, code_of, picture_of

from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import Settings
from fullconv.serving.tensors import parse

INFER = "/v2/models/model/infer"
PICTURES = np.stack([picture_of(seed=seed) for seed in range(3)])
LENGTH = "Inference-Header-Content-Length"


def request_of(pixels: np.ndarray, outputs: list | None = None, **more) -> dict:
    tensor = {
        "name": "image",
        "datatype": "UINT8",
        "shape": list(pixels.shape),
        "data": pixels.ravel().tolist(),
    }
    return {"inputs": [tensor | more]} | ({} if outputs is None else {"outputs": outputs})


def infer(content: object, headers: dict | None = None, settings: Settings | None = None) -> httpx.Response:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return asked(lambda client: client.post(INFER, content=body, headers=headers or {}), settings=settings)


def test_several_pictures_as_json():
    content = infer(request_of(PICTURES) | {"id": "seven"}).json()
    assert (content["id"], content["model_name"]) == ("seven", "model")
    (output,) = content["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("labels", "UINT8", [3, 20, 30])
    np.testing.assert_array_equal(
        np.reshape(output["data"], output["shape"]), [brightest(each) for each in PICTURES]
    )


@pytest.mark.parametrize("nested", [PICTURES[:1], PICTURES[0]])
def test_data_may_be_as_nested_as_the_shape(nested):
    (output,) = infer(request_of(nested, data=nested.tolist())).json()["outputs"]
    assert output["shape"] == list(nested.shape[:-1])
    np.testing.assert_array_equal(np.reshape(output["data"], (20, 30)), brightest(PICTURES[0]))


def test_tensors_as_bytes():
    outputs = [{"name": "scores", "parameters": {"binary_data": True}}, {"name": "labels"}]
    content = request_of(PICTURES, outputs, data=None, parameters={"binary_data_size": PICTURES.nbytes})
    head = json.dumps(content).encode()
    reply = infer(
        head + PICTURES.tobytes(), {LENGTH: str(len(head)), "Content-Type": "application/octet-stream"}
    )
    length = int(reply.headers[LENGTH])
    scores, labels = json.loads(reply.content[:length])["outputs"]
    assert (scores["datatype"], scores["shape"]) == ("FP32", [3, 3, 20, 30])
    got = np.frombuffer(reply.content[length:], np.float32).reshape(scores["shape"])
    assert scores["parameters"] == {"binary_data_size": got.nbytes}
    logits = 8 * PICTURES.transpose(0, 3, 1, 2).astype(np.float32) / 255
    np.testing.assert_allclose(got, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), rtol=1e-4)
    np.testing.assert_array_equal(np.reshape(labels["data"], labels["shape"]), got.argmax(1))


def test_all_outputs_as_bytes():
    reply = infer(request_of(PICTURES) | {"parameters": {"binary_data_output": True}})
    length = int(reply.headers[LENGTH])
    labels = np.frombuffer(reply.content[length:], np.uint8).reshape(PICTURES.shape[:3])
    np.testing.assert_array_equal(labels, [brightest(each) for each in PICTURES])


SMALL = np.zeros((2, 2, 3), np.uint8)
GOOD = request_of(SMALL)["inputs"][0]


@pytest.mark.parametrize(
    ("content", "status", "words"),
    [
        (b"", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"[" * 100_000, 400, "not JSON"),
        (b"9" * 5000, 400, "not JSON"),
        ([], 422, "the request"),
        ({}, 422, "inputs"),
        ({"inputs": []}, 422, "inputs"),
        ({"inputs": [GOOD, GOOD]}, 422, "inputs"),
        (request_of(SMALL, name="picture"), 422, "input 'picture'"),
        (request_of(SMALL, datatype="FP32"), 422, "of 'FP32'"),
        (request_of(SMALL, shape=[2, 2]), 422, "expected [N, H, W, 3]"),
        (request_of(SMALL, shape=[2, 2, 4]), 422, "expected [N, H, W, 3]"),
        (request_of(SMALL, shape=[0, 2, 3]), 422, "expected [N, H, W, 3]"),
        (request_of(SMALL, shape=[-2, 2, 3]), 422, "greater than or equal to 0"),
        (request_of(SMALL, shape=[2**40, 2, 3]), 422, "less than or equal"),
        (request_of(SMALL, shape=[2**30, 2**30, 3]), 413, "expected at most"),
        (request_of(SMALL, shape=[65, 1, 1, 3]), 413, "expected at most 64"),
        (request_of(SMALL, data=[0] * 11), 422, "11 elements; expected 12"),
        (request_of(SMALL, data=[256] * 12), 422, "0..255"),
        (request_of(SMALL, data=[-1] * 12), 422, "0..255"),
        (request_of(SMALL, data=[0.5] * 12), 422, "0..255"),
        (request_of(SMALL, data=["a"] * 12), 422, "0..255"),
        (request_of(SMALL, data=[[0], 1]), 422, "0..255"),
        (request_of(SMALL, data=[]), 422, "0 elements"),
        (request_of(SMALL, data=None), 422, "and not both"),
        (request_of(SMALL, parameters={"binary_data_size": 12}), 422, "and not both"),
        (request_of(SMALL, data=None, parameters={"binary_data_size": 12}), 422, "0 bytes follow"),
        (request_of(SMALL, data=None, parameters={"binary_data_size": "x"}), 422, "0 bytes follow"),
        (request_of(SMALL, [{"name": "boxes"}]), 422, "output 'boxes'"),
        (request_of(SMALL, [{"name": "labels"}] * 3), 422, "outputs"),
    ],
)
def test_requests_that_are_refused(content, status, words):
    reply = infer(content)
    assert reply.status_code == status, reply.text
    code_of(reply)
    assert words in reply.json()["error"]["message"]


@pytest.mark.parametrize("length", ["x", "-1", "1e3", "9999", "9" * 40])
def test_a_wrong_length_is_refused(length):
    reply = infer(request_of(SMALL), {LENGTH: length})
    assert (reply.status_code, code_of(reply)) == (400, "bad_request")


def test_another_type_is_refused():
    reply = infer(request_of(SMALL), {"Content-Type": "text/xml"})
    assert (reply.status_code, code_of(reply)) == (415, "unsupported_format")


@pytest.mark.parametrize(
    ("settings", "outputs"),
    [
        (Settings(max_json_bytes=100), None),
        (Settings(max_reply_bytes=40), [{"name": "scores"}]),
        (Settings(max_pixels=3), None),
        (Settings(max_side=1), None),
    ],
)
def test_what_is_too_large_is_refused(settings, outputs):
    reply = infer(request_of(SMALL, outputs), settings=settings)
    assert (reply.status_code, code_of(reply)) == (413, "too_large")


def test_large_outputs_are_not_written_as_json():
    pixels = np.zeros((800, 800, 3), np.uint8)
    content = request_of(pixels, data=None, parameters={"binary_data_size": pixels.nbytes})
    head = json.dumps(content).encode()
    reply = infer(head + pixels.tobytes(), {LENGTH: str(len(head))})
    assert (reply.status_code, code_of(reply)) == (413, "too_large")
    assert "set binary_data" in reply.text


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@given(key=st.sampled_from(["name", "datatype", "shape", "data", "parameters"]), value=values)
def test_whatever_stands_in_a_tensor_is_understood_or_refused(key, value):
    for content in (
        {"inputs": [GOOD | {key: value}]},
        {"inputs": [GOOD], "outputs": value},
        {"inputs": value},
    ):
        with suppress(Refusal):  # anything else is a failure
            parse(json.dumps(content).encode(), None, Settings())


def test_what_the_service_says_of_itself():
    async def main() -> None:
        async with application(settings=Settings(name="a b")) as (client, _):
            assert (await client.get("/v2")).json()["extensions"] == ["binary_tensor_data"]
            assert (await client.get("/v2/health/live")).json() == {"live": True}
            assert (await client.get("/v2/health/ready")).json() == {"ready": True}
            assert (await client.get("/v2/models/a%20b/ready")).json()["ready"] is True
            about = (await client.get("/v2/models/a%20b")).json()
            assert [tensor["name"] for tensor in about["outputs"]] == ["labels", "scores"]
            assert about["outputs"][1]["shape"] == [-1, 3, -1, -1]
            for path in ("/v2/models/c", "/v2/models/c/ready"):
                reply = await client.get(path)
                assert (reply.status_code, code_of(reply)) == (404, "not_found")

    asyncio.run(main())
