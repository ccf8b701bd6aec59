"""The HTTP application: `create_app` puts it together; this file has the routes that are ours, and the page."""

import io
from collections.abc import Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, FastAPI, Query
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.staticfiles import StaticFiles

import fullconv
from fullconv.data.pictures import load_upright, open_header, to_rgb, upright_size
from fullconv.inference.outputs import Answer, answer_of
from fullconv.inference.segmenter import Segmenter
from fullconv.serving import openapi
from fullconv.serving.bodies import form_file
from fullconv.serving.gate import Gate
from fullconv.serving.open_inference import open_inference_routes
from fullconv.serving.pipeline import Job, answered
from fullconv.serving.refusals import Refusal
from fullconv.serving.replies import (
    ARRAYS,
    Output,
    Shapes,
    json_reply,
    maps_reply,
    mask_reply,
    overlay_reply,
    scores_reply,
)
from fullconv.serving.service import Service
from fullconv.serving.settings import FORMATS, Settings

STATIC = Path(__file__).with_name("static")

FIELD = "image"


def create_app(source: Segmenter | Callable[[], Segmenter], settings: Settings | None = None) -> FastAPI:
    """The application; `app.state.service` is its `Service`.

    Args:
        source: the model, or what loads it once the application has started.
        settings: what is allowed.
    """
    settings = settings or Settings()
    service = Service((lambda: source) if isinstance(source, Segmenter) else source, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI):
        async with service.running():
            yield

    app = FastAPI(
        title="fullconv",
        version=fullconv.__version__,
        description=openapi.DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        exception_handlers={HTTPException: refuse_http, RequestValidationError: refuse_fields},
    )
    app.state.service = service
    app.add_middleware(Gate, settings=settings, metrics=service.metrics)
    app.include_router(own_routes(service))
    app.include_router(open_inference_routes(service))
    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


async def page() -> FileResponse:
    return FileResponse(STATIC / "index.html")


def own_routes(service: Service) -> APIRouter:
    """`/v1` and `/metrics`."""
    routes = APIRouter()
    settings = service.settings

    @routes.post(
        "/v1/predict", response_class=Response, responses=openapi.PREDICT, openapi_extra=openapi.PREDICT_BODY
    )
    async def predict(
        request: Request,
        output: Annotated[
            Output,
            Query(
                description="json; a PNG of class ids; a JPEG of the picture under its classes; a .npy of (K, H, W) float16 "
                "scores; or maps, a PNG with the class id in red, confidence in green and entropy in blue"
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
        pipeline = service.pipeline
        pipeline.check_room()

        def encode(job: Job) -> Response:
            answer: Answer = job.answers[0]
            if output == "json":
                about = {
                    "model": settings.name,
                    "digest": service.about["digest"],
                    "seconds": round(job.seconds["network"], 4),
                }
                return json_reply(answer, shapes, about)
            shown = answer if head is None else answer.heads[head]
            if output == "overlay":
                return overlay_reply(shown, legend)
            return {"mask": mask_reply, "scores": scores_reply, "maps": maps_reply}[output](shown)

        async with service.bodies.of(request) as body:
            size_hw, decode = await pipeline.in_thread(
                partial(opened, body, request.headers.get("content-type", ""), settings)
            )
            check_wanted(service.about, output, head, size_hw, settings)
            label = partial(answer_of, kinds=ARRAYS[output])
            job = Job(size_hw, 1, decode, label, encode, min(timeout or settings.timeout, settings.timeout))
            return await answered(pipeline, job, request)

    @routes.get("/v1/model", response_class=JSONResponse, responses=openapi.MODEL)
    async def model() -> dict[str, Any]:
        """The model: classes and colours, preprocessing, figures, licence, and the limits of the service."""
        _ = service.pipeline
        return service.about

    @routes.get("/metrics", response_class=Response, responses=openapi.METRICS)
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4")

    return routes


def opened(
    body: bytearray, content_type: str, settings: Settings
) -> tuple[tuple[int, int], Callable[[], list[np.ndarray]]]:
    """The upright size of the picture in a form, by its header, and what decodes it.

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
        known = ", ".join(about["heads"]) or "the model has one, without a name"
        raise Refusal("bad_field", f"head: no head {head!r}; expected {known}")
    classes = about["classes"] if head is None else about["heads"][head]
    num_bytes = 2 * len(classes) * size_hw[0] * size_hw[1]
    if output == "scores" and num_bytes > settings.max_reply_bytes:
        raise Refusal(
            "too_large",
            f"the scores would have {num_bytes:,} bytes; at most {settings.max_reply_bytes:,} are sent; reduce the "
            "picture, or ask for output=maps",
        )


async def refuse_http(_: Request, error: Exception) -> Response:
    """Has the gate answer what the framework refuses."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    raise Refusal(
        codes.get(error.status_code, "bad_request"), str(error.detail), headers=dict(error.headers or {})
    )


async def refuse_fields(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    raise Refusal("bad_field", f"{where}: {first['msg']}")
