"""Poolings that round up, written as poolings that round down, which every engine takes at every size."""

import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.ops.places import pair


class EvenMaxPool(nn.MaxPool2d):
    """A pooling that takes in the last, incomplete window, as one that rounds down does on a map continued by its border.

    Rounding up makes torch.export reason about each size; and OpenVINO refuses windows larger than the map.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(continued(input, self.stride), self.kernel_size, self.stride, self.padding)


class EvenAvgPool(nn.AvgPool2d):
    """The same for the mean of 2x2 windows of stride 2: the mean of a border and its continuation is the border."""

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(continued(input, self.stride), self.kernel_size, self.stride, self.padding)


def continued(maps: Tensor, stride: int | tuple[int, int]) -> Tensor:
    """Maps with stride - 1 copies of the last row and column behind it; rounding down ignores those that fill no window."""
    rows, columns = pair(stride)
    return F.pad(maps, (0, columns - 1, 0, rows - 1), mode="replicate")


def without_ceiling(model: nn.Module) -> nn.Module:
    """The model, changed in place: poolings that round up become ones that round down and give the same.

    >>> import torch
    >>> pool = without_ceiling(nn.Sequential(nn.MaxPool2d(2, ceil_mode=True)))[0]
    >>> pool(torch.arange(3.0).view(1, 1, 1, 3))
    tensor([[[[1., 2.]]]])
    """
    for layer in model.modules():
        if type(layer) is nn.MaxPool2d and layer.ceil_mode:
            # Every window must begin on the map, and the next one before its end.
            begins_on_it = layer.padding in (0, (0, 0)) and layer.dilation in (1, (1, 1))
            if (
                begins_on_it
                and min(k - s for k, s in zip(pair(layer.kernel_size), pair(layer.stride), strict=True)) >= 0
            ):
                layer.__class__ = EvenMaxPool
        elif type(layer) is nn.AvgPool2d and layer.ceil_mode:
            window = (layer.kernel_size, layer.stride, layer.padding, layer.divisor_override)
            if window in ((2, 2, 0, None), ((2, 2), (2, 2), (0, 0), None)):
                layer.__class__ = EvenAvgPool
    return model
