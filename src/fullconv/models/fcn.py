"""Fully convolutional networks: FCN-32s, FCN-16s, FCN-8s and FCN-4s over any backbone, as one class.

A backbone gives feature maps at strides 32, 16, 8, 4. On each, a 1x1 convolution scores the classes. The coarsest scores
are upsampled by 2 and the next finer ones added, down to the network's stride; then one more upsampling gives a score
per pixel. Each map is placed where its own arithmetic says it looks, so sums are in register and nothing is stretched.

    FCN-32s   score32 ---------------------------------------------- x32 -> pixels
    FCN-16s   score32 - x2 -> + score16 ---------------------------- x16 -> pixels
    FCN-8s    score32 - x2 -> + score16 - x2 -> + score8 ----------- x8  -> pixels
    FCN-4s    score32 - x2 -> + score16 - x2 -> + score8 - x2 -> + score4 - x4 -> pixels

Source: Long, Shelhamer & Darrell, "Fully Convolutional Networks for Semantic Segmentation", CVPR 2015, section 4.
"""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from fullconv.models.backbones import Backbone
from fullconv.ops.bilinear import LearnedUpsampling, Placement, upsample
from fullconv.ops.geometry import PIXELS


class FcnOptions(BaseModel):
    """What there is to choose about an FCN over a given backbone at a given stride.

    Attributes:
        upsampling: "fixed" bilinear, or "learned" transposed convolutions that start from `init`.
        init: where learned upsampling starts: "bilinear", or "xavier".
        skip_init: where the score layers of the skips start: "xavier", or "zero" as in the paper.
        placement: "exact" puts scores where the arithmetic says; "half-pixel" at the centres of their cells, as
            `interpolate(align_corners=False)` and other libraries do, up to 15.5 pixels off at stride 32.
        border: what learned upsampling does beyond the outermost scores: "exact" goes on with them, "fade" takes zeros, as
            a plain transposed convolution does.
        score_relu: a ReLU after each score layer, as one of the textbooks has it. It cuts off every score below zero, so a
            class can only be seen, never ruled out, and where all scores are cut nothing flows back: off by default.
        hidden_channels: above 0, a 3x3 convolution to so many channels, batch normalisation and a ReLU stand before each
            1x1 score layer, as in torchvision's FCNHead: skips then see edges, not only single cells.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    upsampling: Literal["fixed", "learned"] = "fixed"
    init: Literal["bilinear", "xavier"] = "bilinear"
    skip_init: Literal["xavier", "zero"] = "xavier"
    placement: Literal["exact", "half-pixel"] = "exact"
    border: Literal["exact", "fade"] = "exact"
    score_relu: bool = False
    hidden_channels: int = Field(default=0, ge=0, le=4096)

    @property
    def fcn_options(self) -> "FcnOptions":
        """These alone, of what may list more."""
        return FcnOptions(**{name: getattr(self, name) for name in FcnOptions.model_fields})


class FCN(nn.Module):
    """A fully convolutional network of a given stride.

    Args:
        backbone: gives features at strides 32 (or its coarsest), ... down to `stride`.
        num_classes: K.
        stride: 32, 16, 8 or 4: the finest feature map that is scored.
        options: the rest.

    The textbook's network (d2l, section "Fully convolutional networks") is stride 32 with learned upsampling from a bilinear
    start, half-pixel placement and a fading border: a 64x64 transposed convolution of stride 32 and padding 16.
    """

    def __init__(
        self, backbone: Backbone, num_classes: int, stride: int, options: FcnOptions | None = None
    ) -> None:
        options = options or FcnOptions()
        super().__init__()
        self.backbone = backbone
        self.num_classes = num_classes
        self.stride = stride
        self.score_relu = options.score_relu
        self.hidden_channels = options.hidden_channels
        self.strides = sorted((s for s in backbone.strides if s >= stride), reverse=True)
        inits = {s: options.skip_init if s < self.strides[0] else "xavier" for s in self.strides}
        self.score = nn.ModuleDict(
            {
                str(s): score_head(backbone.channels[s], options.hidden_channels, num_classes, inits[s])
                for s in self.strides
            }
        )
        steps = [*zip(self.strides, self.strides[1:], strict=False), (stride, 1)]
        self.placements = {coarse: self.place(coarse, fine, options.placement) for coarse, fine in steps}
        self.upscore = nn.ModuleDict(
            {
                str(s): LearnedUpsampling(num_classes, self.placements[s], options.init, options.border)
                for s, _ in steps
            }
            if options.upsampling == "learned"
            else {}
        )

    def place(self, coarse: int, fine: int, placement: str) -> tuple[Placement, Placement]:
        """Where the score cells of stride `coarse` lie on the grid of stride `fine` (1: on the pixels)."""
        if placement == "half-pixel":
            return Placement.half_pixel(coarse / fine), Placement.half_pixel(coarse / fine)
        to_rows, to_columns = self.backbone.geometry_hw[fine] if fine > 1 else (PIXELS, PIXELS)
        rows, columns = self.backbone.geometry_hw[coarse]
        return Placement.between(rows, to_rows), Placement.between(columns, to_columns)

    @property
    def in_channels(self) -> int:
        """C: what the first convolution takes; a recorded backbone has its weights, but no module."""
        return next(weights.shape[1] for weights in self.parameters() if weights.dim() == 4)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures of any size to (N, K, H, W) logits."""
        return self.upsampled(self.scores(pictures), self.stride, pictures.shape[2:])

    def scores(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) to the fused scores (N, K, about H/stride, about W/stride), before the last upsampling."""
        return self.fused(self.score_maps(at_least(pictures, self.backbone.smallest)))

    def score_maps(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, H, W), at least `backbone.smallest` a side, to the scores of each stride, the coarsest first."""
        return self.score_maps_of(self.backbone(pictures))

    def score_maps_of(self, features: dict[int, Tensor]) -> list[Tensor]:
        """The backbone's features to the scores of each stride, the coarsest first."""
        return [self.scored(features, stride) for stride in self.strides]

    def fused(self, score_maps: Sequence[Tensor]) -> Tensor:
        """The sum of the score maps on the finest one's grid."""
        fused, *skips = score_maps
        for coarse, skip in zip(self.strides, skips, strict=False):
            fused = self.upsampled(fused, coarse, skip.shape[2:]) + skip  # (N, K, H/fine, W/fine)
        return fused

    def scored(self, features: dict[int, Tensor], stride: int) -> Tensor:
        head = self.score[str(stride)]
        # Sums and upsampling keep the parameters' precision when the convolutions run in bfloat16.
        scores = head(features[stride]).to(next(head.parameters()).dtype)
        return scores.relu() if self.score_relu else scores

    def upsampled(self, scores: Tensor, stride: int, size_hw: tuple[int, ...]) -> Tensor:
        """Scores of stride `stride` on the next finer grid, or on the pixels, `size_hw` cells of it."""
        if self.upscore:
            return self.upscore[str(stride)](scores, (size_hw[0], size_hw[1]))
        return upsample(scores, self.placements[stride], (size_hw[0], size_hw[1]))


