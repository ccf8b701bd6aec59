"""Beyond three channels and one task: early fusion, late fusion, and two heads on one network.

    early   picture with depth (N, 4, H, W) -> one network whose first convolution takes 4 channels
    late    colour (N, 3, H, W) -> network a -> scores --+
                                                          +- 0.5 a + 0.5 b
            depth  (N, m, H, W) -> network b -> scores --+
    heads   one network with K1 + K2 score channels, whose logits are split into two tasks

Source: Long, Shelhamer & Darrell, 2015, section 5 (NYUDv2, SIFT Flow); github.com/shelhamer/fcn.berkeleyvision.org,
nyud-fcn32s-color-d/solve.py, nyud-fcn32s-color-hha/net.py, siftflow-fcn16s/net.py.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.ops.tracing import evaluating

Model = TypeVar("Model", bound=nn.Module)


def widen_input(model: Model, in_channels: int) -> Model:
    """Lets a network that takes colour pictures take further channels behind the colours: early fusion.

    The filters of its first convolution stay; each further channel gets the mean of the three colour filters.

    Args:
        model: takes (N, 3, H, W); changed in place.
        in_channels: of the pictures it shall take, at least 3.

    Returns:
        The model, which now takes (N, in_channels, H, W).

    Raises:
        InputError: fewer than three channels; the first convolution does not take the three colours together.

    >>> net = widen_input(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), 4)
    >>> net(torch.zeros(1, 4, 9, 9)).shape
    torch.Size([1, 8, 7, 7])
    """
    if in_channels < 3:
        raise InputError(f"in_channels is {in_channels}; expected 3 for colours, or more")
    layer = first_convolution(model)
    colors = layer.weight.detach()  # (C, 3, k, k)
    set_filters(layer, torch.cat([colors, mean_filter(colors, in_channels - 3)], dim=1))
    return model


def replace_input(model: Model, in_channels: int) -> Model:
    """Lets a network that takes colour pictures take pictures of something else, such as depth.

    Three channels keep the filters of the colours, as the encoded depth of the original (HHA) does; of any other number
    each gets their mean.

    Args:
        model: takes (N, 3, H, W); changed in place.
        in_channels: of the pictures it shall take, at least 1.

    Returns:
        The model, which now takes (N, in_channels, H, W).

    Raises:
        InputError: no channels; the first convolution does not take the three colours together.

    >>> net = replace_input(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU()), 1)
    >>> net(torch.zeros(1, 1, 9, 9)).shape
    torch.Size([1, 8, 7, 7])
    """
    if in_channels < 1:
        raise InputError(f"in_channels is {in_channels}; expected at least 1")
    layer = first_convolution(model)
    if in_channels != 3:
        set_filters(layer, mean_filter(layer.weight.detach(), in_channels))
    return model


def mean_filter(colors: Tensor, times: int) -> Tensor:
    """(C, 3, k, k) to (C, times, k, k)."""
    return colors.mean(dim=1, keepdim=True).repeat(1, times, 1, 1)


def set_filters(layer: nn.Conv2d, weight: Tensor) -> None:
    # The layer itself stays, with its kind (some pad in their own way) and its place in the network.
    layer.weight = nn.Parameter(weight)
    layer.in_channels = weight.shape[1]


class Reached(Exception):
    """Ends a run at the first convolution."""

    def __init__(self, layer: nn.Conv2d) -> None:
        self.layer = layer


def first_convolution(model: nn.Module) -> nn.Conv2d:
    """The convolution that takes the picture: the first that runs.

    Raises:
        InputError: it does not take the three colours together, or there is none.
    """

    def stop(layer: nn.Module, _: Any) -> None:
        assert isinstance(layer, nn.Conv2d)
        raise Reached(layer)

    hooks = [
        layer.register_forward_pre_hook(stop) for layer in model.modules() if isinstance(layer, nn.Conv2d)
    ]
    first = None
    try:
        with evaluating(model), torch.no_grad():
            model(torch.zeros(1, 3, 128, 128))
    except Reached as reached:
        first = reached.layer
    finally:
        for hook in hooks:
            hook.remove()
    if first is None or first.in_channels != 3 or first.groups != 1:
        raise InputError(
            f"the first convolution of {type(model).__name__} does not take three colours together, so its channels "
            "cannot be changed; choose another backbone, or a model that takes 3 channels"
        )
    return first


class LateFusion(nn.Module):
    """Two networks, one for colour and one for the other channels, whose logits are averaged.

    The original averages scores before it upsamples them; upsampling is linear, so averaging behind it is the same.

    Args:
        color: takes the first `color_channels` channels.
        extra: takes the channels after them; as many classes as `color`.
        color_channels: 3 for colour pictures.
    """

    def __init__(self, color: nn.Module, extra: nn.Module, color_channels: int = 3) -> None:
        super().__init__()
        self.color = color
        self.extra = extra
        self.color_channels = color_channels

    @property
    def num_classes(self) -> int:
        return int(self.color.num_classes)  # pyright: ignore[reportArgumentType]

    @property
    def stride(self) -> int:
        return int(self.color.stride)  # pyright: ignore[reportArgumentType]

    def forward(self, pictures: Tensor) -> Tensor:
        """(N, color_channels + m, H, W) to (N, K, H, W) logits.

        Raises:
            InputError: no channels besides colour.
        """
        if pictures.shape[1] <= self.color_channels:
            raise InputError(
                f"late fusion got pictures of {pictures.shape[1]} channels; expected more than {self.color_channels}"
            )
        color, extra = pictures[:, : self.color_channels], pictures[:, self.color_channels :]
        return 0.5 * self.color(color) + 0.5 * self.extra(extra)


def split_heads(logits: Tensor, heads: Sequence[int]) -> list[Tensor]:
    """The logits of each task, from those of one network that answers all of them.

    A score layer of K1 + K2 channels is two score layers of K1 and K2, and fixed upsampling keeps channels apart, so this
    is the two-headed network of the original. Learned upsampling mixes channels, and so lets heads share.

    Args:
        logits: (N, K1 + K2 + ..., H, W).
        heads: K1, K2, ...: classes per task.

    Returns:
        Views (N, K1, H, W), (N, K2, H, W), ...

    Raises:
        InputError: the heads do not sum to the channels there are, or one is empty.

    >>> [tuple(head.shape) for head in split_heads(torch.zeros(1, 36, 4, 4), [33, 3])]
    [(1, 33, 4, 4), (1, 3, 4, 4)]
    """
    if sum(heads) != logits.shape[1] or any(classes < 1 for classes in heads):
        raise InputError(
            f"heads of {list(heads)} classes got {logits.shape[1]} channels of logits; expected heads of at least "
            "one class each that sum to it"
        )
    return list(logits.split(list(heads), dim=1))
