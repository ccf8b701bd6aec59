"""FCNs of every stride over four families: constant scores, shifts, float64, borders, and where each score looks."""

import math

import pytest
import timm
import torch
import torchvision
from torch import nn

import fullconv
from fullconv.errors import InputError, UnknownNameError
from fullconv.models.backbones import build_backbone
from fullconv.models.build import build_model
from fullconv.ops.bilinear import bilinear_kernel

FAMILIES = ["resnet18", "torchvision/mobilenet_v2", "torchvision/vgg11", "convnext_atto"]
NAMES = ["fcn32s", "fcn16s", "fcn8s", "fcn4s"]
RESIDUES = range(32)
FEW = [0, 1, 7, 16, 17, 31]


PAIRS = [
    pytest.param(name, backbone, marks=[] if rank == place else pytest.mark.long)
    for rank, name in enumerate(NAMES)
    for place, backbone in enumerate(FAMILIES)
]
"""Each model with each family; the fast ones have each once."""


def network(name: str, backbone: str, **options: object) -> nn.Module:
    torch.manual_seed(3)
    return build_model(name, backbone=backbone, num_classes=3, **options).eval()


@pytest.mark.parametrize(("name", "backbone"), PAIRS)
def test_constant_scores_give_constant_answers_at_every_residue(name, backbone):
    model = network(name, backbone)
    for layer in model.score.values():
        nn.init.zeros_(layer.weight)
        nn.init.constant_(layer.bias, 0.75)
    want = 0.75 * len(model.score)
    with torch.inference_mode():
        for residue in RESIDUES:
            logits = model(torch.randn(1, 3, 1 + residue, 40 - residue))
            assert logits.shape == (1, 3, 1 + residue, 40 - residue)
            torch.testing.assert_close(logits, torch.full_like(logits, want))


