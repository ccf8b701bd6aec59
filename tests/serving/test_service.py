"""A model that loads slowly, not at all, or is not fit to be served."""

import asyncio
import logging
import threading

import torch
from service_helpers import application, code_of, encoded, image, picture_of, segmenter_of, until

from fullconv.bundle import MANIFEST, WEIGHTS, find_bundle, read_manifest
from fullconv.inference.segmenter import Segmenter, load
from fullconv.preprocessing import Preprocessing
from fullconv.serving.settings import Settings

CAMVID = find_bundle("camvid")


async def assert_not_ready(client, retry: bool) -> None:
    assert (await client.get("/v2/health/live")).status_code == 200
    for method, path in (
        ("GET", "/v2/health/ready"),
        ("GET", "/v2/models/model/ready"),
        ("GET", "/v1/model"),
        ("POST", "/v1/predict"),
        ("POST", "/v2/models/model/infer"),
    ):
        reply = await client.request(method, path)
        assert (reply.status_code, code_of(reply)) == (503, "not_ready")
        assert ("retry-after" in reply.headers) == retry


def test_while_the_model_is_being_loaded():
    gate = threading.Event()

    def slow() -> Segmenter:
        gate.wait(30)
        return segmenter_of()

    async def main() -> None:
        async with application(slow, ready=False) as (client, service):
            await assert_not_ready(client, retry=True)
            gate.set()
            await until(lambda: service._pipeline is not None)
            assert (await client.get("/v2/health/ready")).status_code == 200

    asyncio.run(main())


def test_a_damaged_model_leaves_a_service_that_lives_and_is_not_ready(tmp_path, caplog):
    weights = bytearray((CAMVID / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    for file in CAMVID.iterdir():
        (tmp_path / file.name).write_bytes(weights if file.name == WEIGHTS else file.read_bytes())

    async def main() -> None:
        async with application(lambda: load(tmp_path)) as (client, _):
            await assert_not_ready(client, retry=False)

    asyncio.run(main())
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "is damaged" in record.facts["reason"]
    assert record.exc_info is None


def test_a_model_of_further_channels_is_not_served(caplog):
    class FourChannels(torch.nn.Module):
        num_classes = 3

        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures[:, :3]

    async def main() -> None:
        source = Segmenter(FourChannels(), preprocessing=Preprocessing.with_extra(1), device="cpu")
        async with application(source) as (client, service):
            assert "takes 4 channels" in str(service.failure)
            await assert_not_ready(client, retry=False)

    asyncio.run(main())


def test_what_a_bundle_says_of_itself_and_of_a_picture():
    segmenter, manifest, picture = (
        load(CAMVID, precision="fp32"),
        read_manifest(CAMVID / MANIFEST),
        picture_of(50, 60),
    )

    async def main() -> tuple[dict, dict]:
        async with application(segmenter, Settings(name="camvid")) as (client, _):
            said = await client.post("/v1/predict", files=image(encoded(picture)))
            return (await client.get("/v1/model")).json(), said.json()

    about, said = asyncio.run(main())
    assert about["digest"] == said["digest"] == manifest.weights_sha256
    assert (about["stride"], about["architecture"]["model"]) == (4, "fcn4s")
    assert about["trained_on"] == "camvid"
    assert about["licence"] == manifest.trained["licence"]
    assert about["limits_of_use"] == manifest.trained["limits"]
    assert about["parameters"] == sum(each.numel() for each in segmenter.model.parameters())
    assert [entry["name"] for entry in about["classes"]] == list(manifest.labels.names)
    assert said["classes"] == segmenter.predict(picture).fractions()
