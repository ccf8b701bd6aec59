"""Models by name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import nn

from fullconv.errors import InputError, UnknownNameError
from fullconv.models.backbones import build_backbone
from fullconv.models.caffe import CAFFE_PREPROCESSING, CaffeAlexNet, CaffeFCN
from fullconv.models.caffe_weights import load_caffe_weights
from fullconv.models.dilated import MMSEG_BACKBONES, TORCHVISION_BACKBONES, mmseg_fcn, torchvision_fcn
from fullconv.models.fcn import FCN, FcnOptions
from fullconv.models.fusion import LateFusion, replace_input, widen_input
from fullconv.models.ladder import Ladder, load_vgg16
from fullconv.models.patchwise import Patchwise
from fullconv.models.recorded import recorded_backbone
from fullconv.preprocessing import EXTRA_MEAN, Preprocessing

Fusion = Literal["early", "late"]


@dataclass(frozen=True)
class Kind:
    """What a model's name says.

    Attributes:
        stride: of the finest feature map that is scored or joined.
        backbone: the default one.
        any_backbone: whether it can be built over any other.
        backbones: else those that it can be built over, besides its default.
    """

    stride: int
    backbone: str
    any_backbone: bool = False
    backbones: tuple[str, ...] = ()


MODELS = {
    "fcn32s": Kind(32, "resnet18", any_backbone=True),
    "fcn16s": Kind(16, "resnet18", any_backbone=True),
    "fcn8s": Kind(8, "resnet18", any_backbone=True),
    "fcn4s": Kind(4, "resnet18", any_backbone=True),
    "caffe_fcn32s": Kind(32, "vgg16"),
    "caffe_fcn16s": Kind(16, "vgg16"),
    "caffe_fcn8s": Kind(8, "vgg16"),
    "caffe_fcn8s_atonce": Kind(8, "vgg16"),
    "caffe_fcn_alexnet": Kind(32, "alexnet"),
    "ladder32s": Kind(32, "vgg16"),
    "ladder16s": Kind(16, "vgg16"),
    "ladder8s": Kind(8, "vgg16"),
    "ladder": Kind(2, "vgg16"),
    "torchvision_fcn": Kind(8, "torchvision/resnet50", backbones=TORCHVISION_BACKBONES),
    "mmseg_fcn": Kind(8, "resnet50c", backbones=MMSEG_BACKBONES),
    "patchwise": Kind(1, "none"),
}

WITHOUT_PRETRAINED = {"caffe_fcn_alexnet", "patchwise"}
"""Models for whose backbone no library offers weights."""


def build_model(
    name: str,
    *,
    num_classes: int,
    backbone: str | None = None,
    backbone_weights: str | Path = "none",
    in_channels: int = 3,
    fusion: Fusion = "early",
    upsampling: Literal["fixed", "learned"] = "fixed",
    init: Literal["bilinear", "xavier"] = "bilinear",
    skip_init: Literal["xavier", "zero"] = "xavier",
    placement: Literal["exact", "half-pixel"] = "exact",
    border: Literal["exact", "fade"] = "exact",
    score_relu: bool = False,
    hidden_channels: int = 0,
) -> nn.Module:
    """A model by name: (N, C, H, W) normalised pictures of any size to logits (N, K, H, W).

    Args:
        name: a key of `MODELS`: "fcn32s", "fcn16s", "fcn8s", "fcn4s" over any backbone; the papers' own "caffe_fcn32s",
            "caffe_fcn16s", "caffe_fcn8s", "caffe_fcn8s_atonce", "caffe_fcn_alexnet"; the five-deconvolution "ladder",
            "ladder32s", "ladder16s", "ladder8s"; "torchvision_fcn" and "mmseg_fcn", what those libraries call FCN;
            "patchwise", the sliding classifier that they all replaced.
        num_classes: K, at least 1; with several heads the sum of their classes.
        backbone: a timm name, or "torchvision/NAME", for the first four; the others have their own, or a few.
        backbone_weights: "none", "pretrained", a file, or an address with "#sha256=HEX" (see `build_backbone`). The papers'
            networks take a .caffemodel too.
        in_channels: C, 3 for RGB; more for what comes behind RGB, such as depth.
        fusion: how further channels join: "early" in the first convolution, "late" as a network of their own whose
            logits are averaged (see `models.fusion`).
        upsampling, init, skip_init, placement, border, score_relu, hidden_channels: see `FcnOptions`; for the first four
            only.

    Raises:
        UnknownNameError: no such model or backbone; the nearest name is suggested.
        InputError: fewer than one class; a backbone without the strides; weights that do not fit; an option that the
            model does not have.

    >>> model = build_model("fcn8s", backbone="resnet18", num_classes=21)
    >>> import torch
    >>> model.eval()(torch.zeros(1, 3, 97, 131)).shape
    torch.Size([1, 21, 97, 131])
    """
    options = FcnOptions(
        upsampling=upsampling,
        init=init,
        skip_init=skip_init,
        placement=placement,
        border=border,
        score_relu=score_relu,
        hidden_channels=hidden_channels,
    )
    return build_with(name, num_classes, backbone, backbone_weights, in_channels, fusion, options)


def build_with(
    name: str,
    num_classes: int,
    backbone: str | None,
    backbone_weights: str | Path,
    in_channels: int,
    fusion: Fusion,
    options: FcnOptions,
) -> nn.Module:
    """`build_model`, its options in one."""
    check_arguments(name, num_classes, backbone, in_channels)
    network = build_network(name, num_classes, backbone, backbone_weights, options)
    if in_channels == 3:
        return network
    if fusion == "early":
        return widen_input(network, in_channels)
    extra = build_network(name, num_classes, backbone, backbone_weights, options)
    return LateFusion(network, replace_input(extra, in_channels - 3))


def build_for_prediction(
    name: str, num_classes: int, backbone: str | None, in_channels: int, options: FcnOptions
) -> nn.Module | None:
    """A network whose weights are still to be loaded, from a recording (see `models.recorded`); None where there is none.

    Raises:
        As `build_model`.
    """
    check_arguments(name, num_classes, backbone, in_channels)
    kind = MODELS[name]
    if not kind.any_backbone or in_channels != 3:
        return None
    return FCN(recorded_backbone(backbone or kind.backbone, kind.stride), num_classes, kind.stride, options)


def check_arguments(name: str, num_classes: int, backbone: str | None, in_channels: int) -> None:
    if name not in MODELS:
        raise UnknownNameError("model", name, MODELS)
    kind = MODELS[name]
    if num_classes < 1:
        raise InputError(f"num_classes is {num_classes}; expected at least 1")
    if in_channels < 3:
        raise InputError(f"in_channels is {in_channels}; expected 3 for RGB, or more")
    if kind.any_backbone or backbone in (None, kind.backbone, *kind.backbones):
        return
    own = (
        f"one of the backbones {', '.join(kind.backbones)}"
        if kind.backbones
        else f"its own backbone, {kind.backbone}"
    )
    raise InputError(f"model {name!r} comes with {own}; got {backbone!r}; leave it away, or choose fcn8s")


def build_network(
    name: str, num_classes: int, backbone: str | None, backbone_weights: str | Path, options: FcnOptions
) -> nn.Module:
    """A network for three channels."""
    kind = MODELS[name]
    if kind.any_backbone:
        features = build_backbone(backbone or kind.backbone, kind.stride, backbone_weights)
        return FCN(features, num_classes, kind.stride, options)
    if options != FcnOptions():
        raise InputError(
            f"model {name!r} is as its source describes it: upsampling, init, skip_init, placement, border, score_relu and "
            "hidden_channels are options of fcn32s to fcn4s; leave them away"
        )
    if name == "patchwise":
        if str(backbone_weights) != "none":
            raise InputError(f"model 'patchwise' has no backbone to load {backbone_weights} into; give none")
        return Patchwise(num_classes)
    if name == "torchvision_fcn":
        return torchvision_fcn(num_classes, backbone or kind.backbone, backbone_weights)
    if name == "mmseg_fcn":
        return mmseg_fcn(num_classes, backbone or kind.backbone, backbone_weights)
    if name.startswith("ladder"):
        skips = {2: (16, 8, 4, 2), 8: (16, 8), 16: (16,), 32: ()}[kind.stride]
        return load_vgg16(Ladder(num_classes, skips), backbone_weights)
    if name == "caffe_fcn_alexnet":
        return load_caffe_weights(CaffeAlexNet(num_classes), backbone_weights)
    fcn = CaffeFCN(num_classes, kind.stride, at_once=name.endswith("atonce"))
    return load_caffe_weights(fcn, backbone_weights)


def preprocessing_for(name: str, in_channels: int = 3) -> Preprocessing:
    """The normalisation that a model's weights expect: Caffe's for the papers' networks, else ImageNet's."""
    num_extra = in_channels - 3
    if not name.startswith("caffe"):
        return Preprocessing.with_extra(num_extra)
    # Further channels stay in 0..255 too, less the middle.
    mean, std = CAFFE_PREPROCESSING.mean, CAFFE_PREPROCESSING.std
    return Preprocessing(mean + (EXTRA_MEAN,) * num_extra, std + std[:1] * num_extra)
