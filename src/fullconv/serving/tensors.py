"""The Open Inference Protocol's requests and replies: tensors in JSON, or as bytes behind it.

Source: kserve/open-inference-protocol, specification/protocol/inference_rest.md;
triton-inference-server/server, docs/protocol/extension_binary_data.md.
"""

import json
from dataclasses import dataclass
from itertools import chain
from typing import Annotated, Any

import numpy as np
import pydantic
from pydantic import BaseModel, Field
from starlette.responses import Response

from fullconv.inference.segmenter import Prediction
from fullconv.serving.refusals import Refusal
from fullconv.serving.settings import Settings

INPUT, LABELS, SCORES = "image", "labels", "scores"
MOST_PICTURES = 64
MOST_JSON_ELEMENTS = 1 << 19
"""Nothing else runs while JSON is written."""
LENGTH_HEADER = "Inference-Header-Content-Length"

Size = Annotated[int, Field(ge=0, le=1 << 31)]


class Tensor(BaseModel):
    """An input: its elements follow in `data`, flat or nested, or behind the JSON, as many bytes as `binary_data_size` says."""

    name: str = Field(max_length=100)
    shape: list[Size] = Field(max_length=4)
    datatype: str = Field(max_length=10)
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class Output(BaseModel):
    """An output that is asked for."""

    name: str = Field(max_length=100)
    parameters: dict[str, Any] = {}


class InferRequest(BaseModel):
    """What `/infer` takes."""

    id: str | None = Field(default=None, max_length=200)
    parameters: dict[str, Any] = {}
    inputs: list[Tensor] = Field(min_length=1, max_length=1)
    outputs: list[Output] | None = Field(default=None, max_length=2)


@dataclass(frozen=True)
class Inference:
    """A request that was understood.

    Attributes:
        pictures: (N, H, W, 3) uint8.
        single: whether they came as (H, W, 3).
        outputs: name -> whether it is to be sent as bytes.
        id: to be sent back.
    """

    pictures: np.ndarray
    single: bool
    outputs: dict[str, bool]
    id: str | None


def parse(body: bytes | bytearray, json_length: str | None, settings: Settings) -> Inference:
    """Reads a request.

    Args:
        body: all of it.
        json_length: of its JSON part, as the header says; None: it is all JSON.
        settings: the limits.

    Raises:
        Refusal: it is not of the protocol, not for this model, or too large.
    """
    view = memoryview(body)
    length = len(view)
    if json_length is not None:
        if not json_length.isdecimal() or len(json_length) > 12 or int(json_length) > length:
            raise Refusal(
                "bad_request",
                f"{LENGTH_HEADER} is {json_length[:20]!r}; expected at most {length}, the body's",
            )
        length = int(json_length)
    if length > settings.max_json_bytes:
        raise Refusal(
            "too_large",
            f"the JSON has {length:,} bytes; at most {settings.max_json_bytes:,} are read; send the tensor as binary data",
        )
    request = parsed_json(bytes(view[:length]))
    tensor = request.inputs[0]
    if tensor.name != INPUT or tensor.datatype != "UINT8":
        raise Refusal(
            "bad_field",
            f"got the input {tensor.name!r} of {tensor.datatype!r}; expected {INPUT!r} of 'UINT8'",
        )
    shape = tuple(tensor.shape)
    check_shape(shape, settings)
    pixels = np.frombuffer(elements(tensor, view[length:], int(np.prod(shape))), np.uint8).reshape(shape)
    pictures = pixels if pixels.ndim == 4 else pixels[None]
    return Inference(pictures, pixels.ndim == 3, wanted_outputs(request), request.id)


def parsed_json(text: bytes) -> InferRequest:
    try:
        return InferRequest.model_validate(json.loads(text))
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])[:100]
        raise Refusal("bad_field", f"{where or 'the request'}: {first['msg']}") from None
    except (ValueError, RecursionError) as error:
        raise Refusal("bad_request", f"the body is not JSON ({' '.join(str(error).split())[:100]})") from None


def check_shape(shape: tuple[int, ...], settings: Settings) -> None:
    if len(shape) not in (3, 4) or shape[-1] != 3 or 0 in shape:
        raise Refusal(
            "bad_field", f"the shape is {list(shape)}; expected [N, H, W, 3] or [H, W, 3], pictures in RGB"
        )
    count, height, width = (1, *shape[:2]) if len(shape) == 3 else shape[:3]
    if (
        count > MOST_PICTURES
        or max(height, width) > settings.max_side
        or count * height * width > settings.max_pixels
    ):
        raise Refusal(
            "too_large",
            f"got {count} pictures of {height} x {width}; expected at most {MOST_PICTURES}, {settings.max_pixels:,} pixels "
            f"in all, sides of at most {settings.max_side:,}",
        )


