"""What `/openapi.json` says beyond the code: bodies, replies, and an example of each."""

from typing import Annotated, Any

from fastapi import Header

Timeout = Annotated[
    float | None,
    Header(alias="X-Request-Timeout", ge=1, le=86_400, description="Seconds within which a reply is of use"),
]

Responses = dict[int | str, dict[str, Any]]

DESCRIPTION = """\
Labels every pixel of a picture. `POST /v1/predict` takes a picture's file, `/v2` speaks the Open Inference Protocol.

Errors are `{"error": {"code", "message"}}`; the code is for programs, the message for people. Every reply has an
`X-Request-Id`: the request's own, where it has one. `X-Request-Timeout: SECONDS` asks for less time than the service allows.
"""

ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}

MESSAGES = {
    400: ("not_a_picture", "image: is not a picture; expected JPEG, PNG, WebP, BMP, TIFF, GIF or PPM; convert or remove it"),
    401: ("unauthorized", "the token is missing or wrong; send the header 'Authorization: Bearer TOKEN'"),
    403: ("forbidden", "this comes from another site's page; open the service's own"),
    404: ("not_found", "no model 'street' here; the model is 'camvid'"),
    405: ("method_not_allowed", "POST is not for this address"),
    408: ("slow_upload", "only 4,096 bytes came within 30 seconds; send a smaller picture"),
    413: ("too_large", "image: has 30000 x 30000 pixels; at most 50,000,000 are read; reduce it or cut it into tiles"),
    415: ("unsupported_format", "image: is a PPM picture; expected JPEG, PNG, WEBP, GIF, BMP, TIFF; convert it"),
    422: ("bad_field", "output: Input should be 'json', 'mask', 'overlay', 'scores' or 'maps'"),
    503: ("queue_full", "33 requests are waiting or worked on, as many as may; try again later"),
    504: ("deadline_passed", "not done within 60 seconds; try again later"),
    507: ("storage_full", "the correction was not saved: the disk is full, or may not be written; free space there"),
}  # fmt: skip
"""Status -> an example of what is said."""

REASONS = {
    400: "The body is not what it says, or the picture cannot be read",
    401: "The token is missing or wrong",
    403: "Another host's name, or another site's page",
    404: "No such address or model",
    405: "No such method here",
    408: "The body came too slowly",
    413: "Too many bytes or pixels, or too long a side",
    415: "A kind of body or of picture that is not read",
    422: "A field or parameter that is not known, or has a wrong value",
    503: "The queue is full, or the service is not ready",
    504: "Not done in time",
    507: "The disk is full, or may not be written; nothing was changed",
}


def errors(*statuses: int) -> Responses:
    """Of an operation."""
    return {status: error_response(status) for status in sorted({401, 403, *statuses})}


def error_response(status: int) -> dict[str, Any]:
    code, message = MESSAGES[status]
    example = {"error": {"code": code, "message": message}}
    described = {"description": REASONS[status], "content": content("application/json", ERROR, example)}
    if status == 503:
        described["headers"] = {
            "Retry-After": {
                "description": "Seconds, where it may help to try again",
                "schema": {"type": "integer"},
            }
        }
    return described


def content(media_type: str, schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {media_type: {"schema": schema, "example": example}}


def json_response(description: str, example: dict[str, Any]) -> dict[str, Any]:
    """An object with the keys of its example."""
    schema = {"type": "object", "required": list(example)}
    return {"description": description, "content": content("application/json", schema, example)}


BINARY = {"type": "string", "format": "binary"}

PREDICT_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["image"],
                    "properties": {"image": BINARY | {"description": "The picture's file, as it is"}},
                    "additionalProperties": False,
                }
            }
        },
    }
}

PREDICTION = {
    "model": "camvid",
    "digest": "5f0c...",
    "seconds": 0.0412,
    "height": 2,
    "width": 4,
    "classes": {"road": 0.75, "sky": 0.25},
    "shapes": [
        {"id": 0, "name": "sky", "pixels": 2, "rle": {"size": [2, 4], "counts": "01104"}},
        {"id": 3, "name": "road", "pixels": 6, "rle": {"size": [2, 4], "counts": "1114"}},
    ],
}

PREDICT: Responses = {
    200: {
        "description": "What is in the picture, as `output` says",
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": [key for key in PREDICTION if key != "shapes"]},
                "example": PREDICTION,
            },
            "image/png": {"schema": BINARY},
            "image/jpeg": {"schema": BINARY},
            "application/octet-stream": {"schema": BINARY},
        },
    },
    **errors(400, 408, 413, 415, 422, 503, 504),
}

