"""The HTTP application, put together."""

from collections.abc import Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles

import fullconv
from fullconv.inference.segmenter import Segmenter
from fullconv.serving import learning, open_inference, openapi, predict
from fullconv.serving.gate import Gate
from fullconv.serving.refusals import Refusal
from fullconv.serving.service import Service
from fullconv.serving.settings import Settings

STATIC = Path(__file__).with_name("static")


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
    app.include_router(predict.routes)
    app.include_router(open_inference.routes)
    app.include_router(learning.routes)
    app.add_api_route("/", page, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


async def page() -> FileResponse:
    return FileResponse(STATIC / "index.html")


async def refuse_http(_: Request, error: Exception) -> Response:
    """Has the gate answer what the framework refuses."""
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "bad_request")
    raise Refusal(code, str(error.detail), headers=dict(error.headers or {}))


async def refuse_fields(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    raise Refusal("bad_field", f"{where}: {first['msg']}")
