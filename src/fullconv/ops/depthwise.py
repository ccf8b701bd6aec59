"""The gradient of strided depthwise convolutions in bfloat16 on a CPU, computed in float32: by itself it is many times slower.

PyTorch hands convolutions to oneDNN, which has fast kernels for the depthwise 3 x 3 convolutions of MobileNets and EfficientNets
in bfloat16 but for one: the gradient towards the input where the stride is above 1. MobileNetV2 has four such layers, and they
took two fifths of a whole training step (`benchmarks/training.py`). The sums are the same: both add float32 numbers.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.grad import conv2d_input, conv2d_weight
from torch.overrides import TorchFunctionMode


class StridedDepthwise(TorchFunctionMode):
    """A context in which strided depthwise convolutions of CPU tensors under bfloat16 autocast have a fast gradient."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is F.conv2d and len(args) == 7 and not kwargs and is_slow(*args):
            pictures, weight, bias, *geometry = args
            with torch.autocast("cpu", enabled=False):
                return DepthwiseConvolution.apply(
                    pictures.bfloat16(),
                    weight.bfloat16(),
                    None if bias is None else bias.bfloat16(),
                    *geometry,
                )
        return func(*args, **(kwargs or {}))


def is_slow(
    pictures: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> bool:
    """Whether a convolution, as `torch.nn.Conv2d` calls it, is depthwise, strided, and computed in bfloat16 on a CPU."""
    depthwise = groups > 1 and groups == pictures.shape[1] == weight.shape[0]
    strided = isinstance(stride, tuple) and max(stride) > 1 and isinstance(padding, tuple)
    return depthwise and strided and pictures.device.type == "cpu" and torch.is_autocast_enabled("cpu")


class DepthwiseConvolution(torch.autograd.Function):
    """A convolution in bfloat16 whose gradient towards its input is computed in float32."""

    @staticmethod
    def forward(ctx: Any, pictures: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any) -> Tensor:
        ctx.save_for_backward(pictures, weight)
        ctx.geometry = geometry
        return F.conv2d(pictures, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,), (pictures, weight) = gradients, ctx.saved_tensors
        of_pictures, of_weight, of_bias = ctx.needs_input_grad[:3]
        return (
            conv2d_input(pictures.shape, weight.float(), gradient.float(), *ctx.geometry).bfloat16()
            if of_pictures
            else None,
            conv2d_weight(pictures, weight.shape, gradient, *ctx.geometry) if of_weight else None,
            gradient.sum((0, 2, 3)) if of_bias else None,
            *(None for _ in ctx.geometry),
        )
