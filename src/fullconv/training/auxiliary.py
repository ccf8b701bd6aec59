"""A second score head in the middle of a backbone, for training alone: it shortens the way of the gradient."""

from torch import Tensor, nn

from fullconv.errors import ConfigError
from fullconv.models.fcn import FCN, at_least, score_layer
from fullconv.ops.bilinear import upsample


class WithAuxiliary(nn.Module):
    """An FCN and an auxiliary head on the features that its first skip scores: a 3x3 convolution to a quarter of the channels,
    batch normalisation, a ReLU, dropout of a tenth, and a 1x1 score layer.

    Args:
        network: an FCN with a skip, to train.
        num_classes: K.

    Raises:
        ConfigError: it is no FCN, or has no skip.

    Source: Zhao et al. 2017, "Pyramid Scene Parsing Network", section 3.3; the head is torchvision's `FCNHead`.
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        if not isinstance(network, FCN) or len(network.strides) < 2:
            raise ConfigError(
                "auxiliary is for fcn16s, fcn8s and fcn4s, which have features between; leave it away"
            )
        self.network = network
        self.stride = network.strides[1]
        channels = network.backbone.channels[self.stride]
        hidden = max(1, channels // 4)
        self.head = nn.Sequential(
            nn.Conv2d(channels, hidden, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(hidden),
            nn.ReLU(),
            nn.Dropout(0.1),
            score_layer(hidden, num_classes, "xavier"),
        )
        self.placement_hw = network.place(self.stride, 1, "exact")

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(N, C, H, W) normalised pictures to two times (N, K, H, W) logits: the network's, and the auxiliary ones."""
        size_hw = (pictures.shape[2], pictures.shape[3])
        features = self.network.backbone(at_least(pictures, self.network.backbone.smallest))
        fused = self.network.fused(self.network.score_maps_of(features))
        logits = self.network.upsampled(fused, self.network.stride, size_hw)
        scores = self.head(features[self.stride]).to(logits.dtype)  # (N, K, about H/stride, about W/stride)
        return logits, upsample(scores, self.placement_hw, size_hw)