def shifted_pair(
    model: nn.Module, canvas: torch.Tensor, size: int, shift: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The answers, where both see it, for a picture and for the same picture `shift` columns further on."""
    with torch.inference_mode():
        here, there = model(canvas[..., :size]), model(canvas[..., shift : shift + size])
    return here[..., shift:], there[..., :-shift]


def check_shift(name: str, backbone: str, residues: list[int] | range, **options: object) -> None:
    model = network(name, backbone, **options).double()
    reach = max(int(rows.receptive_field) for rows, _ in model.backbone.geometry_hw.values()) // 2 + 64
    width = 2 * reach + 64
    canvas = torch.randn(1, 3, 9, width + 64, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    for residue in residues:
        here, there = shifted_pair(model, canvas, width + residue, 32)
        inside = slice(reach, here.shape[-1] - reach)
        assert here[..., inside].shape[-1] >= 16
        torch.testing.assert_close(here[..., inside], there[..., inside], rtol=1e-9, atol=1e-11)
        assert (here[..., inside].std() > 0).all()


@pytest.mark.parametrize(
    "backbone", [FAMILIES[0], *(pytest.param(name, marks=pytest.mark.long) for name in FAMILIES[1:])]
)
def test_a_shift_by_the_stride_moves_the_answer(backbone):
    check_shift("fcn8s", backbone, FEW[:2])


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backbone", FAMILIES)
def test_a_shift_by_the_stride_moves_the_answer_at_every_residue(name, backbone):
    check_shift(name, backbone, RESIDUES)


@pytest.mark.parametrize(("name", "backbone"), PAIRS)
def test_float32_agrees_with_float64(name, backbone):
    model = network(name, backbone)
    pictures = [torch.randn(1, 3, 37 + residue, 66 - residue) for residue in FEW]
    with torch.inference_mode():
        single = [model(picture) for picture in pictures]
        double = model.double()
        for picture, logits in zip(pictures, single, strict=True):
            want = double(picture.double())
            assert (logits.double() - want).abs().max() < 1e-4 * max(1.0, want.abs().max().item())


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backbone", FAMILIES)
def test_float32_agrees_with_float64_at_every_residue(name, backbone):
    model = network(name, backbone)
    with torch.inference_mode():
        for residue in RESIDUES:
            picture = torch.randn(1, 3, 33 + residue, 64 - residue)
            logits = model.float()(picture)
            want = model.double()(picture.double())
            assert (logits.double() - want).abs().max() < 1e-4 * max(1.0, want.abs().max().item())


@pytest.mark.parametrize(
    "backbone",
    [
        FAMILIES[0],
        "regnetx_002",
        *(pytest.param(name, marks=pytest.mark.long) for name in (*FAMILIES[1:3], "densenet121")),
    ],
)
@pytest.mark.parametrize("stride", [4, pytest.param(8, marks=pytest.mark.long), 16])
def test_a_feature_sees_exactly_the_pixels_that_the_arithmetic_says(backbone, stride):
    """A column of nan reaches a feature cell if, and only if, it lies in the cell's receptive field."""
    body = build_backbone(backbone, finest=4).eval().double()
    _, columns = body.geometry_hw[stride]
    cell = math.ceil(-columns.first / stride) + 1
    first, last = (int(edge + cell * stride) for edge in (columns.first, columns.last))

    def poisoned(outside: slice) -> bool:
        picture = torch.zeros(1, 3, 32, last + 40, dtype=torch.float64)
        picture[..., outside] = float("nan")
        with torch.inference_mode():
            return bool(body(picture)[stride][..., cell].isnan().any())

    assert not poisoned(slice(0, first))
    assert poisoned(slice(0, first + 1))
    assert not poisoned(slice(last + 1, None))
    assert poisoned(slice(last, None))


@pytest.mark.parametrize(
    ("backbone", "offsets"),
    [
        ("resnet18", [0, 0, 0, 0]),
        ("torchvision/mobilenet_v2", [0, 0, 0, 0]),
        ("torchvision/vgg16", [1.5, 3.5, 7.5, 15.5]),
        ("convnext_atto", [1.5, 3.5, 7.5, 15.5]),
    ],
)
def test_offsets_of_the_families(backbone, offsets):
    body = build_backbone(backbone, finest=4)
    assert [float(rows.offset) for rows, _ in body.geometry_hw.values()] == offsets


def test_half_pixel_placement_is_what_other_libraries_draw():
    exact, peers = network("fcn32s", "resnet18"), network("fcn32s", "resnet18", placement="half-pixel")
    picture = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        scores = peers.scores(picture)
        want = nn.functional.interpolate(scores, scale_factor=32, mode="bilinear", align_corners=False)
        torch.testing.assert_close(peers(picture), want)
        # The same scores, put where they were taken: at every 32nd pixel, from the first.
        torch.testing.assert_close(exact(picture)[..., ::32, ::32], scores)


def test_learned_upsampling_starts_equal_to_fixed():
    fixed, learned = network("fcn8s", "resnet18"), network("fcn8s", "resnet18", upsampling="learned")
    learned.load_state_dict(fixed.state_dict(), strict=False)
    picture = torch.randn(1, 3, 75, 91)
    with torch.inference_mode():
        torch.testing.assert_close(learned(picture), fixed(picture), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("init", ["bilinear", "xavier"])
def test_the_textbooks_network_is_half_pixel_learned_and_fading(init):
    """ResNet-18 up to its pooling, a 1x1 convolution to 21 classes, ConvTranspose2d(21, 21, 64, stride 32, padding 16)."""
    torch.manual_seed(1)
    ours = build_model(
        "fcn32s", backbone="torchvision/resnet18", num_classes=21, upsampling="learned", init=init,
        placement="half-pixel", border="fade",
    ).eval()  # fmt: skip
    pretrained = torchvision.models.resnet18(weights=None)
    textbook = nn.Sequential(*list(pretrained.children())[:-2], nn.Conv2d(512, 21, 1))
    textbook.append(nn.ConvTranspose2d(21, 21, 64, padding=16, stride=32, bias=False)).eval()
    for mine, theirs in zip(ours.state_dict().values(), textbook.state_dict().values(), strict=True):
        theirs.copy_(mine)
    if init == "bilinear":
        torch.testing.assert_close(textbook[-1].weight.data, bilinear_kernel(21, 21, 64))
    with torch.inference_mode():
        picture = torch.randn(1, 3, 320, 480)
        assert textbook[:-2](picture).shape == (1, 512, 10, 15)
        want = textbook(picture)
        assert want.shape == (1, 21, 320, 480)
        torch.testing.assert_close(ours(picture), want, rtol=1e-4, atol=1e-5)
        picture = torch.randn(
            1, 3, 97, 131
        )  # no multiples of 32: the textbook's answer is larger, ours is cut
        want = textbook(picture)
        assert want.shape == (1, 21, 128, 160)
        torch.testing.assert_close(ours(picture), want[..., :97, :131], rtol=1e-4, atol=1e-5)


def test_the_textbooks_relu_hides_what_a_class_is_not():
    plain, cut = network("fcn32s", "resnet18"), network("fcn32s", "resnet18", score_relu=True)
    nn.init.constant_(plain.score["32"].bias, -1)
    cut.load_state_dict(plain.state_dict())
    picture = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(cut.scores(picture), plain.scores(picture).relu())
        assert (plain.scores(picture) < 0).any()


def test_a_pre_activation_backbone_ends_behind_its_last_norm():
    """The textbook's ResNet101V2 ends in batch norm and ReLU; timm's stages end before them."""
    backbone = build_backbone("resnetv2_50", 32)
    classifier = timm.create_model("resnetv2_50").eval()
    state = {name.removeprefix("model."): tensor for name, tensor in backbone.body.state_dict().items()}
    classifier.load_state_dict(state, strict=False)
    picture = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        features = backbone.eval()(picture)[32]
        assert features.shape == (1, 2048, 2, 3)
        assert torch.equal(features, classifier.forward_features(picture))
        assert features.min() == 0


def test_autocast_does_not_touch_the_upsampling():
    model = network("fcn16s", "resnet18")
    picture = torch.randn(1, 3, 75, 91)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits, scores = model(picture), model.scores(picture)
    assert logits.dtype == scores.dtype == torch.float32
    assert torch.equal(logits, model.upsampled(scores, 16, (75, 91)))


def test_zero_skips_leave_the_coarse_answer():
    model = network("fcn8s", "resnet18", skip_init="zero")
    assert model.score["8"].weight.abs().sum() == 0
    assert model.score["32"].weight.abs().sum() > 0


def test_gradients_reach_every_layer():
    model = network("fcn4s", "torchvision/resnet18", upsampling="learned").train()
    model(torch.randn(2, 3, 65, 65)).square().mean().backward()
    missing = [
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.any()
    ]
    assert not missing


def test_golden_logits():
    """A network whose weights are a fixed wave answers the same in every version."""
    model = network("fcn8s", "resnet18").double()
    with torch.no_grad():
        for index, parameter in enumerate(model.parameters()):
            wave = torch.arange(parameter.numel(), dtype=torch.float64).mul(0.37).add(index).sin()
            parameter.copy_((wave * 0.05 + (1.0 if parameter.dim() == 1 else 0.0)).view_as(parameter))
        ramp = torch.linspace(-1, 1, 45 * 53, dtype=torch.float64).view(1, 1, 45, 53).expand(1, 3, 45, 53)
        logits = model(ramp)
    got = [
        round(logits[0, k, y, x].item(), 6) for k, y, x in ((0, 0, 0), (1, 22, 26), (2, 44, 52), (0, 44, 0))
    ]
    assert got == GOLDEN


GOLDEN = [3.524222, 2.50785, 2.268503, 3.523258]


def test_a_backbone_without_stride_32_ends_where_it_ends():
    model = network("fcn8s", "torchvision/squeezenet1_0")
    assert model.strides == [16, 8]
    assert model(torch.randn(1, 3, 41, 1)).shape == (1, 3, 41, 1)


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (31, 33), (97, 131), (375, 500)])
def test_any_size(size):
    model = network("fcn8s", "torchvision/mobilenet_v2")
    with torch.inference_mode():
        assert model(torch.randn(1, 3, *size)).shape == (1, 3, *size)


