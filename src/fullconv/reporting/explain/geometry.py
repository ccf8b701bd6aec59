"""Where each layer of a network looks, in numbers."""

from fractions import Fraction
from typing import Any, cast

from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.models.caffe import CaffeAlexNet, CaffeFCN
from fullconv.models.fcn import FCN
from fullconv.ops.geometry import Geometry
from fullconv.ops.tracing import Place, TracedStep, place_of, trace_steps

KINDS = {
    "conv2d": "conv",
    "conv_transpose2d": "up-conv",
    "max_pool2d": "max pool",
    "avg_pool2d": "mean pool",
    "pad": "pad",
    "crop": "crop",
}
"""Torch's names as people read them."""


def geometry_facts(
    model: nn.Module, name: str, size_hw: tuple[int, int], num_classes: int | None = None, channels: int = 3
) -> dict[str, Any]:
    """What moves things in space in a network, and where its scores lie on the picture.

    Args:
        model: takes (1, channels, H, W) float32.
        name: what to call it.
        size_hw: of the picture.
        num_classes: K, by which score layers are known (1x1 convolutions to K channels); None for networks without.
        channels: of the picture.

    Returns:
        JSON-able: `model`, `size_hw`, `layers` in the order of execution, `maps` (the score maps, or the last feature map of a
        network without), `placement` of an FCN ("exact" or "half-pixel"), `crops` of the papers' networks, `output` or None
        where it has no place. Positions are in pixels; pairs are (rows, columns).

    Raises:
        InputError: the network does not take pictures of this size.
    """
    watched = model.backbone if isinstance(model, FCN) else model
    try:
        output, steps = trace_steps(watched, size_hw, channels)
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{name} does not take a picture of {size_hw[0]} x {size_hw[1]} ({reason}); give another --size"
        ) from None
    place = place_of(output) if isinstance(output, Tensor) else None
    return {
        "model": name,
        "size_hw": list(size_hw),
        "layers": [layer_facts(step) for step in steps],
        "maps": fcn_maps(model, cast(Any, output))
        if isinstance(model, FCN)
        else score_maps(steps, num_classes),
        "placement": fcn_placement(model) if isinstance(model, FCN) else None,
        "crops": dict(model.crops) if isinstance(model, CaffeFCN | CaffeAlexNet) else {},
        "output": None if place is None else place_facts(place),
    }


def layer_facts(step: TracedStep) -> dict[str, Any]:
    window_hw = step.window_hw
    return {
        "name": step.name.removeprefix("backbone.").removeprefix("body."),
        "kind": KINDS[step.kind],
        "kernel_hw": window_hw and [window.kernel for window in window_hw],
        "step_hw": window_hw and [window.stride for window in window_hw],
        "padding_hw": window_hw and [window.padding for window in window_hw],
        "dilation_hw": window_hw and [window.dilation for window in window_hw],
        "channels": step.channels,
        "cells_hw": list(step.size_hw),
        **place_facts(step.place),
    }


def place_facts(place: Place) -> dict[str, Any]:
    return geometry_numbers(place.geometry_hw)


def geometry_numbers(geometry_hw: tuple[Geometry, Geometry]) -> dict[str, Any]:
    return {
        "stride_hw": [number(geometry.stride) for geometry in geometry_hw],
        "offset_hw": [number(geometry.offset) for geometry in geometry_hw],
        "receptive_field_hw": [number(geometry.receptive_field) for geometry in geometry_hw],
    }


def number(fraction: Fraction) -> int | float:
    """A fraction as JSON has it, whole numbers whole."""
    return int(fraction) if fraction.denominator == 1 else float(fraction)


def fcn_maps(model: FCN, features: dict[int, Tensor]) -> list[dict[str, Any]]:
    """The score maps of an FCN, coarsest first.

    They lie where the picture of this size was traced to. That is where the network places them (`placed_hw`), except over
    backbones whose padding depends on the size of the picture.
    """
    maps = []
    for stride in model.strides:
        placed_hw = model.backbone.geometry_hw[stride]
        place = place_of(features[stride])
        geometry_hw = placed_hw if place is None else place.geometry_hw
        scored = map_facts(f"score {stride}", list(features[stride].shape[2:]), geometry_hw)
        maps.append({**scored, "placed_hw": [number(geometry.offset) for geometry in placed_hw]})
    return maps


def fcn_placement(model: FCN) -> str:
    """ "exact" or "half-pixel", whichever the last upsampling follows; "exact" where both are the same."""
    rows = model.backbone.geometry_hw[model.stride][0]
    return "exact" if model.placements[model.stride][0].shift == float(rows.offset) else "half-pixel"


def score_maps(steps: list[TracedStep], num_classes: int | None) -> list[dict[str, Any]]:
    """The outputs of the 1x1 convolutions to `num_classes` channels; without any, the coarsest map that sees most."""
    scored = [
        step
        for step in steps
        if step.kind == "conv2d" and step.channels == num_classes and step.window_hw is not None
        if all(window.kernel == 1 for window in step.window_hw)
    ]
    steps = sorted(steps, key=lambda step: (step.place.rows.stride, step.place.rows.receptive_field))
    return [
        map_facts(step.name or "last map", list(step.size_hw), step.place.geometry_hw)
        for step in scored or steps[-1:]
    ]


def map_facts(name: str, cells_hw: list[int], geometry_hw: tuple[Geometry, Geometry]) -> dict[str, Any]:
    """A score map's place, and what half-pixel drawing, which puts cell 0 at (stride - 1) / 2, would get wrong."""
    half_hw = [(geometry.stride - 1) / 2 for geometry in geometry_hw]
    return {
        "name": name,
        "cells_hw": cells_hw,
        **geometry_numbers(geometry_hw),
        "half_pixel_hw": [number(half) for half in half_hw],
        "displacement_hw": [
            number(half - geometry.offset) for half, geometry in zip(half_hw, geometry_hw, strict=True)
        ],
    }
