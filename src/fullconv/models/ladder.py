"""The ladder: five learned transposed convolutions climb from VGG's last pooling back to the pixels.

Each rung doubles the size with a 3x3 transposed convolution, adds the pooling of that size where there is a skip, and
normalises, in this order: bn(relu(deconv(x)) + skip). A 1x1 convolution scores the classes at full size.

    pool5 - rung -> + pool4 - rung -> + pool3 - rung -> + pool2 - rung -> + pool1 - rung -> score
    1/32            1/16              1/8               1/4               1/2       1/1

Sizes: the original's poolings drop an odd last row, and a doubled map then misses the skip: 500 pixels give 250, 125, 62,
31, 15 rows, and 2 * 15 is not 31. Here poolings take the last row alone instead (n = ceil(m / 2)), so m is 2n or 2n - 1, and
cutting the doubled map to m rows always fits. At multiples of 32 nothing differs from the original.

Placement: 2x2 pooling puts cell i at 2i + 0.5 of the finer map, the 3x3 transposed convolution puts it back at 2i. Each rung so
displaces what it hands up by half a cell of its output: at the pixels pool5 is off by 0.5 * (1 + 2 + 4 + 8 + 16) = 15.5
pixels, pool4 by 7.5, pool3 by 3.5, pool2 by 1.5, pool1 by 0.5, all to the top left. The original's fault, kept as it is:
the rungs' kernels can learn around part of it. By arithmetic the receptive field is 274 pixels (VGG16), centred 15.5 below and
right of the answer; a pixel whose index is a multiple of 32 hears one cell of pool5, 212 pixels, every other two cells, 244.

Source: "FCN全卷积网络论文阅读及代码实现" (2022), class FCNs; github.com/FroyoZzz/CV-Papers-Codes, FCN/model/fcn.py.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.models.backbones import pretrained_vgg16, read_state, weights_file

STRIDES = (16, 8, 4, 2)
"""Of pool4 to pool1, which the first four rungs meet."""


class VggPools(nn.Module):
    """The convolutions of a VGG network, and what comes out of each of its five poolings.

    Args:
        features: `torchvision.models.vgg16().features` or the like; its poolings are switched to take odd last rows.

    Attributes:
        channels: of the five poolings' outputs, finest first.

    Raises:
        InputError: not five poolings.
    """

    def __init__(self, features: nn.Sequential) -> None:
        super().__init__()
        self.features = features
        self.channels: list[int] = []
        channels = 0
        for layer in features:
            if isinstance(layer, nn.Conv2d):
                channels = layer.out_channels
            elif isinstance(layer, nn.MaxPool2d):
                layer.ceil_mode = True
                self.channels.append(channels)
        if len(self.channels) != len(STRIDES) + 1:
            raise InputError(f"the ladder got {len(self.channels)} poolings; expected the 5 of a VGG network")

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """(N, 3, H, W) to five maps (N, C, ceil(H / 2^i), ceil(W / 2^i)), i = 1..5."""
        pools = []
        x = pictures
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                pools.append(x)
        return pools


class Rung(nn.Module):
    """Twice the size, plus the skip, normalised: bn(relu(deconv(x)) + skip)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.deconv = nn.ConvTranspose2d(
            in_channels, out_channels, kernel_size=3, stride=2, padding=1, output_padding=1
        )
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor, size_hw: tuple[int, int], skip: Tensor | None) -> Tensor:
        """(N, C, h, w) to (N, C', H, W), H = 2h or 2h - 1 and W alike, as asked for."""
        # The last row cut off leaves what output_padding=0 would give. `narrow` says that there are so many rows, which a
        # slice would leave open in an exported graph.
        x = F.relu(self.deconv(x)).narrow(2, 0, size_hw[0]).narrow(3, 0, size_hw[1])
        return self.norm(x if skip is None else x + skip)