def test_names_that_do_not_exist():
    with pytest.raises(UnknownNameError, match="unknown model 'fcn8'; did you mean 'fcn8s'"):
        build_model("fcn8", num_classes=2)
    with pytest.raises(UnknownNameError, match="unknown backbone 'resnet81'; did you mean 'resnet"):
        build_model("fcn8s", num_classes=2, backbone="resnet81")
    with pytest.raises(UnknownNameError, match="did you mean 'torchvision/mobilenet_v2'"):
        build_model("fcn8s", num_classes=2, backbone="torchvision/mobilenet2")
    with pytest.raises(InputError, match="num_classes is 0"):
        build_model("fcn8s", num_classes=0)
    with pytest.raises(InputError, match=r"feature maps at strides .* none at 4"):
        build_model("fcn4s", num_classes=2, backbone="vit_tiny_patch16_224")


def test_a_hidden_layer_stands_before_the_scores():
    model = network("fcn8s", "test_resnet", hidden_channels=6)
    assert [type(layer).__name__ for layer in model.score["32"]] == [
        "Conv2d",
        "BatchNorm2d",
        "ReLU",
        "Conv2d",
    ]
    features = torch.randn(1, model.backbone.channels[8], 5, 7)
    want = model.score["8"][3](torch.relu(model.score["8"][1](model.score["8"][0](features))))
    torch.testing.assert_close(model.scored({8: features}, 8), want)
    check_shift("fcn8s", "test_resnet", [1], hidden_channels=6)


def test_tiles_of_a_network_with_hidden_layers_are_exact():
    model = network("fcn8s", "test_resnet", hidden_channels=6)
    picture = torch.randint(
        0, 256, (229, 411, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    ).numpy()
    whole = fullconv.Segmenter(model, precision="fp32", tile="whole").predict(picture).logits
    tiled = fullconv.Segmenter(model, precision="fp32", tile=96).predict(picture).logits
    assert (tiled - whole).abs().max() < 1e-4 * whole.abs().max()
