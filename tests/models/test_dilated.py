"""The networks of torchvision and MMSegmentation say what the originals say, at any size."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fullconv.errors import RunError
from fullconv.models.build import build_model
from fullconv.models.dilated import DilatedFCN

SIZES_HW = [(1, 1), (33, 65), (97, 70)]


def with_statistics(model: nn.Module) -> nn.Module:
    """Batch normalisation with other numbers than those of the start, so that a wrong one shows."""
    torch.manual_seed(1)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)
            nn.init.uniform_(layer.weight, 0.5, 1.2)
            nn.init.uniform_(layer.bias, -0.2, 0.2)
    return model.eval()


def noise(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def close(got: Tensor, want: Tensor) -> None:
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))


@pytest.mark.parametrize("depth", [50, pytest.param(101, marks=pytest.mark.long)])
def test_torchvisions_numbers_and_keys(depth):
    from torchvision.models import segmentation

    torch.manual_seed(0)
    builder = getattr(segmentation, f"fcn_resnet{depth}")
    original = with_statistics(builder(weights=None, weights_backbone=None, num_classes=4, aux_loss=False))
    model = build_model("torchvision_fcn", num_classes=4, backbone=f"torchvision/resnet{depth}").eval()
    assert isinstance(model, DilatedFCN)
    assert (model.stride, model.num_classes) == (8, 4)
    model.load_state_dict(original.state_dict())
    for size_hw in SIZES_HW:
        with torch.inference_mode():
            close(model(noise(2, 3, *size_hw)), original(noise(2, 3, *size_hw))["out"])


def mmseg(state: dict[str, Tensor], image: Tensor, deep_stem: bool) -> Tensor:
    """MMSegmentation's fcn_r50-d8, written from its configuration: strides 1, 2, 1, 1 and dilations 1, 1, 2, 4, of which the
    first block of a stage has half."""

    def norm(x: Tensor, name: str) -> Tensor:
        values = [state[f"{name}.{key}"] for key in ("running_mean", "running_var", "weight", "bias")]
        return F.batch_norm(x, *values)

    def conv(x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state.get(f"{name}.bias"), stride, padding, dilation)

    def module(x: Tensor, name: str) -> Tensor:
        return norm(conv(x, f"{name}.conv", padding=1), f"{name}.bn").relu()

    def bottleneck(x: Tensor, name: str, stride: int, dilation: int) -> Tensor:
        y = norm(conv(x, f"{name}.conv1"), f"{name}.bn1").relu()
        y = norm(conv(y, f"{name}.conv2", stride, dilation, dilation), f"{name}.bn2").relu()
        y = norm(conv(y, f"{name}.conv3"), f"{name}.bn3")
        if f"{name}.downsample.0.weight" in state:
            x = norm(conv(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
        return (x + y).relu()

    x = image
    if deep_stem:
        for index, stride in ((0, 2), (3, 1), (6, 1)):
            x = norm(conv(x, f"backbone.stem.{index}", stride, 1), f"backbone.stem.{index + 1}").relu()
    else:
        x = norm(conv(x, "backbone.conv1", 2, 3), "backbone.bn1").relu()
    x = F.max_pool2d(x, 3, 2, 1)
    stages = zip((3, 4, 6, 3), (1, 2, 1, 1), (1, 1, 2, 4), strict=True)
    for stage, (blocks, stride, dilation) in enumerate(stages, start=1):
        for block in range(blocks):
            first = block == 0
            x = bottleneck(
                x,
                f"backbone.layer{stage}.{block}",
                stride if first else 1,
                max(1, dilation // 2) if first else dilation,
            )
    y = module(module(x, "decode_head.convs.0"), "decode_head.convs.1")
    y = conv(module(torch.cat([x, y], 1), "decode_head.conv_cat"), "decode_head.conv_seg")
    return F.interpolate(y, image.shape[2:], mode="bilinear", align_corners=False)


@pytest.mark.parametrize("backbone", ["resnet50c", "torchvision/resnet50"])
def test_mmsegmentations_numbers(backbone):
    torch.manual_seed(0)
    model = with_statistics(build_model("mmseg_fcn", num_classes=3, backbone=backbone))
    for size_hw in SIZES_HW:
        with torch.inference_mode():
            image = noise(1, 3, *size_hw)
            close(model(image), mmseg(model.state_dict(), image, backbone == "resnet50c"))


def test_weights_of_a_classifier_go_into_the_backbone(tmp_path):
    from torchvision.models import resnet50

    torch.manual_seed(0)
    classifier = resnet50()
    file = tmp_path / "resnet50.pth"
    torch.save(classifier.state_dict(), file)
    model = build_model(
        "torchvision_fcn", num_classes=2, backbone="torchvision/resnet50", backbone_weights=file
    )
    own = model.state_dict()
    assert torch.equal(own["backbone.layer4.2.conv3.weight"], classifier.layer4[2].conv3.weight)
    with pytest.raises(RunError, match="no library publishes weights of resnet50c as a classifier"):
        build_model("mmseg_fcn", num_classes=2, backbone_weights=file)
