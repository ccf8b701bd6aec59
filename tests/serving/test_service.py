"""A model that loads slowly, not at all, or is not fit to be served."""

import asyncio
import logging
import threading

import pytest
import torch
from service_helpers import application, code_of, encoded, image, picture_of, segmenter_of, until

from fullconv.bundle import WEIGHTS, Architecture, save_bundle
from fullconv.inference.segmenter import Segmenter, load
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing
from fullconv.serving.service import describe
from fullconv.serving.settings import Settings


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    architecture = Architecture(model="fcn32s", backbone="mobilenetv3_small_050", num_classes=3)
    labels, folder = LabelSet.from_names(["a", "b", "c"]), tmp_path_factory.mktemp("models") / "m"
    trained = {"data": "scenes", "licence": "CC0", "limits": "made up"}
    metrics = {"mean_iou": 0.5}
    save_bundle(
        folder, architecture.build().state_dict(), architecture, labels, Preprocessing(), trained, metrics
    )
    return folder


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


def test_a_damaged_model_leaves_a_service_that_lives_and_is_not_ready(bundle, tmp_path, caplog):
    weights = bytearray((bundle / WEIGHTS).read_bytes())
    weights[-1] ^= 1
    for file in bundle.iterdir():
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


def test_what_a_bundle_says_of_itself(bundle):
    segmenter = load(bundle, precision="fp32")
    about = describe(segmenter, Settings(name="m"))
    assert about["stride"] == 32
    assert about["architecture"]["backbone"] == "mobilenetv3_small_050"
    assert (about["licence"], about["limits_of_use"], about["trained_on"]) == ("CC0", "made up", "scenes")
    assert about["metrics"] == {"mean_iou": 0.5}
    assert len(about["digest"]) == 64
    assert about["parameters"] == sum(each.numel() for each in segmenter.model.parameters())


def test_a_bundle_answers_as_the_segmenter_does(bundle):
    picture = picture_of(50, 60)
    want = load(bundle, precision="fp32").predict(picture).fractions()

    async def main() -> dict:
        async with application(lambda: load(bundle, precision="fp32")) as (client, _):
            return (await client.post("/v1/predict", files=image(encoded(picture)))).json()

    assert asyncio.run(main())["classes"] == want
