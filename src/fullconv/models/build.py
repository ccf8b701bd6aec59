"""Models by name."""

from pathlib import Path
from typing import Literal

from torch import nn

from fullconv.errors import InputError, UnknownNameError
from fullconv.models.backbones import build_backbone
from fullconv.models.fcn import FCN

STRIDE_OF = {"fcn32s": 32, "fcn16s": 16, "fcn8s": 8, "fcn4s": 4}


def build_model(
    name: str,
    *,
    num_classes: int,
    backbone: str = "resnet18",
    backbone_weights: str | Path = "none",
    upsampling: Literal["fixed", "learned"] = "fixed",
    init: Literal["bilinear", "xavier"] = "bilinear",
    skip_init: Literal["xavier", "zero"] = "xavier",
    placement: Literal["exact", "half-pixel"] = "exact",
) -> nn.Module:
    """A model by name: (N, 3, H, W) normalised pictures of any size to logits (N, K, H, W).

    Args:
        name: "fcn32s", "fcn16s", "fcn8s" or "fcn4s".
        num_classes: K, at least 1.
        backbone: a timm name, or "torchvision/NAME".
        backbone_weights: "none", "pretrained", a file, or an address with "#sha256=HEX" (see `build_backbone`).
        upsampling, init, skip_init, placement: see `FCN`.

    Raises:
        UnknownNameError: no such model or backbone; the nearest name is suggested.
        InputError: fewer than one class; a backbone without the strides; weights that do not fit.

    >>> model = build_model("fcn8s", backbone="resnet18", num_classes=21)
    >>> import torch
    >>> model.eval()(torch.zeros(1, 3, 97, 131)).shape
    torch.Size([1, 21, 97, 131])
    """
    if name not in STRIDE_OF:
        raise UnknownNameError("model", name, STRIDE_OF)
    if num_classes < 1:
        raise InputError(f"num_classes is {num_classes}; expected at least 1")
    stride = STRIDE_OF[name]
    return FCN(
        build_backbone(backbone, stride, backbone_weights),
        num_classes,
        stride,
        upsampling=upsampling,
        init=init,
        skip_init=skip_init,
        placement=placement,
    )
