"""The papers' networks against the original's numbers and against pytorch-fcn's forward pass, written out."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fullconv.models import caffe
from fullconv.models.caffe import (
    CAFFE_MEAN,
    CAFFE_PREPROCESSING,
    UPSCORES,
    VGG16,
    CaffeAlexNet,
    CaffeFCN,
    window,
)
from fullconv.ops.bilinear import bilinear_kernel
from fullconv.ops.geometry import chain
from fullconv.ops.tracing import place_of, trace

CROPS = {
    32: {"score": 19},
    16: {"pool4": 5, "score": 27},
    8: {"pool4": 5, "pool3": 9, "score": 31},
}
"""The offsets in voc-fcn*/val.prototxt."""


@pytest.fixture
def narrow(monkeypatch):
    """VGG16 with a 32nd of its channels."""
    monkeypatch.setattr(caffe, "VGG16", {name: channels // 32 for name, channels in VGG16.items()})


def filled(model: nn.Module) -> nn.Module:
    """The model in float64 and eval mode, its score layers filled too."""
    generator = torch.Generator().manual_seed(7)
    model = model.double().eval()
    for name, parameter in model.named_parameters():
        if name.startswith("score") or name.endswith("bias"):
            parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 9)
    return model


def on_meta(build):
    with torch.device("meta"):
        return build()


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_crops_are_the_papers(stride):
    assert on_meta(lambda: CaffeFCN(21, stride)).crops == CROPS[stride]
    assert on_meta(lambda: CaffeFCN(21, stride, at_once=True)).crops == CROPS[stride]


def test_the_crop_of_alexnet_is_the_papers():
    assert on_meta(lambda: CaffeAlexNet(21)).crops == {"score": 18}


def test_parameters_and_receptive_fields_are_the_papers():
    vgg16, alexnet = on_meta(lambda: CaffeFCN(21, 32)), on_meta(lambda: CaffeAlexNet(21))
    assert sum(parameter.numel() for parameter in vgg16.parameters()) == 134_346_581  # 134 M
    assert sum(parameter.numel() for parameter in alexnet.parameters()) == 56_954_261  # 57 M
    assert chain([window(vgg16.get_submodule(name)) for name in VGG16]).receptive_field == 404
    layers = [layer for layer in alexnet.children() if isinstance(layer, nn.Conv2d | nn.MaxPool2d)]
    assert chain([window(layer) for layer in layers]).receptive_field == 355


def test_names_and_shapes_are_those_of_pytorch_fcn():
    """But for upsampling, which has one kernel per class instead of one for each pair."""
    shapes = {name: tuple(t.shape) for name, t in on_meta(lambda: CaffeFCN(21, 8)).state_dict().items()}
    convolutions = [name for name in VGG16 if not name.startswith("pool")]
    scores = ["score_fr", "score_pool4", "score_pool3"]
    named = {f"{layer}.{role}" for layer in convolutions + scores for role in ("weight", "bias")}
    assert set(shapes) == named | {"upscore2.weight", "upscore_pool4.weight", "upscore8.weight"}
    assert shapes["conv1_1.weight"] == (64, 3, 3, 3)
    assert shapes["conv5_3.weight"] == (512, 512, 3, 3)
    assert shapes["fc6.weight"] == (4096, 512, 7, 7)
    assert shapes["fc7.weight"] == (4096, 4096, 1, 1)
    assert shapes["score_pool3.weight"] == (21, 256, 1, 1)
    assert shapes["upscore8.weight"] == (21, 1, 16, 16)


def test_a_new_network_scores_zero_everywhere(narrow):
    """Zero-initialised score layers: the first loss is log K, whatever the picture."""
    logits = CaffeFCN(2, 8)(torch.randn(2, 3, 9, 13, generator=torch.Generator().manual_seed(0)) * 60)
    assert logits.shape == (2, 2, 9, 13)
    assert (logits == 0).all()


META = {stride: on_meta(lambda stride=stride: CaffeFCN(1, stride)) for stride in UPSCORES}


@given(st.integers(1, 3000), st.sampled_from([32, 16, 8]))
def test_sizes_fit_for_every_picture(size, stride):
    """By arithmetic: the crop of every sum and of the last map lies inside what is cropped."""
    model = META[stride]
    sizes = {"": size}
    previous = ""
    for name in VGG16:
        sizes[name] = window(model.get_submodule(name)).output_size(sizes[previous])
        previous = name
    fused = sizes["fc7"]
    assert fused >= 1
    for name in UPSCORES[stride]:
        fused = window(model.get_submodule(name)).output_size(fused)
        if name in model.skips:
            pool = model.skips[name]
            assert model.crops[pool] + fused <= sizes[pool]
    assert model.crops["score"] + size <= fused


@pytest.mark.parametrize("size_hw", [(1, 1), (37, 1), (64, 65), (33, 101)])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_output_size_is_input_size(stride, size_hw, narrow):
    model = CaffeFCN(2, stride).eval()
    assert model(torch.zeros(1, 3, *size_hw)).shape == (1, 2, *size_hw)


def pytorch_fcn(state, x, stride, scales=(1.0, 1.0)):
    """FCN32s, FCN16s and FCN8s of torchfcn/models, as functions of a state dict; crops as printed there."""

    def layer(name, x, padding=0):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], padding=padding)

    def upscore(x, size, stride):
        kernel = bilinear_kernel(x.shape[1], x.shape[1], size).double()
        return F.conv_transpose2d(x, kernel, stride=stride)

    h, pools = x.flip(1), []
    for stage in (2, 2, 3, 3, 3):
        for number in range(stage):
            name = f"conv{len(pools) + 1}_{number + 1}"
            h = layer(name, h, padding=100 if name == "conv1_1" else 1).relu()
        h = F.max_pool2d(h, 2, stride=2, ceil_mode=True)
        pools.append(h)
    h = layer("score_fr", layer("fc7", layer("fc6", h).relu()).relu())
    crop, height, width = {32: 19, 16: 27, 8: 31}[stride], *x.shape[2:]
    if stride == 32:
        h = upscore(h, 64, 32)
    else:
        h = upscore(h, 4, 2)
        h = h + layer("score_pool4", pools[3] * scales[0])[:, :, 5 : 5 + h.shape[2], 5 : 5 + h.shape[3]]
        if stride == 16:
            h = upscore(h, 32, 16)
        else:
            h = upscore(h, 4, 2)
            h = h + layer("score_pool3", pools[2] * scales[1])[:, :, 9 : 9 + h.shape[2], 9 : 9 + h.shape[3]]
            h = upscore(h, 16, 8)
    return h[:, :, crop : crop + height, crop : crop + width]


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_scores_are_those_of_pytorch_fcn(stride, narrow):
    model = filled(CaffeFCN(3, stride))
    x = torch.randn(2, 3, 45, 70, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    expected = pytorch_fcn(model.state_dict(), x, stride)
    assert expected.abs().max() > 0.1
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_at_once_scales_the_skips(narrow):
    model = filled(CaffeFCN(3, 8, at_once=True))
    x = torch.randn(1, 3, 40, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    expected = pytorch_fcn(model.state_dict(), x, 8, scales=(0.01, 0.0001))
    torch.testing.assert_close(model(x), expected, rtol=1e-10, atol=1e-10)


def test_a_16s_that_goes_on_from_a_32s_starts_with_its_scores(narrow):
    """Layers with equal names and shapes are copied, as `--init` does; the new skip adds nothing yet."""
    coarse = filled(CaffeFCN(3, 32))
    fine = CaffeFCN(3, 16).double().eval()
    own = fine.state_dict()
    fitting = {k: v for k, v in coarse.state_dict().items() if k in own and own[k].shape == v.shape}
    assert set(own) - set(fitting) == {
        "score_pool4.weight",
        "score_pool4.bias",
        "upscore2.weight",
        "upscore16.weight",
    }
    fine.load_state_dict(fitting, strict=False)
    x = torch.randn(1, 3, 50, 60, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    seen = {}
    for name, model in (("coarse", coarse), ("fine", fine)):
        model.score_fr.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output}))
        model(x)
    assert torch.equal(seen["coarse"], seen["fine"])
    twice = F.conv_transpose2d(seen["fine"], bilinear_kernel(3, 3, 4).double(), stride=2)
    again = F.conv_transpose2d(twice, bilinear_kernel(3, 3, 32).double(), stride=16)
    torch.testing.assert_close(fine(x), again[:, :, 27:77, 27:87])


@pytest.mark.parametrize("stride", [32, 16, 8])
def test_what_is_drawn_at_a_pixel_is_about_that_pixel(stride, narrow):
    """Followed through all crops, paddings and upsampling, output cell i lies on pixel i."""
    logits, _ = trace(CaffeFCN(2, stride), (3, 5))
    place = place_of(logits)
    assert [(axis.stride, axis.offset) for axis in place.geometry_hw] == [(1, 0), (1, 0)]


def test_pictures_are_rgb_and_filters_bgr(narrow):
    model = filled(CaffeFCN(2, 32, in_channels=4))
    model.conv1_1.weight.data[:, 1:] = 0  # looks at blue alone
    pictures = torch.zeros(1, 4, 8, 8, dtype=torch.float64)
    blank = model(pictures)
    for channel, seen in enumerate((False, False, True, False)):
        changed = pictures.clone()
        changed[:, channel] = 200
        assert torch.equal(model(changed), blank) != seen


def test_preprocessing_is_caffes():
    picture = torch.tensor([0, 128, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    expected = torch.tensor([0.0, 128.0, 255.0]) - torch.tensor(CAFFE_MEAN)
    torch.testing.assert_close(CAFFE_PREPROCESSING(picture).flatten(), expected, rtol=0, atol=1e-4)


def test_local_response_normalisation_is_caffes():
    """Caffe: x / (1 + alpha/n * sum of squares over n channels) ** beta."""
    layer = nn.LocalResponseNorm(5, alpha=1e-4, beta=0.75)
    x = torch.randn(1, 9, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 300
    expected = torch.empty_like(x)
    for channel in range(9):
        squares = (x[:, max(0, channel - 2) : channel + 3] ** 2).sum(dim=1)
        expected[:, channel] = x[:, channel] / (1 + 1e-4 / 5 * squares) ** 0.75
    torch.testing.assert_close(layer(x), expected)
    assert (x / expected).max() > 2


def test_alexnet_against_its_layers_written_out():
    model = CaffeAlexNet(2)
    assert not model.score_fr.weight.any()
    state = filled(model).state_dict()
    x = torch.randn(1, 3, 5, 40, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50

    def layer(name, x, **options):
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], **options).relu()

    def pool(x):
        return F.max_pool2d(x, 3, stride=2, ceil_mode=True)

    h = F.local_response_norm(pool(layer("conv1", x.flip(1), stride=4, padding=100)), 5, 1e-4, 0.75)
    h = F.local_response_norm(pool(layer("conv2", h, padding=2, groups=2)), 5, 1e-4, 0.75)
    h = layer("conv4", layer("conv3", h, padding=1), padding=1, groups=2)
    h = layer("fc7", layer("fc6", pool(layer("conv5", h, padding=1, groups=2))))
    h = F.conv2d(h, state["score_fr.weight"], state["score_fr.bias"])
    h = F.conv_transpose2d(h, bilinear_kernel(2, 2, 63).double(), stride=32)
    torch.testing.assert_close(model(x), h[:, :, 18:23, 18:58], rtol=1e-10, atol=1e-10)
    assert [axis.offset for axis in place_of(trace(model.float(), (1, 1))[0]).geometry_hw] == [0, 0]


def test_dropout_is_on_in_training_alone(narrow):
    model = filled(CaffeFCN(2, 32)).train()
    x = torch.randn(1, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


def test_upsampling_is_never_trained_and_stays_in_float32(narrow):
    model = CaffeFCN(2, 8)
    assert not [name for name, _ in model.named_parameters() if name.startswith("upscore")]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model(torch.zeros(1, 3, 8, 8)).dtype == torch.float32


def test_every_layer_learns(narrow):
    model = filled(CaffeFCN(2, 8))
    x = torch.randn(1, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 50
    F.cross_entropy(model(x), torch.zeros(1, 16, 16, dtype=torch.long), reduction="sum").backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.long
@pytest.mark.parametrize("size_hw", [(1, 1), (375, 500), (561, 728)])
def test_the_full_networks_at_the_papers_sizes(size_hw):
    model = CaffeFCN(21, 8).eval()
    with torch.no_grad():
        assert model(torch.zeros(1, 3, *size_hw)).shape == (1, 21, *size_hw)
        assert CaffeAlexNet(21).eval()(torch.zeros(1, 3, *size_hw)).shape == (1, 21, *size_hw)