def score_head(channels: int, hidden: int, num_classes: int, init: str) -> nn.Module:
    """What scores the classes of one feature map, of `hidden` channels in between where there are such."""
    if hidden == 0:
        return score_layer(channels, num_classes, init)
    return nn.Sequential(
        nn.Conv2d(channels, hidden, kernel_size=3, padding=1, bias=False),
        nn.BatchNorm2d(hidden),
        nn.ReLU(),
        score_layer(hidden, num_classes, init),
    )


def score_layer(channels: int, num_classes: int, init: str) -> nn.Conv2d:
    """The 1x1 convolution that scores classes; biases start at zero, weights by Xavier's rule or at zero too."""
    layer = nn.Conv2d(channels, num_classes, kernel_size=1)
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    if init == "zero":
        nn.init.zeros_(layer.weight)
    else:
        nn.init.xavier_uniform_(layer.weight)
    return layer


def at_least(pictures: Tensor, smallest: int) -> Tensor:
    """Pictures padded with zeros below and right to `smallest` pixels a side."""
    if smallest == 1:
        return pictures
    below, right = (torch.sym_max(0, smallest - side) for side in pictures.shape[2:])
    if torch.compiler.is_exporting() or below or right:  # an exported graph is for every size
        return F.pad(pictures, (0, right, 0, below))  # pyright: ignore[reportArgumentType]
    return pictures
