"""Dense classifiers: the classifier's logits at its own size, the same answers slid over larger pictures."""

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from PIL import Image
from torch import nn

from fullconv.errors import InputError
from fullconv.models.convolutionalize import convolutionalize, window_of
from fullconv.ops.tracing import evaluating


class Flattening(nn.Module):
    """A classifier like VGG: convolutions, a pool to k x k, Linear layers on the flattened map."""

    def __init__(self, padding: int = 1, pool: int = 3, head: nn.Module | None = None):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(6, 8, 3, padding=padding), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.avgpool = nn.AdaptiveAvgPool2d(pool)
        self.classifier = head or nn.Sequential(
            nn.Linear(8 * pool * pool, 12), nn.ReLU(True), nn.Dropout(), nn.Linear(12, 5)
        )

    def forward(self, x):
        x = self.avgpool(self.features(x))
        return self.classifier(x.view(x.size(0), -1))


class Ending(nn.Module):
    """A trunk without padding, and whatever follows its 8-channel map."""

    def __init__(self, end, **layers):
        super().__init__()
        self.trunk = nn.Sequential(nn.Conv2d(3, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2))
        self.end = end
        for name, layer in layers.items():
            setattr(self, name, layer)

    def forward(self, x):
        return self.end(self, self.trunk(x))


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def lively(classifier: nn.Module, side: int) -> nn.Module:
    """Gives batch norms the statistics of noise: untrained, many networks answer nearly nothing."""
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1
            module.train()
    with torch.no_grad():
        classifier.eval()
        for module in classifier.modules():
            module.training = isinstance(module, nn.BatchNorm2d)
        classifier(noise(1, 3, side, side, seed=9, dtype=torch.float32))
    return classifier.eval()


