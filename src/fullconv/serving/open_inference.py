"""The routes of the Open Inference Protocol.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md. Errors are as everywhere in this service,
objects rather than the protocol's strings.
"""

from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Header
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import fullconv
from fullconv.serving import openapi
from fullconv.serving.pipeline import Job, answered
from fullconv.serving.refusals import Refusal
from fullconv.serving.service import Service, service_of
from fullconv.serving.tensors import (
    INPUT,
    LABELS,
    LENGTH_HEADER,
    SCORES,
    check_reply,
    infer_reply,
    label,
    parse,
)

TYPES = ("", "application/json", "application/octet-stream")


routes = APIRouter(prefix="/v2", default_response_class=JSONResponse)


def ready_service(request: Request, name: str | None = None) -> Service:
    """The service, once it is ready.

    Raises:
        Refusal: it is not, or has another model.
    """
    service = service_of(request)
    if name not in (None, service.settings.name):
        raise Refusal("not_found", f"no model {name[:100]!r} here; the model is {service.settings.name!r}")
    _ = service.pipeline
    return service


@routes.get("", responses=openapi.SERVER)
async def server() -> dict[str, Any]:
    """The service."""
    return {"name": "fullconv", "version": fullconv.__version__, "extensions": ["binary_tensor_data"]}


@routes.get("/health/live", responses=openapi.LIVE)
async def live() -> dict[str, Any]:
    """Whether the service runs: if not, start it anew."""
    return {"live": True}


@routes.get("/health/ready", responses=openapi.READY)
async def ready(request: Request) -> dict[str, Any]:
    """Whether requests are taken: the model is loaded, and no stop was asked for."""
    ready_service(request)
    return {"ready": True}


@routes.get("/models/{name}/ready", responses=openapi.MODEL_READY)
async def model_ready(request: Request, name: str) -> dict[str, Any]:
    """The same, of a model."""
    ready_service(request, name)
    return {"name": name, "ready": True}


@routes.get("/models/{name}", responses=openapi.MODEL_METADATA)
async def metadata(request: Request, name: str) -> dict[str, Any]:
    """A model's inputs and outputs."""
    num_classes = len(ready_service(request, name).about["classes"])
    ids = "UINT8" if num_classes <= 256 else "UINT16"
    return {
        "name": name,
        "platform": "fullconv",
        "inputs": [{"name": INPUT, "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
        "outputs": [
            {"name": LABELS, "datatype": ids, "shape": [-1, -1, -1]},
            {"name": SCORES, "datatype": "FP32", "shape": [-1, num_classes, -1, -1]},
        ],
    }


@routes.post(
    "/models/{name}/infer",
    response_class=Response,
    responses=openapi.INFER,
    openapi_extra=openapi.INFER_BODY,
)
async def infer(
    request: Request,
    name: str,
    json_length: Annotated[
        str | None,
        Header(alias=LENGTH_HEADER, description="Bytes of the JSON, where the tensor's bytes follow it"),
    ] = None,
    timeout: openapi.Timeout = None,
) -> Response:
    """Labels, and scores where they are asked for, of pictures that have been decoded."""
    service = ready_service(request, name)
    settings, pipeline = service.settings, service.pipeline
    pipeline.check_room()
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in TYPES:
        raise Refusal("unsupported_format", f"the body is {kind[:80]!r}; expected application/json")
    async with service.bodies.of(request) as body:
        inference = await pipeline.in_thread(partial(parse, body, json_length, settings))
        check_reply(inference, len(service.about["classes"]), settings)
        count, height, width, _ = inference.pictures.shape
        job = Job(
            (height, width),
            count,
            decode=lambda: list(inference.pictures),
            label=partial(label, inference),
            encode=lambda job: infer_reply(inference, name, job.answers),
            timeout=min(timeout or settings.timeout, settings.timeout),
        )
        return await answered(pipeline, job, request)
