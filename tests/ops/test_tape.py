"""Tapes: the calls of a network, replayed and folded."""

import pytest
import torch
from torch import nn

import fullconv
from fullconv.errors import InputError
from fullconv.ops.tape import Call, Ref, Tape, folded, in_dtype, record


def used_up(model: nn.Module) -> nn.Module:
    """A network whose batch normalisation has something to do."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 2)
            if module.affine:
                nn.init.uniform_(module.weight, 0.5, 1.5)
                nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


@pytest.mark.parametrize(
    "backbone",
    ["resnet10t", "torchvision/mobilenet_v2", "resnetv2_50", "mobilenetv3_small_050", "regnety_002"],
)
def test_replayed_and_folded_tapes_say_what_the_network_says(backbone):
    model = used_up(fullconv.build_model("fcn8s", backbone=backbone, num_classes=3))
    pictures = torch.randn(2, 3, 101, 83)
    tape = record(model.score_maps)
    small = folded(tape)
    assert sum(call.name == "batch_norm" for call in small.calls) < sum(
        call.name == "batch_norm" for call in tape.calls
    )
    with torch.inference_mode():
        for want, plain, fold in zip(
            model.score_maps(pictures), tape(pictures), small(pictures), strict=True
        ):
            torch.testing.assert_close(plain, want, rtol=0, atol=0)
            torch.testing.assert_close(fold, want, rtol=1e-4, atol=1e-4 * float(want.abs().max()))


def test_folding_is_exact_in_float64():
    net = used_up(nn.Sequential(nn.Conv2d(3, 4, 3, groups=1, bias=False), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3, groups=2),
                                nn.BatchNorm2d(4, affine=False), nn.ReLU(inplace=True))).double()  # fmt: skip
    small = folded(record(lambda x: [net(x.double())]))
    assert [call.name for call in small.calls] == ["double", "conv2d", "conv2d", "relu"]
    x = torch.randn(1, 3, 20, 30)
    torch.testing.assert_close(small(x)[0], net(x.double()), rtol=1e-12, atol=1e-12)


def test_a_convolution_that_is_read_twice_is_not_folded():
    conv, norm = nn.Conv2d(3, 4, 1), used_up(nn.BatchNorm2d(4))
    tape = folded(record(lambda x: [norm(y := conv(x)) + y]))
    assert [call.name for call in tape.calls] == ["conv2d", "batch_norm", "add"]


def test_values_are_let_go_at_their_last_use():
    tape = Tape((Call(torch.relu, (Ref(-1),), {}), Call(torch.add, (Ref(0), Ref(0)), {})), (Ref(1),))
    assert tape.last_uses() == [[-1], [0]]
    assert tape(torch.tensor([-1.0, 2.0]))[0].tolist() == [0, 4]


def test_several_outputs_and_work_in_place():
    def network(x):
        a, b = torch.chunk(x * 2, 3, dim=1)[:2]
        a += b
        return [a, torch.relu_(b - 1)]

    x = torch.randn(1, 3, 8, 8)
    for want, got in zip(network(x), record(network)(x), strict=True):
        torch.testing.assert_close(got, want)


def test_bfloat16_reaches_every_layer_and_leaves_none():
    model = used_up(fullconv.build_model("fcn16s", backbone="resnet10t", num_classes=3))
    tape = in_dtype(folded(record(model.score_maps)), torch.bfloat16)
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        for want, got in zip(model.score_maps(x), tape(x.bfloat16()), strict=True):
            assert got.dtype == torch.float32
            assert (got - want).abs().max() < 0.05 * want.abs().max()


def test_networks_that_reckon_with_the_size_have_no_tape():
    model = fullconv.build_model("fcn8s", backbone="tf_efficientnet_b0", num_classes=3).eval()
    with pytest.raises(InputError, match="depends on the picture's size"):
        record(model.score_maps)

    def picky(x):
        return [x.view(1, 3, 8, -1)] if x.shape[2] == 96 else [x.view(1, 3, 7, 3, 5)]

    with pytest.raises(InputError, match="does not run at 107 x 149 pixels"):
        record(picky)