MODEL: Responses = {
    200: json_response(
        "The model",
        {
            "name": "camvid",
            "digest": "5f0c...",
            "architecture": {"model": "fcn4s", "backbone": "torchvision/mobilenet_v2", "num_classes": 11},
            "stride": 4,
            "classes": [{"id": 0, "name": "sky", "color": [128, 128, 128]}],
            "heads": {},
            "preprocessing": {"channels": "RGB", "scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]},
            "engine": {"name": "torch", "device": "cpu", "precision": "fp32"},
            "metrics": {"mean_iou": 0.68},
            "licence": "CC BY-NC 4.0",
            "limits": {"formats": ["JPEG", "PNG"], "max_bytes": 33554432, "max_pixels": 50000000, "max_side": 16384},
        },
    ),
    **errors(503),
}  # fmt: skip

METRICS: Responses = {
    200: {
        "description": "Prometheus' text format",
        "content": content(
            "text/plain",
            {"type": "string"},
            'fullconv_requests_total{code="",route="/v1/predict",status="200"} 7.0',
        ),
    },
    **errors(),
}

LIVE: Responses = {200: json_response("The service runs", {"live": True}), 403: error_response(403)}
READY: Responses = {
    200: json_response("The model is loaded, and requests are taken", {"ready": True}),
    403: error_response(403),
    503: error_response(503),
}
SERVER: Responses = {
    200: json_response(
        "The service", {"name": "fullconv", "version": "0.1.0", "extensions": ["binary_tensor_data"]}
    ),
    **errors(),
}
MODEL_READY: Responses = READY | errors(404, 422, 503)
MODEL_METADATA: Responses = {
    200: json_response(
        "Inputs and outputs",
        {
            "name": "camvid",
            "platform": "fullconv",
            "inputs": [{"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}],
            "outputs": [
                {"name": "labels", "datatype": "UINT8", "shape": [-1, -1, -1]},
                {"name": "scores", "datatype": "FP32", "shape": [-1, 11, -1, -1]},
            ],
        },
    ),
    **errors(404, 422, 503),
}

PARAMETERS = {"type": "object", "additionalProperties": True}
INFER_REQUEST = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "parameters": PARAMETERS | {"description": "binary_data_output: true sends all outputs as bytes"},
        "inputs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": {
                "type": "object",
                "required": ["name", "shape", "datatype"],
                "properties": {
                    "name": {"const": "image"},
                    "datatype": {"const": "UINT8"},
                    "shape": {
                        "description": "[N, H, W, 3] or [H, W, 3]: RGB",
                        "type": "array",
                        "minItems": 3,
                        "maxItems": 4,
                        "items": {"type": "integer", "minimum": 1},
                    },
                    "parameters": PARAMETERS | {"description": "binary_data_size: the bytes behind the JSON"},
                    "data": {"type": "array", "description": "flat, or as nested as the shape"},
                },
            },
        },
        "outputs": {
            "type": "array",
            "maxItems": 2,
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "name": {"enum": ["labels", "scores"]},
                    "parameters": PARAMETERS | {"description": "binary_data: true sends it as bytes"},
                },
            },
        },
    },
}

INFER_BODY = {
    "requestBody": {
        "required": True,
        "description": "JSON; or JSON and then the tensor's bytes, with Inference-Header-Content-Length",
        "content": {
            "application/json": {
                "schema": INFER_REQUEST,
                "example": {
                    "inputs": [
                        {
                            "name": "image",
                            "datatype": "UINT8",
                            "shape": [1, 2, 3],
                            "data": [0, 0, 0, 255, 255, 255],
                        }
                    ]
                },
            },
            "application/octet-stream": {"schema": BINARY},
        },
    }
}
INFER: Responses = {
    200: {
        "description": "The outputs",
        "content": {
            "application/json": {
                "schema": {"type": "object", "required": ["model_name", "outputs"]},
                "example": {
                    "model_name": "camvid",
                    "outputs": [{"name": "labels", "datatype": "UINT8", "shape": [1, 2], "data": [3, 0]}],
                },
            },
            "application/octet-stream": {"schema": BINARY},
        },
    },
    **errors(400, 404, 408, 413, 415, 422, 503, 504),
}
