"""The FCNs of torchvision and MMSegmentation: a ResNet held at stride 8 by dilation, a head of 3x3 convolutions, `interpolate`.

    torchvision_fcn   ResNet ---------------- 3x3 ------------------------------- score - interpolate
    mmseg_fcn         ResNet or ResNet-C ---- 3x3 - 3x3 - beside the features: 3x3 - score - interpolate

ResNet-C begins with three 3x3 convolutions where ResNet has one 7x7. Layers have the names that the libraries give them, so
their weights go in, and these go back, as they are; auxiliary heads, which serve training alone, are left out.

Scores are placed as `interpolate(align_corners=False)` places them: stretched over the picture, each in the middle of its
share of it. By arithmetic cell i of a ResNet at stride 8 sees pixel 8i, so answers are drawn up to 3.5 pixels off; the
weights were trained so.

Source: torchvision/models/segmentation/fcn.py in github.com/pytorch/vision; configs/_base_/models/fcn_r50-d8.py,
mmseg/models/backbones/resnet.py and mmseg/models/decode_heads/fcn_head.py in github.com/open-mmlab/mmsegmentation.
"""

from collections import OrderedDict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import RunError
from fullconv.models.backbones import (
    TORCHVISION,
    load_classifier,
    read_state,
    told_if_unavailable,
    weights_file,
)

TORCHVISION_BACKBONES = ("torchvision/resnet50", "torchvision/resnet101")
MMSEG_BACKBONES = ("resnet50c", "resnet101c", *TORCHVISION_BACKBONES)
"""Those that end in c are ResNet-Cs, by timm's names."""

FEATURES = 2048
HIDDEN = 512


class DilatedFCN(nn.Module):
    """A backbone of stride 8, a head, and bilinear interpolation to the picture's size.

    Args:
        backbone: (N, 3, H, W) to (N, C, H/8, W/8), rounded up.
        head_name: what the library calls the head.
        head: (N, C, h, w) to (N, K, h, w).
        num_classes: K.
    """

    stride = 8

    def __init__(self, backbone: nn.Module, head_name: str, head: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.head_name = head_name
        self.backbone = backbone
        self.add_module(head_name, head)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures of any size to (N, K, H, W) logits."""
        head = self.get_submodule(self.head_name)
        scores = head(self.backbone(pictures)).to(next(head.parameters()).dtype)
        # Autocast would round scores to bfloat16.
        with torch.autocast(scores.device.type, enabled=False):
            return F.interpolate(scores, size=pictures.shape[2:], mode="bilinear", align_corners=False)


class MmsegHead(nn.Module):
    """MMSegmentation's FCNHead with two convolutions, behind which the features come again."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.convs = nn.Sequential(conv_module(FEATURES), conv_module(HIDDEN))
        self.conv_cat = conv_module(FEATURES + HIDDEN)
        self.dropout = nn.Dropout2d(0.1)
        self.conv_seg = nn.Conv2d(HIDDEN, num_classes, kernel_size=1)
        nn.init.normal_(self.conv_seg.weight, std=0.01)
        nn.init.zeros_(self.conv_seg.bias)  # pyright: ignore[reportArgumentType]

    def forward(self, features: Tensor) -> Tensor:
        """(N, 2048, h, w) to (N, K, h, w)."""
        both = torch.cat([features, self.convs(features)], dim=1)
        return self.conv_seg(self.dropout(self.conv_cat(both)))


def conv_module(channels: int) -> nn.Sequential:
    """A 3x3 convolution to the hidden channels, batch normalisation, a ReLU."""
    conv = nn.Conv2d(channels, HIDDEN, kernel_size=3, padding=1, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(HIDDEN), activate=nn.ReLU()))


def torchvision_fcn(num_classes: int, backbone: str, weights: str | Path) -> DilatedFCN:
    """torchvision's `fcn_resnet50` or `fcn_resnet101`, without the auxiliary classifier.

    Args:
        num_classes: K.
        backbone: one of `TORCHVISION_BACKBONES`.
        weights: of the backbone; see `build_backbone`.

    Raises:
        As `build_backbone`.
    """
    from torchvision.models.segmentation.fcn import FCNHead

    return DilatedFCN(
        dilated_resnet(backbone, weights), "classifier", FCNHead(FEATURES, num_classes), num_classes
    )


def mmseg_fcn(num_classes: int, backbone: str, weights: str | Path) -> DilatedFCN:
    """MMSegmentation's `fcn_r50-d8` or `fcn_r101-d8`, without the auxiliary head.

    Args:
        num_classes: K.
        backbone: one of `MMSEG_BACKBONES`.
        weights: of the backbone; see `build_backbone`.

    Raises:
        As `build_backbone`.
    """
    return DilatedFCN(dilated_resnet(backbone, weights), "decode_head", MmsegHead(num_classes), num_classes)


def dilated_resnet(name: str, weights: str | Path) -> nn.Sequential:
    """A ResNet's layers up to the last stage, of which the last two dilate where they would stride."""
    from torchvision.models import get_model

    is_c, pretrained = name.endswith("c"), str(weights) == "pretrained"
    file = weights_file(weights)
    if is_c and (pretrained or file is not None):
        raise RunError(
            f"no library publishes weights of {name} as a classifier that fits here; give --backbone-weights none, or "
            "start from an imported model with --init"
        )
    plain = name.removeprefix(TORCHVISION).removesuffix("c")
    with told_if_unavailable(name, weights):
        resnet = get_model(
            plain,
            weights="DEFAULT" if pretrained else None,
            replace_stride_with_dilation=[False, True, True],
        )
    if file is not None:
        load_classifier(resnet, read_state(file), file, name)
    layers = OrderedDict(
        (name, layer) for name, layer in resnet.named_children() if name not in ("avgpool", "fc")
    )
    if is_c:
        behind = [(name, layer) for name, layer in layers.items() if name not in ("conv1", "bn1", "relu")]
        layers = OrderedDict([("stem", deep_stem()), *behind])
    return nn.Sequential(layers)


def deep_stem() -> nn.Sequential:
    """ResNet-C's three 3x3 convolutions, the first with stride 2."""
    layers: list[nn.Module] = []
    for channels, out_channels, stride in ((3, 32, 2), (32, 32, 1), (32, 64, 1)):
        convolution = nn.Conv2d(channels, out_channels, kernel_size=3, stride=stride, padding=1, bias=False)
        nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
        layers += [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
