"""What `/openapi.json` says of correcting and learning."""

from typing import Any

from fullconv.serving.openapi import BINARY, Responses, errors, json_response

STATE = {"on": True, "folder": "street", "count": 12, "splits": {"train": 10, "val": 2}}

COLLECT: Responses = {200: json_response("What has been collected", STATE), **errors(503)}

COLLECT_POST: Responses = {
    200: json_response(
        "It was saved",
        STATE | {"saved": {"name": "photo-5f0c12ab", "split": "train", "replaced": False}},
    ),
    **errors(400, 404, 408, 413, 415, 422, 503, 507),
}

COLLECT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image", "mask"],
                    "properties": {
                        "image": BINARY | {"description": "The picture's file, as it is"},
                        "mask": BINARY | {"description": "A PNG of class ids; 255 is void"},
                    },
                    "additionalProperties": False,
                }
            }
        },
    }
}

WATCH: Responses = {
    200: json_response(
        "The most useful first",
        {"on": True, "total": 40, "ranked": 40, "pictures": [{"index": 7, "name": "a.jpg", "entropy": 0.31}]},
    ),
    **errors(503),
}

EXAMPLES: Responses = {
    200: json_response("Names; the address has the index", {"examples": ["a.jpg"]}),
    **errors(),
}

PICTURE: Responses = {
    200: {
        "description": "The file",
        "content": {f"image/{kind}": {"schema": BINARY} for kind in ("jpeg", "png", "webp", "gif", "bmp")},
    },
    **errors(404, 413, 422, 503),
}