def elements(tensor: Tensor, behind: memoryview, size: int) -> bytes | memoryview:
    """A tensor's elements, a byte each."""
    binary = tensor.parameters.get("binary_data_size")
    if (tensor.data is None) == (binary is None):
        raise Refusal("bad_field", "expected the tensor's data, or its binary_data_size, and not both")
    if binary is not None:
        if binary != len(behind) or binary != size:
            got = f"binary_data_size is {str(binary)[:20]}, and {len(behind)} bytes follow the JSON"
            raise Refusal("bad_field", f"{got}; expected {size} of both, as the shape says")
        return behind
    flat: Any = tensor.data
    try:
        for _ in range(3):
            flat = list(chain.from_iterable(flat)) if flat and isinstance(flat[0], list) else flat
        content = bytes(flat)
    except (TypeError, ValueError):
        raise Refusal(
            "bad_field", "the data are not whole numbers in 0..255, flat or as nested as the shape"
        ) from None
    if len(content) != size:
        raise Refusal(
            "bad_field", f"the tensor has {len(content)} elements; expected {size}, as the shape says"
        )
    return content


def wanted_outputs(request: InferRequest) -> dict[str, bool]:
    """The outputs that are asked for, and whether as bytes; unless some are named, the labels."""
    everywhere = request.parameters.get("binary_data_output") is True
    outputs = {}
    for output in request.outputs or [Output(name=LABELS)]:
        if output.name not in (LABELS, SCORES):
            raise Refusal("bad_field", f"got the output {output.name!r}; expected {LABELS!r} or {SCORES!r}")
        outputs[output.name] = output.parameters.get("binary_data", everywhere) is True
    return outputs


def check_reply(inference: Inference, num_classes: int, settings: Settings) -> None:
    """
    Raises:
        Refusal: what is asked for would be too large.
    """
    num_pixels = int(np.prod(inference.pictures.shape[:3]))
    for output, binary in inference.outputs.items():
        size = num_pixels * (num_classes if output == SCORES else 1)
        if not binary and size > MOST_JSON_ELEMENTS:
            text = f"{output!r} would have {size:,} elements; JSON holds at most {MOST_JSON_ELEMENTS:,}"
            raise Refusal("too_large", f"{text}; set binary_data of the output")
        if output == SCORES and 4 * size > settings.max_reply_bytes:
            text = f"{output!r} would have {4 * size:,} bytes; at most {settings.max_reply_bytes:,} are sent"
            raise Refusal("too_large", f"{text}; send fewer or smaller pictures")


def label(inference: Inference, prediction: Prediction) -> dict[str, np.ndarray]:
    """The arrays of one picture: labels (H, W) uint8 or uint16, scores (K, H, W) float32."""
    arrays = {LABELS: prediction.label_map}
    if SCORES in inference.outputs:
        arrays[SCORES] = prediction.scores()
    return arrays


def infer_reply(inference: Inference, name: str, answers: list[dict[str, np.ndarray]]) -> Response:
    """The reply, its outputs in the order in which they were asked for."""
    outputs, behind = [], []
    for output, binary in inference.outputs.items():
        stacked = np.stack([answer[output] for answer in answers])
        array = stacked[0] if inference.single else stacked
        datatype = {"uint8": "UINT8", "uint16": "UINT16", "float32": "FP32"}[array.dtype.name]
        entry: dict[str, Any] = {"name": output, "datatype": datatype, "shape": list(array.shape)}
        if binary:
            behind.append(array.tobytes())
            entry["parameters"] = {"binary_data_size": len(behind[-1])}
        else:
            entry["data"] = array.ravel().tolist()
        outputs.append(entry)
    content: dict[str, Any] = {"model_name": name, "outputs": outputs}
    if inference.id is not None:
        content["id"] = inference.id
    text = json.dumps(content).encode()
    if not behind:
        return Response(text, media_type="application/json")
    headers = {LENGTH_HEADER: str(len(text))}
    return Response(text + b"".join(behind), headers=headers, media_type="application/octet-stream")
