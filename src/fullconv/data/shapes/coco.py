"""The shapes of COCO's annotations: polygons, filled by COCO's own code, and run lengths.

Source: COCO, data format, https://cocodataset.org/#format-data; cocodataset/cocoapi, PythonAPI/pycocotools/coco.py (annToRLE).
"""

from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, Discriminator, Field, Tag

from fullconv.data.documents import Coordinate, Part
from fullconv.data.pictures import MAX_PIXELS
from fullconv.data.shapes.polygons import Patch, near
from fullconv.data.shapes.runs import from_counts, unpack
from fullconv.errors import ConfigError, DataError

LONGEST_OUTLINE = 2_000_000
"""In pixels: COCO's code needs memory for each of them."""


def _of_three_points(numbers: list[float]) -> list[float]:
    if len(numbers) < 6 or len(numbers) % 2:
        raise ValueError(f"got {len(numbers)} numbers, expected x and y of at least 3 points")
    return numbers


Outline = Annotated[list[Coordinate], Field(fail_fast=True), AfterValidator(_of_three_points)]
Runs = Annotated[list[Annotated[int, Field(ge=0, le=MAX_PIXELS)]], Field(fail_fast=True)]


class RunLengths(Part):
    """A mask as run lengths down the columns, plain or packed."""

    size: tuple[int, int]
    counts: Annotated[
        Annotated[str, Tag("<packed>")] | Annotated[Runs, Tag("<plain>")],
        Discriminator(lambda value: "<packed>" if isinstance(value, str) else "<plain>"),
    ]


def _kind(value: Any) -> str:
    return "<runs>" if isinstance(value, dict | RunLengths) else "<outlines>"


Segmentation = Annotated[
    Annotated[Annotated[list[Outline], Field(fail_fast=True)], Tag("<outlines>")]
    | Annotated[RunLengths, Tag("<runs>")],
    Discriminator(_kind),
]


def draw(shape: list[list[float]] | RunLengths, size_hw: tuple[int, int]) -> Patch:
    """The pixels of an annotation's shape; of several polygons all that one of them covers.

    Raises:
        DataError: the shape is of another size, or lies far outside of the picture.
        ConfigError: there are polygons, and pycocotools is not installed.
    """
    height, width = size_hw
    if isinstance(shape, RunLengths):
        if shape.size != size_hw:
            raise DataError(
                f".size: got {list(shape.size)}, expected {list(size_hw)}, the size of its picture"
            )
        counts = unpack(shape.counts) if isinstance(shape.counts, str) else shape.counts
    else:
        for index, outline in enumerate(shape):
            points = near(np.array(outline).reshape(-1, 2), size_hw, f"[{index}]")
            length = np.abs(np.diff(points, axis=0, append=points[:1])).sum()
            if length > LONGEST_OUTLINE:
                raise DataError(
                    f"[{index}]: got an outline of {length:.0f} pixels, expected at most {LONGEST_OUTLINE}"
                )
        api = mask_api()
        counts = unpack(api.merge(api.frPyObjects(shape, height, width))["counts"].decode())
    return Patch(0, 0, from_counts(counts, height * width).reshape(width, height).T)


def mask_api() -> Any:
    """The module that fills polygons as COCO does.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        from pycocotools import mask
    except ImportError as error:
        raise ConfigError(
            f"polygons in COCO's form are filled by pycocotools, which cannot be imported ({error}); "
            "pip install 'fullconv[formats]'"
        ) from None
    return mask
