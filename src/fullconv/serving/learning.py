"""What the page needs to correct and to learn: pictures to begin with, the next to correct, and where corrections go."""

import logging
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import Response

from fullconv.errors import StorageError
from fullconv.serving import openapi_learning as openapi
from fullconv.serving.bodies import Field, form_fields
from fullconv.serving.collecting import Collection, Saved
from fullconv.serving.logs import log
from fullconv.serving.refusals import Refusal
from fullconv.serving.service import service_of
from fullconv.serving.settings import Settings
from fullconv.serving.watching import read_at_most

IMAGE, MASK = "image", "mask"
MOST_LISTED = 200
MEDIA_TYPES = {
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".gif": "image/gif",
    ".bmp": "image/bmp",
}  # fmt: skip

Index = Annotated[int, InPath(ge=0, le=10**9)]

routes = APIRouter()


@routes.get("/v1/collect", responses=openapi.COLLECT)
async def collect_state(request: Request) -> dict[str, Any]:
    """Whether corrections are taken in, and how many pictures have been."""
    service = service_of(request)
    _ = service.pipeline
    return state_of(service.collection)


@routes.post("/v1/collect", responses=openapi.COLLECT_POST, openapi_extra=openapi.COLLECT_BODY)
async def collect(request: Request) -> dict[str, Any]:
    """Takes in a picture and its mask, a PNG of class ids (255: void) in the upright picture's size."""
    service = service_of(request)
    pipeline, collection, settings = service.pipeline, service.collection, service.settings
    if collection is None:
        raise Refusal("not_found", "nothing is collected here; start the service with --collect FOLDER")
    async with service.bodies.of(request, at_most=2 * settings.max_bytes) as body:
        content_type = request.headers.get("content-type", "")
        fields = await pipeline.in_thread(partial(form_fields, body, content_type, (IMAGE, MASK)))
        saved = await pipeline.in_thread(partial(save, collection, fields, settings))
    told = {"name": saved.name, "split": saved.split, "replaced": saved.replaced}
    return state_of(collection) | {"saved": told}


@routes.get("/v1/watch", responses=openapi.WATCH)
async def watch_state(request: Request) -> dict[str, Any]:
    """The pictures of the watched folder, those first of which the model is least sure; at most 200."""
    service = service_of(request)
    _ = service.pipeline
    watch = service.watch
    if watch is None:
        return {"on": False, "total": 0, "ranked": 0, "pictures": []}
    pictures = [
        {"index": index, "name": watch.pictures[index].name, "entropy": round(watch.entropies[index], 4)}
        for index in watch.ranking()[:MOST_LISTED]
    ]
    return {"on": True, "total": len(watch.pictures), "ranked": watch.next, "pictures": pictures}


@routes.get("/v1/watch/{index}/picture", response_class=Response, responses=openapi.PICTURE)
async def watched_picture(request: Request, index: Index) -> Response:
    """One of them: its file as it is."""
    service = service_of(request)
    pipeline, watch = service.pipeline, service.watch
    pictures = [] if watch is None else watch.pictures
    return await pipeline.in_thread(partial(file_reply, pictures, index, service.settings))


@routes.get("/v1/examples", responses=openapi.EXAMPLES)
async def examples(request: Request) -> dict[str, Any]:
    """The names of pictures to try the model with."""
    return {"examples": [path.name for path in service_of(request).examples]}


@routes.get("/v1/examples/{index}", response_class=Response, responses=openapi.PICTURE)
async def example(request: Request, index: Index) -> Response:
    """One of them: its file as it is."""
    service = service_of(request)
    return await service.pipeline.in_thread(partial(file_reply, service.examples, index, service.settings))


def state_of(collection: Collection | None) -> dict[str, Any]:
    if collection is None:
        return {"on": False, "folder": "", "count": 0, "splits": {}}
    splits = collection.count()
    return {
        "on": True, "folder": collection.folder.resolve().name, "count": sum(splits.values()), "splits": splits
    }  # fmt: skip


def save(collection: Collection, fields: dict[str, Field], settings: Settings) -> Saved:
    """
    Raises:
        Refusal: the disk is full, or may not be written.
    """
    image, mask = fields[IMAGE], fields[MASK]
    try:
        return collection.save(image.content, mask.content, image.file_name, settings)
    except StorageError as error:
        log("a correction was not saved", logging.ERROR, reason=str(error))
        raise Refusal(
            "storage_full",
            "the correction was not saved: the disk is full, or may not be written; free space there and save again",
        ) from None


def file_reply(pictures: list[Path], index: int, settings: Settings) -> Response:
    """
    Raises:
        Refusal: there is no such picture, or it is gone.
    """
    try:
        path = pictures[index]
        content = read_at_most(path, settings.max_bytes)
    except (IndexError, OSError):
        raise Refusal("not_found", f"there is no picture {index}, or no longer") from None
    if len(content) > settings.max_bytes:
        raise Refusal("too_large", f"this picture has more than {settings.max_bytes:,} bytes")
    return Response(content, media_type=MEDIA_TYPES[path.suffix.lower()])
