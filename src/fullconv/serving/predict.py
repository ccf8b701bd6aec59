"""`/v1`, which takes picture files, and `/metrics`."""

import io
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fullconv.data.pictures import load_upright, open_header, to_rgb, upright_size
from fullconv.inference.outputs import answer_of
from fullconv.serving import openapi, replies
from fullconv.serving.bodies import form_file
from fullconv.serving.pipeline import Job, answered
from fullconv.serving.refusals import Refusal
from fullconv.serving.replies import Output, Shapes
from fullconv.serving.service import Service, service_of
from fullconv.serving.settings import FORMATS, Settings

FIELD = "image"

routes = APIRouter()


@routes.post(
    "/v1/predict", response_class=Response, responses=openapi.PREDICT, openapi_extra=openapi.PREDICT_BODY
)
async def predict(
    request: Request,
    output: Annotated[
        Output,
        Query(
            description="json; mask: a PNG of class ids; overlay: a JPEG; scores: a .npy file, (K, H, W) float16; maps: a PNG "
            "with the class id in red, confidence in green, and entropy in blue"
        ),
    ] = "json",
    shapes: Annotated[
        Shapes, Query(description="How JSON tells where classes are: COCO's run lengths, or polygons")
    ] = "rle",
    head: Annotated[
        str | None, Query(max_length=100, description="Of a model with several, the one to show")
    ] = None,
    legend: Annotated[
        bool, Query(description="Beside the overlay; without, it has the picture's size")
    ] = True,
    timeout: openapi.Timeout = None,
) -> Response:
    """What each pixel of a picture is: upright, as browsers show it, and at its own size."""
    service = service_of(request)
    settings, pipeline = service.settings, service.pipeline
    pipeline.check_room()
    async with service.bodies.of(request) as body:
        content_type = request.headers.get("content-type", "")
        size_hw, decode = await pipeline.in_thread(partial(opened, body, content_type, settings))
        check_wanted(service.about, output, head, size_hw, settings)
        job = Job(
            size_hw,
            count=1,
            decode=decode,
            label=partial(answer_of, kinds=replies.ARRAYS[output]),
            encode=partial(encoded, service, output, shapes, head, legend),
            timeout=min(timeout or settings.timeout, settings.timeout),
        )
        return await answered(pipeline, job, request)


@routes.get("/v1/model", response_class=JSONResponse, responses=openapi.MODEL)
async def model(request: Request) -> dict[str, Any]:
    """The model: classes and colours, preprocessing, figures, licence, and the limits of the service."""
    service = service_of(request)
    _ = service.pipeline
    return service.about


@routes.get("/metrics", response_class=Response, responses=openapi.METRICS)
async def metrics(request: Request) -> Response:
    """Figures for Prometheus."""
    return Response(service_of(request).metrics.text(), media_type="text/plain; version=0.0.4")


def opened(
    body: bytearray, content_type: str, settings: Settings
) -> tuple[tuple[int, int], Callable[[], list[np.ndarray]]]:
    """The upright (height, width) of the picture in a form, by its header, and what decodes it.

    Raises:
        Refusal: the form is not as expected.
        PictureError: it holds no picture, or one that is not allowed.
    """
    image = open_header(
        io.BytesIO(form_file(body, content_type, FIELD)),
        FIELD,
        max_bytes=settings.max_bytes,
        max_pixels=settings.max_pixels,
        max_side=settings.max_side,
        formats=FORMATS,
    )
    return upright_size(image), lambda: [to_rgb(load_upright(image, FIELD), FIELD)]


def check_wanted(
    about: dict[str, Any], output: Output, head: str | None, size_hw: tuple[int, int], settings: Settings
) -> None:
    """
    Raises:
        Refusal: a head that is not there, or scores that are too large.
    """
    if head is not None and head not in about["heads"]:
        known = ", ".join(about["heads"]) or "none: the model has one, without a name"
        raise Refusal("bad_field", f"head: no head {head!r}; expected {known}")
    classes = about["classes"] if head is None else about["heads"][head]
    num_bytes = 2 * len(classes) * size_hw[0] * size_hw[1]
    if output == "scores" and num_bytes > settings.max_reply_bytes:
        raise Refusal(
            "too_large",
            f"the scores would have {num_bytes:,} bytes; at most {settings.max_reply_bytes:,} are sent; reduce the "
            "picture, or ask for output=maps",
        )


def encoded(
    service: Service, output: Output, shapes: Shapes, head: str | None, legend: bool, job: Job
) -> Response:
    """The reply; runs in a thread."""
    answer = job.answers[0]
    if output == "json":
        seconds = round(job.seconds["network"], 4)
        about = {"model": service.settings.name, "digest": service.about["digest"], "seconds": seconds}
        return replies.json_reply(answer, shapes, about)
    shown = answer if head is None else answer.heads[head]
    if output == "overlay":
        return replies.overlay_reply(shown, legend)
    make = {"mask": replies.mask_reply, "scores": replies.scores_reply, "maps": replies.maps_reply}[output]
    return make(shown)
