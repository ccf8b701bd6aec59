"""What a model is, in numbers."""

from typing import Any

import torch
from torch import nn

from fullconv.models.build import MODELS, build_model
from fullconv.ops.tracing import trace_steps

TRACED_HW = (128, 128)


def describe_model(name: str, backbone: str | None, num_classes: int) -> dict[str, Any]:
    """Name, backbone, stride, and what `describe_network` says of an architecture."""
    if name in MODELS and not MODELS[name].any_backbone:
        # Only the shapes matter; to draw VGG16's 134 million weights takes seconds.
        with torch.device("meta"):
            model = build_model(name, backbone=backbone, num_classes=num_classes).to_empty(device="cpu")
    else:
        model = build_model(name, backbone=backbone, num_classes=num_classes)
    about = {"name": name, "backbone": backbone or MODELS[name].backbone, "stride": MODELS[name].stride}
    return about | describe_network(model, num_classes)


def describe_network(model: nn.Module, num_classes: int) -> dict[str, Any]:
    """Parameters, receptive field, and of each score map name, stride, offset and receptive field, coarsest first.

    Score maps are what 1x1 convolutions to `num_classes` channels give. Receptive fields are along the rows, in pixels, as
    far as layers with windows go; global attention sees everything.
    """
    steps = trace_steps(model, TRACED_HW)[1]
    scores = [
        {
            "name": step.name,
            "stride": float(step.place.rows.stride),
            "offset": float(step.place.rows.offset),
            "receptive_field": int(step.place.rows.receptive_field),
        }
        for step in steps
        if step.kind == "conv2d" and step.channels == num_classes and step.window_hw is not None
        if all(window.kernel == 1 for window in step.window_hw)
    ]
    return {
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "receptive_field": max((score["receptive_field"] for score in scores), default=None),
        "scores": scores,
    }
