"""Early and late fusion and split heads, against the operations that the original spells out."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from fullconv.errors import InputError
from fullconv.models.backbones import build_backbone
from fullconv.models.fcn import FCN
from fullconv.models.fusion import LateFusion, first_convolution, replace_input, split_heads, widen_input
from fullconv.models.ladder import Ladder

BACKBONES = [
    "resnet18",  # timm, no bias
    "convnext_atto",  # timm, bias, kernel 4, stride 4
    "tf_mobilenetv3_small_minimal_100",  # timm, a convolution that pads by itself
    "resnet10t",  # timm, three convolutions in the stem
    "torchvision/squeezenet1_1",  # a traced graph, bias
    "torchvision/shufflenet_v2_x0_5",  # a traced graph, no bias
]


def network(
    backbone: str = "torchvision/squeezenet1_1", num_classes: int = 3, stride: int = 8, seed: int = 0
) -> FCN:
    torch.manual_seed(seed)
    return FCN(build_backbone(backbone, stride), num_classes, stride).eval()


@pytest.mark.parametrize("backbone", BACKBONES)
def test_depth_starts_as_the_mean_of_the_colour_filters(backbone):
    """As `solve.py` writes it in numpy; and a fourth channel of zeros changes nothing."""
    net = network(backbone)
    layer = first_convolution(net)
    before, bias, names = layer.weight.detach().numpy().copy(), layer.bias, list(net.state_dict())
    pictures = torch.randn(2, 3, 65, 97)
    with torch.inference_mode():
        color = net(pictures)
        assert widen_input(net, 4) is net
        after = layer.weight.detach().numpy()
        assert layer.in_channels == 4
        assert layer.bias is bias
        assert list(net.state_dict()) == names
        np.testing.assert_array_equal(after[:, :3], before)
        np.testing.assert_allclose(after[:, 3], np.mean(before, axis=1), rtol=1e-5, atol=1e-7)
        blank = net(torch.cat([pictures, torch.zeros(2, 1, 65, 97)], dim=1))
        deep = net(torch.cat([pictures, torch.ones(2, 1, 65, 97)], dim=1))
    torch.testing.assert_close(blank, color, rtol=1e-4, atol=1e-4 * color.abs().max().item())
    assert (deep - color).abs().max() > 0


def test_vgg_and_the_ladder_are_widened_too():
    layers = torchvision.models.vgg.make_layers(
        [width for width in (4, 8, 8, 8, 8) for width in (width, "M")]
    )
    ladder = Ladder(2, features=layers).eval()
    widen_input(ladder, 6)
    assert ladder(torch.zeros(1, 6, 9, 13)).shape == (1, 2, 9, 13)
    assert layers[0].weight.shape == (4, 6, 3, 3)
    assert torch.equal(layers[0].weight[:, 3], layers[0].weight[:, 5])


def test_a_grey_picture_is_a_colour_picture_of_three_equal_channels_over_three():
    net, grey = network(), torch.randn(1, 1, 41, 33)
    with torch.inference_mode():
        want = net((grey / 3).expand(-1, 3, -1, -1))
        replace_input(net, 1)
        torch.testing.assert_close(net(grey), want, rtol=1e-4, atol=1e-5)


def test_three_channels_change_nothing():
    net = network()
    before = first_convolution(net).weight.detach().clone()
    replace_input(widen_input(net, 3), 3)
    assert torch.equal(first_convolution(net).weight, before)


def test_the_first_convolution_is_the_one_that_runs_first():
    class Backwards(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.last = nn.Conv2d(3, 2, 1)
            self.first = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.last(self.first(x))

    net = Backwards()
    assert first_convolution(net) is net.first
    widen_input(net, 5)
    assert net(torch.zeros(1, 5, 2, 2)).shape == (1, 2, 2, 2)


@pytest.mark.parametrize(
    "net",
    [
        nn.Sequential(nn.Conv2d(4, 8, 3)),
        nn.Sequential(nn.Conv2d(3, 6, 3, groups=3), nn.Conv2d(6, 3, 1), nn.Conv2d(3, 2, 1)),
        nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(12, 3, 1), nn.Conv2d(3, 2, 1)),
        nn.ReLU(),
    ],
    ids=["widened already", "each colour apart", "cut into cells", "none"],
)
def test_networks_without_a_colour_convolution(net):
    for change in (widen_input, replace_input):
        with pytest.raises(
            InputError, match=r"the first convolution of (Sequential|ReLU) does not take three colours"
        ):
            change(net, 5)


def test_channels_that_make_no_sense():
    with pytest.raises(InputError, match="in_channels is 2; expected 3 for colours, or more"):
        widen_input(network(), 2)
    with pytest.raises(InputError, match="in_channels is 0; expected at least 1"):
        replace_input(network(), 0)


def test_looking_for_the_first_convolution_leaves_no_trace():
    net = network("resnet18").train()
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    first_convolution(net)
    assert all(module.training and not module._forward_pre_hooks for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


@pytest.mark.parametrize(("stride", "channels"), [(32, 3), (8, 1)])
def test_late_fusion_is_the_average_of_scores_before_upsampling(stride, channels):
    """The original sums the scores with coefficients 0.5 and 0.5 and upsamples the sum."""
    color, extra = network("resnet18", 5, stride), network("resnet18", 5, stride, seed=1)
    replace_input(extra, channels)
    fused = LateFusion(color, extra).eval()
    pictures = torch.randn(2, 3 + channels, 97, 64)
    with torch.inference_mode():
        scores = 0.5 * color.scores(pictures[:, :3]) + 0.5 * extra.scores(pictures[:, 3:])
        want = color.upsampled(scores, stride, pictures.shape[2:])
        got = fused(pictures)
    assert got.shape == (2, 5, 97, 64)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    assert (got - color(pictures[:, :3])).abs().max() > 1e-3


def test_late_fusion_trains_both_streams():
    color, extra = network(num_classes=2), network(num_classes=2, seed=1)
    replace_input(extra, 1)
    fused = LateFusion(color, extra).train()
    fused(torch.randn(1, 4, 40, 40)).square().mean().backward()
    for stream in (color, extra):
        assert first_convolution_gradient(stream) > 0


def first_convolution_gradient(net: nn.Module) -> float:
    layer = next(layer for layer in net.modules() if isinstance(layer, nn.Conv2d))
    return layer.weight.grad.abs().max().item()


def test_late_fusion_without_other_channels():
    fused = LateFusion(network(), network())
    with pytest.raises(InputError, match="late fusion got pictures of 3 channels; expected more than 3"):
        fused(torch.zeros(1, 3, 32, 32))


def test_split_heads_are_two_score_layers_on_one_backbone():
    """SIFT Flow: 33 semantic and 3 geometric classes; logits, losses and the backbone's gradient are those of two heads."""
    joint = network("resnet18", 36, 16)
    stem = first_convolution(joint).weight
    joint.double()
    heads = [FCN(joint.backbone, classes, 16).eval().double() for classes in (33, 3)]
    for head, rows in zip(heads, (slice(0, 33), slice(33, 36)), strict=True):
        for stride, layer in head.score.items():
            layer.weight.data = joint.score[stride].weight.data[rows].clone()
            layer.bias.data = joint.score[stride].bias.data[rows].clone()
    pictures = torch.randn(2, 3, 49, 66, dtype=torch.float64)
    truths = [torch.randint(0, classes, (2, 49, 66)) for classes in (33, 3)]
    gradients = []
    for answers in (split_heads(joint(pictures), [33, 3]), [head(pictures) for head in heads]):
        sum(F.cross_entropy(logits, truth) for logits, truth in zip(answers, truths, strict=True)).backward()
        gradients.append((answers, stem.grad.clone()))
        stem.grad = None
    for ours, theirs in zip(gradients[0][0], gradients[1][0], strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients[0][1], gradients[1][1], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("heads", [[33, 4], [36, 0], []])
def test_heads_that_do_not_sum(heads):
    with pytest.raises(
        InputError, match=r"got 36 channels of logits; expected heads of at least one class each"
    ):
        split_heads(torch.zeros(1, 36, 2, 2), heads)
