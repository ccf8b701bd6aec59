"""The papers' own networks, layer names and all: FCN-32s, 16s, 8s and 8s at once over VGG16, FCN-32s over AlexNet.

    32s          fc7 - score_fr - upscore ------------------------------------------------------ crop 19
    16s          fc7 - score_fr - upscore2 - + score_pool4 - upscore16 ------------------------- crop 27
    8s           fc7 - score_fr - upscore2 - + score_pool4 - upscore_pool4 - + score_pool3 - upscore8 - crop 31
    8s at once   the same, with pool4 x 0.01 and pool3 x 0.0001 before they are scored
    AlexNet      fc7 - score_fr - upscore ------------------------------------------------------ crop 18

The first layer pads by 100 so that pictures of any size leave a cell for fc6, pooling rounds up, score layers start at
zero, upsampling is fixed bilinear, and every crop follows from the layers' arithmetic. As in Caffe, upsampled scores fade
where a kernel hangs over the last cell.

Give pictures as `CAFFE_PREPROCESSING` makes them: RGB in 0..255 minus a mean colour. The networks turn RGB into BGR
themselves, so the first layer's weights are those of Caffe and pytorch-fcn, number for number.

Source: voc-fcn*/net.py in github.com/shelhamer/fcn.berkeleyvision.org.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.ops.bilinear import bilinear_kernel
from fullconv.ops.geometry import PIXELS, Window, crop_offset
from fullconv.ops.places import pair
from fullconv.preprocessing import Preprocessing

CAFFE_MEAN = (122.67892, 116.66877, 104.00699)
"""The mean colour, R, G, B in 0..255."""

CAFFE_PREPROCESSING = Preprocessing(
    mean=(CAFFE_MEAN[0] / 255, CAFFE_MEAN[1] / 255, CAFFE_MEAN[2] / 255), std=(1 / 255, 1 / 255, 1 / 255)
)

VGG16 = {
    "conv1_1": 64, "conv1_2": 64, "pool1": 64,
    "conv2_1": 128, "conv2_2": 128, "pool2": 128,
    "conv3_1": 256, "conv3_2": 256, "conv3_3": 256, "pool3": 256,
    "conv4_1": 512, "conv4_2": 512, "conv4_3": 512, "pool4": 512,
    "conv5_1": 512, "conv5_2": 512, "conv5_3": 512, "pool5": 512,
    "fc6": 4096, "fc7": 4096,
}  # fmt: skip
"""Layer -> channels that it puts out."""

UPSCORES = {
    32: {"upscore": 32},
    16: {"upscore2": 2, "upscore16": 16},
    8: {"upscore2": 2, "upscore_pool4": 2, "upscore8": 8},
}
"""Stride of the network -> its upsampling layers, first to last, each with its factor."""

AT_ONCE_SCALES = {"pool4": 0.01, "pool3": 0.0001}
"""What brings the skips to the size of the scores when all layers are trained at once."""


class CaffeFCN(nn.Module):
    """FCN-32s, FCN-16s or FCN-8s over VGG16.

    Args:
        num_classes: K.
        stride: 32, 16 or 8.
        at_once: whether pool4 and pool3 are scaled by `AT_ONCE_SCALES`, for training without stages.
        in_channels: 3 for RGB; what comes behind is taken as it is (4: RGB and depth).

    Weights other than those of score and upsampling layers start at random (He et al. 2015). The original always
    starts from an ImageNet classifier; see `models.caffe_weights`.

    >>> with torch.device("meta"):
    ...     model = CaffeFCN(num_classes=21, stride=8)
    >>> model.crops
    {'pool4': 5, 'pool3': 9, 'score': 31}
    """

    def __init__(self, num_classes: int, stride: int, *, at_once: bool = False, in_channels: int = 3) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.stride = stride
        self.at_once = at_once
        self.scales = AT_ONCE_SCALES if at_once else dict.fromkeys(AT_ONCE_SCALES, 1.0)
        channels = in_channels
        for name, out_channels in VGG16.items():
            self.add_module(name, vgg_layer(name, channels, out_channels))
            channels = out_channels
        self.drop6, self.drop7 = nn.Dropout(), nn.Dropout()
        self.score_fr = score_layer(channels, num_classes)
        *steps, _ = UPSCORES[stride]
        self.skips = dict(zip(steps, ("pool4", "pool3"), strict=False))
        for pool in self.skips.values():
            self.add_module(f"score_{pool}", score_layer(VGG16[pool], num_classes))
        for name, factor in UPSCORES[stride].items():
            self.add_module(name, Upscore(num_classes, kernel_size=2 * factor, stride=factor))
        self.crops = self.crop_offsets()

    def crop_offsets(self) -> dict[str, int]:
        """Where each crop begins: of the scores of "pool4" and "pool3", and of the last "score" map."""
        places = {"": PIXELS}
        for before, name in pairwise(["", *VGG16]):
            places[name] = places[before].through(window(self.get_submodule(name)))
        place, crops = places["fc7"], {}
        for name in UPSCORES[self.stride]:
            place = place.through(window(self.get_submodule(name)))
            if name in self.skips:
                crops[self.skips[name]] = crop_offset(places[self.skips[name]], onto=place)
        return {**crops, "score": crop_offset(place, onto=PIXELS)}

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, C, H, W) float pictures of any size, `CAFFE_PREPROCESSING`, to (N, K, H, W) logits."""
        pools, x = {}, bgr(pictures)
        for name in VGG16:
            x = self.get_submodule(name)(x)
            if name.startswith("pool"):
                pools[name] = x
            else:
                x = F.relu(x, inplace=True)
            if name in ("fc6", "fc7"):
                x = self.get_submodule(name.replace("fc", "drop"))(x)
        fused = self.score_fr(x)  # (N, K, about H/32, about W/32)
        for name in UPSCORES[self.stride]:
            fused = self.get_submodule(name)(fused)
            if name in self.skips:
                pool = self.skips[name]
                score = self.get_submodule(f"score_{pool}")(pools[pool] * self.scales[pool])
                fused = fused + crop(score, self.crops[pool], fused)  # fuse_pool4, fuse_pool3
        return crop(fused, self.crops["score"], pictures).contiguous()


