"""What is sent of a prediction: JSON with the shapes of its classes, a mask, an overlay, scores."""

import io
import json
from typing import Any, Literal

import numpy as np
from PIL import Image
from starlette.responses import Response

from fullconv.data.masks import encode_mask
from fullconv.data.shapes.outlines import trace
from fullconv.data.shapes.runs import pack, to_counts
from fullconv.drawing import overlay
from fullconv.inference.outputs import Answer
from fullconv.inference.outputs import count as count_pixels
from fullconv.serving.refusals import Refusal

Output = Literal["json", "mask", "overlay", "scores", "maps"]
Shapes = Literal["rle", "polygons", "none"]

ARRAYS: dict[Output, frozenset[str]] = {
    "json": frozenset(),
    "mask": frozenset(),
    "overlay": frozenset(),
    "scores": frozenset({"scores"}),
    "maps": frozenset({"confidence", "entropy"}),
}
"""Output -> what is needed besides the label map, in the words of `inference.outputs.ARRAYS`."""

MOST_BORDER: dict[Shapes, int] = {"rle": 4_000_000, "polygons": 400_000}
"""Pixel edges between classes up to which shapes are written, which takes some seconds: beyond, a mask is shorter too."""


def json_reply(answer: Answer, shapes: Shapes, about: dict[str, Any]) -> Response:
    """Sizes, shares and shapes of the classes, of further heads under "heads"; `about` comes first."""
    content = about | head_content(answer, shapes)
    if answer.heads:
        content["heads"] = {name: head_content(head, shapes) for name, head in answer.heads.items()}
    return Response(json.dumps(content), media_type="application/json")


def head_content(answer: Answer, shapes: Shapes) -> dict[str, Any]:
    height, width = answer.label_map.shape
    pixels = count_pixels(answer)
    content = {"height": height, "width": width, "classes": answer.labels.shares(pixels)}
    if shapes == "none":
        return content
    refuse_noise(answer.label_map, MOST_BORDER[shapes])
    by_columns = np.ascontiguousarray(answer.label_map.T).ravel()  # the order of COCO's run lengths
    content["shapes"] = [
        {"id": int(index), "name": answer.labels.names[index], "pixels": int(pixels[index])}
        | (
            {"rle": {"size": [height, width], "counts": pack(to_counts(by_columns == index))}}
            if shapes == "rle"
            else {"polygons": polygons_of(answer.label_map == index)}
        )
        for index in np.flatnonzero(pixels)
    ]
    return content


def polygons_of(mask: np.ndarray) -> list[list[list[list[int]]]]:
    """The connected parts of a mask, each as its rings of corners [x, y], the outer one first, then its holes."""
    return [[ring.tolist() for ring in part] for part in trace(mask)]


def refuse_noise(label_map: np.ndarray, most: int) -> None:
    down = np.count_nonzero(label_map[1:] != label_map[:-1])
    border = down + np.count_nonzero(label_map[:, 1:] != label_map[:, :-1])
    if border > most:
        raise Refusal(
            "too_large",
            f"the shapes of this picture have {border:,} pixel edges; at most {most:,} are written; ask for "
            "output=mask, or for shapes=none",
        )


def mask_reply(answer: Answer) -> Response:
    """A PNG of class ids with the class colours as its palette, 16 bits above 256 classes."""
    return Response(encode_mask(answer.label_map, answer.labels), media_type="image/png")


def overlay_reply(answer: Answer, legend: bool) -> Response:
    """A JPEG."""
    stream = io.BytesIO()
    overlay(answer.picture, answer.label_map, answer.labels, legend=legend).save(stream, "JPEG", quality=90)
    return Response(stream.getvalue(), media_type="image/jpeg")


def scores_reply(answer: Answer) -> Response:
    """A .npy file: (K, H, W) float16 softmax scores."""
    stream = io.BytesIO()
    np.save(stream, answer.arrays["scores"])
    return Response(stream.getvalue(), media_type="application/octet-stream")


def maps_reply(answer: Answer) -> Response:
    """An RGB PNG whose red is the class id, green the confidence and blue the entropy, both times 255."""
    if answer.labels.num_classes > 256:
        raise Refusal(
            "bad_field", "output=maps has 8 bits for a class; the model has more than 256; ask for mask"
        )
    shares = (np.rint(255 * answer.arrays[kind]).astype(np.uint8) for kind in ("confidence", "entropy"))
    stream = io.BytesIO()
    Image.fromarray(np.dstack([answer.label_map, *shares])).save(stream, "PNG", compress_level=1)
    return Response(stream.getvalue(), media_type="image/png")
