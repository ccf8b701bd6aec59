"""What every loss makes of pictures without a valid pixel."""

import pytest
import torch

from fullconv.losses import dice, focal, lovasz, ohem


@pytest.mark.parametrize("loss", [focal, ohem, dice, lovasz])
def test_void_alone_is_zero_with_zero_gradient(loss):
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    value = loss(logits, torch.full((1, 2, 2), 255))
    value.backward()
    assert value.item() == 0
    assert not logits.grad.any()