NETWORKS = {
    "vgg-like": (lambda: Flattening(), 12),
    "squeezenet": (lambda: torchvision.models.squeezenet1_1(num_classes=7), 96),
    "resnet": (lambda: torchvision.models.resnet18(num_classes=7), 96),
    "mobilenet": (lambda: torchvision.models.mobilenet_v2(num_classes=7, width_mult=0.35), 96),
    "timm mobilenet": (lambda: timm.create_model("mobilenetv3_small_050", num_classes=7), 224),
    "timm convnext": (lambda: timm.create_model("test_convnext", num_classes=7), 160),
    "timm vgg head": (lambda: timm.create_model("test_resnet", num_classes=7, global_pool="catavgmax"), 160),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_the_logits_at_the_own_size(name):
    torch.manual_seed(1)
    build, side = NETWORKS[name]
    classifier = lively(build(), side)
    for dtype, tolerance in ((torch.float32, 1e-4), (torch.float64, 1e-10)):
        classifier = classifier.to(dtype)
        dense = convolutionalize(classifier, side if side < 100 else None)
        assert dense.window_hw == (side, side)
        graph = dense.network.graph
        steps = [dense.network.get_submodule(node.target) for node in graph.nodes if node.op == "call_module"]
        assert not any(isinstance(step, nn.Linear) for step in steps)
        picture = noise(2, 3, side, side, dtype=dtype)
        with torch.no_grad():
            want, got = classifier(picture), dense(picture)
        assert want.std() > 1e-3
        assert got.shape == (2, want.shape[1], 1, 1)
        assert dense.num_classes == want.shape[1]
        torch.testing.assert_close(got[:, :, 0, 0], want, atol=tolerance, rtol=0)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "receptive_field"),
    [
        ("alexnet", 355),  # as in the paper
        ("vgg16", 404),
        *((name, None) for name in (
            "resnet18", "mobilenet_v2", "densenet121", "efficientnet_b0", "convnext_tiny", "regnet_y_400mf", "googlenet",
            "inception_v3", "shufflenet_v2_x0_5", "mnasnet0_5", "swin_t",
        )),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")
def test_more_networks(name, receptive_field):
    torch.manual_seed(1)
    classifier = getattr(torchvision.models, name)()
    dense = convolutionalize(lively(classifier, 299 if name == "inception_v3" else 224))
    picture = noise(1, 3, *dense.window_hw, dtype=torch.float32)
    with torch.no_grad():
        torch.testing.assert_close(dense(picture)[:, :, 0, 0], classifier(picture), atol=1e-4, rtol=1e-4)
    if receptive_field:
        assert dense.geometry_hw[0].receptive_field == receptive_field


@pytest.mark.parametrize(
    ("build", "side"),
    [
        (lambda: Flattening(padding=0, pool=3), 18),
        # 6 x 6 cells pooled to 3 x 3: slid by one cell, a convolution with gaps.
        (lambda: Flattening(padding=0, pool=3), 30),
        (lambda: Flattening(padding=0, pool=1), 22),
        (lambda: Ending(lambda n, x: n.fc(x.mean((2, 3))), fc=nn.Linear(8, 5)), 21),
        (lambda: Ending(lambda n, x: n.fc(F.adaptive_max_pool2d(x, 1).flatten(1)), fc=nn.Linear(8, 5)), 21),
        (
            lambda: Ending(
                lambda n, x: n.fc(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)), fc=nn.Linear(16, 5)
            ),
            21,
        ),
        (
            lambda: Ending(
                lambda n, x: F.softmax(n.fc(n.norm(F.avg_pool2d(x, 4).flatten(1)) * n.scale), dim=-1),
                fc=nn.Linear(8, 5), norm=nn.LayerNorm(8), scale=nn.Parameter(torch.rand(8)),
            ),
            21,
        ),
        (
            lambda: Ending(
                lambda n, x: n.fc(F.avg_pool2d(x.clamp(1e-3) ** 3, (x.size(2), x.size(3)))[:, :, 0, 0] ** (1 / 3)),
                fc=nn.Sequential(nn.Linear(8, 6), nn.BatchNorm1d(6), nn.Hardswish(), nn.Linear(6, 5, bias=False)),
            ),
            21,
        ),
        (lambda: Ending(lambda n, x: n.fc(x).mean((2, 3)), fc=nn.Conv2d(8, 5, 2)), 25),
    ],
    ids=["flat", "dilated", "global", "mean", "max", "both", "norm and softmax", "generalised mean", "scores pooled"],
)  # fmt: skip
def test_without_padding_each_cell_is_the_classifier_on_a_crop(build, side):
    torch.manual_seed(2)
    classifier = build().double().eval()
    for module in classifier.modules():
        if isinstance(module, nn.BatchNorm1d):
            nn.init.uniform_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    dense = convolutionalize(classifier, side)
    picture = noise(2, 3, side + 19, side + 33)
    rows = dense.geometry_hw[0]
    stride = int(rows.stride)
    assert (rows.receptive_field, rows.offset) == (side, (side - 1) / 2)
    with torch.no_grad():
        maps = dense(picture)
        assert maps.shape[2:] == (19 // stride + 1, 33 // stride + 1)
        for i in range(maps.shape[2]):
            for j in range(maps.shape[3]):
                crop = picture[:, :, stride * i : stride * i + side, stride * j : stride * j + side]
                torch.testing.assert_close(maps[:, :, i, j], classifier(crop), atol=1e-10, rtol=0)


def test_each_cell_is_the_tail_on_a_piece_of_the_trunks_map():
    torch.manual_seed(3)
    classifier = lively(torchvision.models.resnet18(num_classes=7), 96).double()
    dense = convolutionalize(classifier, 96)
    picture = noise(1, 3, 165, 129)
    with torch.no_grad():
        trunk = nn.Sequential(*list(classifier.children())[:-2])(picture)
        maps = dense(picture)
        assert trunk.shape[2:] == (6, 5)
        assert maps.shape == (1, 7, 4, 3)
        for i in range(4):
            for j in range(3):
                want = classifier.fc(trunk[:, :, i : i + 3, j : j + 3].mean((2, 3)))
                torch.testing.assert_close(maps[:, :, i, j], want, atol=1e-10, rtol=0)


def test_shifting_the_picture_shifts_the_map_where_no_padding_is_seen():
    torch.manual_seed(4)
    dense = convolutionalize(Flattening(padding=1).double(), 12)
    axis = dense.geometry_hw[0]
    picture = noise(1, 3, 60, 60)
    with torch.no_grad():
        before, after = dense(picture), dense(picture[:, :, 4:, 8:])
    inside = [i for i in range(after.shape[2]) if axis.first + 4 * i >= 0 and axis.last + 4 * i < 52]
    assert len(inside) >= 8
    low, high = inside[0], inside[-1] + 1
    torch.testing.assert_close(
        after[:, :, low:high, low:high],
        before[:, :, low + 1 : high + 1, low + 2 : high + 2],
        atol=1e-12,
        rtol=0,
    )
    assert not torch.allclose(after[:, :, 0, 0], before[:, :, 1, 2], atol=1e-6)


def test_geometry_is_where_the_cells_look():
    torch.manual_seed(5)
    dense = convolutionalize(Flattening(padding=1).double(), 12)
    picture = noise(1, 3, 60, 44).requires_grad_()
    maps = dense(picture)
    for (i, j), channel in [((6, 4), 0), ((7, 5), 3)]:
        (gradient,) = torch.autograd.grad(maps[0, channel, i, j], picture, retain_graph=True)
        for axis, geometry, cell in zip((0, 1), dense.geometry_hw, (i, j), strict=True):
            seen = gradient[0].abs().sum(0).sum(1 - axis).nonzero()
            assert geometry.first + cell * geometry.stride <= int(seen.min())
            assert int(seen.max()) <= geometry.last + cell * geometry.stride
            assert (
                int(seen.max() - seen.min()) >= geometry.receptive_field - 4
            )  # a maximum may be taken elsewhere


def test_maps_on_pixels():
    dense = convolutionalize(Flattening(padding=0), 18)
    axis = dense.geometry_hw[0]
    ramp = torch.tensor([float(axis.stride * i + axis.offset) for i in range(6)])
    on_pixels = dense.on_pixels(ramp[None, None, :, None].expand(1, 1, 6, 3), (38, 27))
    assert on_pixels.shape == (1, 1, 38, 27)
    torch.testing.assert_close(on_pixels[0, 0, 9:29, 0], torch.arange(9.0, 29.0))


def test_a_network_that_takes_multiples_only():
    torch.manual_seed(6)
    classifier = lively(timm.create_model("dla46_c", num_classes=7), 224)
    dense = convolutionalize(classifier)
    assert dense.step == 32
    picture = noise(1, 3, 224 + 40, 224 + 31, dtype=torch.float32)
    with torch.no_grad():
        maps = dense(picture)
        assert maps.shape == (1, 7, 3, 2)
        wide = dense(F.pad(picture, (0, 1, 0, 24)))
        torch.testing.assert_close(maps, wide)


def test_the_classifier_is_left_alone_and_names_are_kept():
    classifier = Flattening().train()
    before = {name: tensor.clone() for name, tensor in classifier.state_dict().items()}
    dense = convolutionalize(classifier, 12)
    assert classifier.training
    assert classifier.classifier[0].weight.shape == (12, 72)
    assert not dense.training
    for parameter in dense.parameters():
        nn.init.zeros_(parameter)
    assert all(torch.equal(tensor, before[name]) for name, tensor in classifier.state_dict().items())
    assert {name.removeprefix("network.") for name in dense.state_dict()} == set(before)
    assert dense.state_dict()["network.classifier.0.weight"].shape == (12, 8, 3, 3)


def test_dropout_is_kept():
    dense = convolutionalize(Flattening(), 12)
    picture = noise(1, 3, 20, 20, dtype=torch.float32)
    assert torch.equal(dense(picture), dense(picture))
    dense.train()
    assert not torch.equal(dense(picture), dense(picture))


def test_windows():
    class Inception3(nn.Module):
        pass

    assert window_of(nn.Identity(), None) == (224, 224)
    assert window_of(Inception3(), None) == (299, 299)
    assert window_of(Inception3(), 96) == (96, 96)
    assert window_of(nn.Identity(), (96, 128)) == (96, 128)
    assert convolutionalize(Flattening(), (12, 24)).window_hw == (12, 24)


class Tokens(nn.Module):
    """A map cut into tokens that attend to each other; no fixed size, but no form that slides either."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.mixer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        tokens = self.stem(x).flatten(2).transpose(1, 2)
        return self.fc(self.mixer(tokens, tokens, tokens)[0].mean(1))


class Positions(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.place = Embedded()
        self.fc = nn.Linear(8, 5)

    def forward(self, x):
        return self.fc(self.place(self.stem(x)).mean((2, 3)))


class Embedded(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Parameter(torch.randn(1, 8, 4, 4))

    def forward(self, x):
        return x + self.embedding


@pytest.mark.parametrize(
    ("classifier", "side", "message"),
    [
        (Ending(lambda n, x: n.fc(x[:, :, :1].mean((2, 3))), fc=nn.Linear(8, 5)), 21,
         r"layer 'forward' \(getitem\) makes \(1, 8, 1, 4\) of the 4 x 4 map"),
        # The mean over channels and rows has, by chance, the shape of global pooling.
        (Ending(lambda n, x: n.fc(x.mean((1, 2))), fc=nn.Linear(8, 5)), 37,
         r"at 37 x 37 the converted network returns \(1, 5, 1, 1\), .* away from"),
        (
            timm.create_model("vit_tiny_patch16_224", depth=1), None,
            "VisionTransformer .* layer 'patch_embed' takes pictures of 224 x 224, not",
        ),
        (Positions(), 16, r"layer 'place' takes pictures of 16 x 16, not of other sizes \(The size of tensor"),
        (Tokens(), 16, r"layer 'forward' \(flatten\) makes \(1, 8, 16\) of the 4 x 4 map"),
        (Flattening(pool=2), 12, r"layer 'avgpool' \(AdaptiveAvgPool2d\) pools 3 x 3 cells to 2 x 2, in parts of unequal"),
        (
            Flattening(head=nn.Sequential(nn.LayerNorm(72), nn.Linear(72, 5))),
            12,
            r"layer 'classifier.0' \(LayerNorm\) needs the whole flattened map",
        ),
        (Ending(lambda n, x: n.fc(x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))), fc=nn.Linear(8, 5)), 23,
         "layer 'forward' does what torch.fx cannot follow"),
        (Ending(lambda n, x: n.fc(x.flatten(1)), fc=nn.Linear(32, 5)), None, "does not take a picture of 224 x 224 .*input_size"),
        (nn.Conv2d(3, 5, 3), 23, r"returns shape \(1, 5, 21, 21\) .* expected logits \(N, K\)"),
        (Flattening(), 0, "input_size is"),
    ],
)  # fmt: skip
def test_what_cannot_be_converted_says_which_layer_and_why(classifier, side, message):
    with pytest.raises(InputError, match=message):
        convolutionalize(classifier, side)


def test_pictures_smaller_than_the_window():
    with pytest.raises(
        InputError, match=r"the picture is 11 x 20; this classifier's window is 12 x 12: enlarge"
    ):
        convolutionalize(Flattening(), 12)(torch.zeros(1, 3, 11, 20))


CATS, DOGS = slice(281, 286), slice(151, 269)


@pytest.fixture(scope="module")
def catdog(real_data):
    with Image.open(real_data / "images" / "catdog.jpg") as image:
        pixels = torchvision.transforms.functional.pil_to_tensor(image)[None] / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    return (pixels - mean[:, None, None]) / std[:, None, None]


def published(real_data, name: str) -> nn.Module:
    (file,) = (real_data / "weights").glob(f"{name}_*.pth")
    classifier = getattr(torchvision.models, name)()
    classifier.load_state_dict(torch.load(file, weights_only=True))
    return classifier.eval()


@pytest.mark.parametrize("name", ["mobilenet_v2", "squeezenet1_0"])
def test_the_cat_is_where_the_cat_is(real_data, catdog, name):
    dense = convolutionalize(published(real_data, name))
    with torch.no_grad():
        cells = dense(catdog).softmax(1)
    for classes, (top, left, bottom, right) in ((CATS, (115, 400, 485, 660)), (DOGS, (40, 55, 515, 440))):
        heat = dense.on_pixels(cells[:, classes].sum(1, keepdim=True), (561, 728))[0, 0]
        row, column = divmod(int(heat.argmax()), 728)
        assert heat.max() > 0.5
        assert top <= row <= bottom
        assert left <= column <= right


def test_the_map_says_what_the_classifier_says_of_crops(real_data, catdog):
    """Padding makes the two differ, as the docstring of `convolutionalize` says; here not by much (0.87 at the least)."""
    classifier = published(real_data, "squeezenet1_0")
    dense = convolutionalize(classifier)
    corners = [(0, 32), (64, 64), (128, 384), (192, 256), (224, 416), (320, 96)]
    with torch.no_grad(), evaluating(classifier):
        maps = dense(catdog)[0]
        crops = classifier(torch.cat([catdog[:, :, y : y + 224, x : x + 224] for y, x in corners]))
    cells = torch.stack([maps[:, y // 16, x // 16] for y, x in corners])
    alike = torch.corrcoef(torch.cat([cells, crops]))[:6, 6:]
    assert alike.diagonal().min() > 0.85
    assert alike.argmax(1).tolist() == list(range(6))
