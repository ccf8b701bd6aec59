"""Networks so small that each can be exported in every format within seconds."""

from pathlib import Path

import torch
from torch import Tensor, nn

from fullconv.bundle import Architecture, Bundle, Manifest, class_entries
from fullconv.labels import Head, LabelSet
from fullconv.models.backbones import Backbone
from fullconv.models.fcn import FCN, FcnOptions


class Body(nn.Module):
    """Features at strides 4 and 8, at whose odd sizes poolings round up; a residual sum as in ResNets."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2, ceil_mode=True)
        self.deeper = nn.Conv2d(8, 8, 3, stride=2, padding=1)
        self.shortcut = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        fine = self.pool(self.norm(self.stem(pictures)).relu())
        return [fine, self.deeper(fine).relu() + self.shortcut(fine)]


def small_fcn(num_classes: int = 3, channels: int = 3, options: FcnOptions | None = None) -> FCN:
    torch.manual_seed(0)
    body = Body(3)
    model = FCN(Backbone(body, (4, 8)), num_classes, 4, options)
    if channels != 3:
        body.stem = nn.Conv2d(channels, 8, 3, stride=2, padding=1)
    nn.init.uniform_(body.norm.running_var, 0.5, 1.5)
    for parameter in model.upscore.parameters():
        parameter.data += 0.01 * torch.randn_like(parameter)
    return model.eval()


class Point(nn.Module):
    """Logits of each pixel by itself: quickly exported."""

    stride = 1

    def __init__(self, num_classes: int, channels: int = 3) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.num_classes = num_classes
        self.score = nn.Conv2d(channels, num_classes, 1)

    def forward(self, pictures: Tensor) -> Tensor:
        return self.score(pictures)


def bundle_of(model: nn.Module, num_classes: int, channels: int = 3, heads: tuple[Head, ...] = ()) -> Bundle:
    first = num_classes - sum(head.labels.num_classes for head in heads)
    manifest = Manifest(
        architecture=Architecture(
            model="fcn4s", backbone="resnet18", num_classes=num_classes, in_channels=channels
        ),
        classes=class_entries(LabelSet.from_names([f"c{index}" for index in range(first)])),
        heads=[{"name": head.name, "classes": class_entries(head.labels)} for head in heads],  # pyright: ignore
        mean=(0.5,) * channels,
        std=(0.25,) * channels,
        weights_sha256="0" * 64,
    )
    return Bundle(model, manifest, Path("nowhere"))


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))