class Ladder(nn.Module):
    """VGG16 with a five-rung decoder; with fewer skips, its sisters.

    Args:
        num_classes: K.
        skips: strides of the poolings that are added: (16, 8, 4, 2), all four, is the document's network, (16, 8) its 8s
            sister, (16,) its 16s sister, () its 32s sister.
        features: another VGG's convolutions; without, VGG16's with the start weights that torchvision gives them.

    The rungs' widths are those of the poolings they meet, and half of pool1's at the top: 512, 256, 128, 64, 32 for VGG16.

    Raises:
        InputError: a skip of another stride; features without five poolings.

    >>> ladder = Ladder(num_classes=21).eval()
    >>> ladder(torch.zeros(1, 3, 33, 47)).shape
    torch.Size([1, 21, 33, 47])
    """

    def __init__(
        self, num_classes: int, skips: Sequence[int] = STRIDES, features: nn.Sequential | None = None
    ) -> None:
        super().__init__()
        if not set(skips) <= set(STRIDES):
            raise InputError(f"the ladder got skips of strides {tuple(skips)}; expected some of {STRIDES}")
        self.backbone = VggPools(vgg16_features() if features is None else features)
        self.num_classes = num_classes
        self.skips = tuple(skips)
        self.stride = min(skips, default=32)
        finest, *_, coarsest = self.backbone.channels
        widths = [*self.backbone.channels[-2::-1], finest // 2]
        self.rungs = nn.ModuleList(
            Rung(below, above) for below, above in zip([coarsest, *widths], widths, strict=False)
        )
        self.score = nn.Conv2d(finest // 2, num_classes, kernel_size=1)

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) normalised pictures of any size to (N, K, H, W) logits.

        Raises:
            InputError: in training, a single picture so small that batch normalisation sees one value per channel.
        """
        pools = self.backbone(pictures)
        if self.training and pools[3][:, 0].numel() == 1:
            raise InputError(
                f"the ladder got one picture of {pictures.shape[2]} x {pictures.shape[3]} pixels in training; batch "
                "normalisation needs a batch of two, or more than 16 pixels along one side"
            )
        dtype = self.score.weight.dtype
        if pictures.device.type == "cpu":
            # bfloat16 transposed convolutions take 2 to 30 times as long as float32 ones on CPUs.
            pools = [pool.to(dtype) for pool in pools]
            precision = torch.autocast("cpu", enabled=False)
        else:
            precision = nullcontext()
        with precision:
            return self.climb(pools, (pictures.shape[2], pictures.shape[3])).to(dtype)

    def climb(self, pools: list[Tensor], size_hw: tuple[int, int]) -> Tensor:
        """The five poolings, finest first, to logits of the picture's size."""
        x = pools[-1]
        for rung, stride, skip in zip(self.rungs, STRIDES, pools[-2::-1], strict=False):
            x = rung(x, (skip.shape[2], skip.shape[3]), skip if stride in self.skips else None)
        return self.score(self.rungs[-1](x, size_hw, None))


def vgg16_features() -> nn.Sequential:
    """VGG16's convolutions and poolings, layers and start weights as torchvision's."""
    from torchvision.models import vgg

    # Taken alone, because the classifier's 124 million weights are neither wanted nor cheap to draw.
    features = vgg.make_layers(vgg.cfgs["D"])
    for layer in features:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return features


def load_vgg16(ladder: Ladder, weights: str | Path) -> Ladder:
    """The ladder with weights for its VGG16; the decoder keeps its own.

    Args:
        ladder: changed in place.
        weights: "none" changes nothing; "pretrained" takes torchvision's, downloaded once; a file with torchvision's VGG16
            state, with or without the classifier; or an address of one (see `build_backbone`).

    Raises:
        ConfigError: no such file.
        InputError: weights that do not fit.
        RunError: pretrained weights that cannot be had.
    """
    file = weights_file(weights)
    if file is not None:
        load_features(ladder.backbone, read_state(file), str(file))
    elif str(weights) == "pretrained":
        load_features(ladder.backbone, pretrained_vgg16(), "torchvision's VGG16")
    return ladder


def load_features(pools: VggPools, state: dict[str, Tensor], source: str) -> None:
    """Loads the convolutions of a VGG state by name, all or none; a classifier in it is left out."""
    own = pools.state_dict()
    convolutions = {key: tensor for key, tensor in state.items() if key.startswith("features.")}
    differing = [
        key
        for key in {**own, **convolutions}
        if key not in own or key not in state or own[key].shape != state[key].shape
    ]
    if differing:
        raise InputError(
            f"{source} does not fit the ladder's VGG16: {len(differing)} tensors differ, first {differing[0]!r}; "
            "expected torchvision's vgg16"
        )
    pools.load_state_dict(convolutions)