class CaffeAlexNet(nn.Module):
    """FCN-32s over AlexNet, as the two-column network that was trained on two cards: conv2, conv4, conv5 have 2 groups.

    Args:
        num_classes: K.

    Pooling comes before normalisation, as in Caffe's `bvlc_reference_caffenet`; the weights of `bvlc_alexnet`, where
    it comes behind, have the same names and shapes but belong to the other order.
    """

    stride = 32

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.conv1 = convolution(3, 96, 11, stride=4, padding=100)
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv2 = convolution(96, 256, 5, padding=2, groups=2)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm2 = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
        self.conv3 = convolution(256, 384, 3, padding=1)
        self.conv4 = convolution(384, 384, 3, padding=1, groups=2)
        self.conv5 = convolution(384, 256, 3, padding=1, groups=2)
        self.pool5 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.fc6 = convolution(256, 4096, 6)
        self.drop6 = nn.Dropout()
        self.fc7 = convolution(4096, 4096, 1)
        self.drop7 = nn.Dropout()
        self.score_fr = score_layer(4096, num_classes)
        # 63 taps, not 64: this network's cells lie on whole pixels, and an odd kernel keeps them there. So the crop is a
        # whole number and Caffe has nothing to round.
        self.upscore = Upscore(num_classes, kernel_size=63, stride=32)
        place = PIXELS
        for layer in self.children():
            if isinstance(layer, nn.Conv2d | nn.MaxPool2d | Upscore):
                place = place.through(window(layer))
        self.crops = {"score": crop_offset(place, onto=PIXELS)}

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, 3, H, W) float pictures of any size, `CAFFE_PREPROCESSING`, to (N, K, H, W) logits."""
        x = self.norm1(self.pool1(F.relu(self.conv1(bgr(pictures)))))
        x = self.norm2(self.pool2(F.relu(self.conv2(x))))
        x = F.relu(self.conv4(F.relu(self.conv3(x))))
        x = self.pool5(F.relu(self.conv5(x)))
        x = self.drop6(F.relu(self.fc6(x)))
        x = self.drop7(F.relu(self.fc7(x)))
        return crop(self.upscore(self.score_fr(x)), self.crops["score"], pictures).contiguous()


class Upscore(nn.Module):
    """Fixed bilinear upsampling, each class for itself: Caffe's Deconvolution layer without a bias, never trained.

    Attributes:
        weight: (K, 1, k, k); the original's (K, K, k, k) holds the same kernels on its diagonal, else zeros.
    """

    weight: Tensor

    def __init__(self, num_classes: int, kernel_size: int, stride: int) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = 0
        kernel = bilinear_kernel(1, 1, kernel_size)
        self.register_buffer("weight", kernel.repeat(num_classes, 1, 1, 1))

    def forward(self, scores: Tensor) -> Tensor:
        """(N, K, h, w) to (N, K, stride * (h - 1) + k, stride * (w - 1) + k), in the weight's precision."""
        # In float32 always: bfloat16 would round scores, and its transposed convolution is many times slower on CPUs.
        with torch.autocast(scores.device.type, enabled=False):
            scores = scores.to(self.weight.dtype)
            return F.conv_transpose2d(scores, self.weight, stride=self.stride, groups=len(self.weight))


def vgg_layer(name: str, in_channels: int, out_channels: int) -> nn.Module:
    if name.startswith("pool"):
        return nn.MaxPool2d(2, stride=2, ceil_mode=True)
    if name.startswith("fc"):
        return convolution(in_channels, out_channels, 7 if name == "fc6" else 1)
    return convolution(in_channels, out_channels, 3, padding=100 if name == "conv1_1" else 1)


def convolution(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    padding: int = 0,
    groups: int = 1,
) -> nn.Conv2d:
    layer = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


def score_layer(channels: int, num_classes: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, num_classes, kernel_size=1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType]
    return layer


def window(layer: nn.Module) -> Window:
    """What a convolution, pooling or upsampling layer does along one axis; all are square here."""
    assert isinstance(layer, nn.Conv2d | nn.MaxPool2d | Upscore)
    kernel, stride, padding = (pair(size)[0] for size in (layer.kernel_size, layer.stride, layer.padding))
    return Window(
        kernel,
        stride,
        padding,
        transposed=isinstance(layer, Upscore),
        ceil_mode=isinstance(layer, nn.MaxPool2d),
    )


def bgr(pictures: Tensor) -> Tensor:
    """RGB to BGR; channels behind the first three stay."""
    return torch.cat((pictures[:, :3].flip(1), pictures[:, 3:]), dim=1)


def crop(scores: Tensor, first: int, like: Tensor) -> Tensor:
    """As many rows and columns of `scores` as `like` has, from row and column `first` on."""
    return scores[:, :, first : first + like.shape[2], first : first + like.shape[3]]
