"""Strided depthwise convolutions in bfloat16 against PyTorch's own in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from fullconv.ops import depthwise
from fullconv.ops.depthwise import StridedDepthwise


def gradients(layer: nn.Module, pictures: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """The output and the gradients of a weighted sum of it."""
    pictures = pictures.clone().requires_grad_()
    output = layer(pictures)
    weights = torch.linspace(-1, 1, output.numel(), dtype=torch.float64).view_as(output)
    (output.double() * weights).sum().backward()
    return output.detach().double(), *(
        each.grad.double() for each in (pictures, *layer.parameters()) if each.grad is not None
    )


@settings(deadline=None, max_examples=30)
@given(
    st.integers(2, 9), st.integers(3, 14), st.integers(3, 14), st.sampled_from([3, 5]), st.integers(2, 3),
    st.integers(0, 2), st.integers(1, 2), st.booleans(), st.booleans(), st.integers(0, 2**31),
)  # fmt: skip
def test_output_and_gradients_are_those_of_float64(
    channels, height, width, kernel, stride, padding, dilation, bias, channels_last, seed
):
    torch.manual_seed(seed)
    if min(height, width) + 2 * padding < dilation * (kernel - 1) + 1:
        return
    layer = nn.Conv2d(
        channels, channels, kernel, stride, padding, dilation, groups=channels, bias=bias
    ).bfloat16()
    exact = nn.Conv2d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=bias)
    exact.double().load_state_dict(layer.state_dict())
    pictures = torch.randn(2, channels, height, width).bfloat16()
    if channels_last:
        pictures = pictures.to(memory_format=torch.channels_last)
    layer.float()
    with StridedDepthwise(), torch.autocast("cpu", torch.bfloat16):
        got = gradients(layer, pictures.float())
    for ours, theirs in zip(got, gradients(exact, pictures.double()), strict=True):
        torch.testing.assert_close(ours, theirs, atol=0.02 * float(theirs.abs().max()) + 1e-6, rtol=0.02)


@pytest.mark.parametrize(
    ("layer", "ours"),
    [
        (nn.Conv2d(6, 6, 3, 2, 1, groups=6), True),
        (nn.Conv2d(6, 6, 3, 1, 1, groups=6), False),
        (nn.Conv2d(6, 6, 3, 2, 1, groups=2), False),
        (nn.Conv2d(6, 12, 3, 2, 1, groups=6), False),
        (nn.Conv2d(6, 6, 3, 2, 1), False),
    ],
)
def test_it_takes_strided_depthwise_convolutions_alone(layer, ours, monkeypatch):
    taken = []
    apply = depthwise.DepthwiseConvolution.apply
    monkeypatch.setattr(
        depthwise.DepthwiseConvolution, "apply", lambda *args: (taken.append(1), apply(*args))[1]
    )
    with StridedDepthwise(), torch.autocast("cpu", torch.bfloat16):
        assert layer(torch.rand(1, 6, 9, 9)).dtype == torch.bfloat16
    assert bool(taken) == ours
    with StridedDepthwise():
        assert layer(torch.rand(1, 6, 9, 9)).dtype == torch.float32
    assert bool(taken) == ours
