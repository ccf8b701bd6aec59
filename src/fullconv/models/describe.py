"""What a model is, in numbers."""

from typing import Any

from fullconv.models.build import build_model
from fullconv.models.fcn import FCN


def describe_model(name: str, backbone: str, num_classes: int) -> dict[str, Any]:
    """Name, parameters, stride, receptive field, and the same for each feature map that is scored.

    Receptive fields are along the rows, in pixels, as far as layers with windows go; global attention sees everything.
    """
    model = build_model(name, backbone=backbone, num_classes=num_classes)
    assert isinstance(model, FCN)
    features = [
        {
            "stride": stride,
            "channels": model.backbone.channels[stride],
            "offset": float(model.backbone.geometry_hw[stride][0].offset),
            "receptive_field": int(model.backbone.geometry_hw[stride][0].receptive_field),
        }
        for stride in model.strides
    ]
    return {
        "name": name,
        "backbone": backbone,
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "stride": model.stride,
        "receptive_field": max(feature["receptive_field"] for feature in features),
        "features": features,
    }
