"""The ladder: the original's order and numbers, every size, where it looks, and the weights it starts from."""

from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from fullconv.errors import ConfigError, InputError, RunError
from fullconv.models.ladder import Ladder, VggPools, load_features, load_vgg16
from fullconv.ops.geometry import Window, chain
from fullconv.ops.tracing import place_of, trace

SKIPS = {32: (), 16: (16,), 8: (16, 8), 2: (16, 8, 4, 2)}
DOCUMENT_SKIPS = {32: [], 16: [4], 8: [4, 3], 2: [4, 3, 2, 1]}
"""Of each network by its stride: strides, and numbers of poolings."""
VGG16 = [(1, 2), (2, 2), (4, 3), (8, 3), (8, 3)]
"""Width, in parts of the narrowest block's, and number of convolutions of each block."""


def small_vgg(parts: int = 4) -> nn.Sequential:
    """VGG16's features with `parts` channels in the first block instead of 64."""
    layers = [layer for width, count in VGG16 for layer in [parts * width] * count + ["M"]]
    return torchvision.models.vgg.make_layers(layers)


def small_ladder(stride: int = 2, num_classes: int = 3) -> Ladder:
    """A narrow ladder in float64 whose normalisation is not the identity."""
    torch.manual_seed(7)
    ladder = Ladder(num_classes, SKIPS[stride], small_vgg()).double().eval()
    for module in ladder.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.uniform_(module.bias, -1, 1)
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.05, 0.2)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
            nn.init.uniform_(module.bias, -0.1, 0.1)
    return ladder


class Original(nn.Module):
    """The document's two classes as it describes them, width by width; floor poolings; only multiples of 32."""

    def __init__(self, parts: int, num_classes: int, skips: list[int]) -> None:
        super().__init__()
        self.skips = skips
        self.blocks = nn.ModuleList()
        before = 3
        for width, count in VGG16:
            self.blocks.append(nn.ModuleList())
            for _ in range(count):
                self.blocks[-1].append(nn.Conv2d(before, parts * width, 3, padding=1))
                before = parts * width
        ins, outs = [8, 8, 4, 2, 1], [8, 4, 2, 1, 0.5]
        for i in range(5):
            deconv = nn.ConvTranspose2d(int(ins[i] * parts), int(outs[i] * parts), 3, 2, 1, output_padding=1)
            setattr(self, f"deconv{i + 1}", deconv)
            setattr(self, f"bn{i + 1}", nn.BatchNorm2d(int(outs[i] * parts)))
        self.classifier = nn.Conv2d(parts // 2, num_classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        pool = {}
        for number, block in enumerate(self.blocks, 1):
            for convolution in block:
                x = convolution(x).clamp(min=0)
            pool[number] = x = F.max_pool2d(x, kernel_size=2, stride=2)
        for rung in range(1, 6):
            x = getattr(self, f"deconv{rung}")(x).clamp(min=0)
            if 5 - rung in self.skips:
                x = x + pool[5 - rung]
            x = getattr(self, f"bn{rung}")(x)
        return self.classifier(x)


def original_of(ladder: Ladder) -> Original:
    """The document's network with the ladder's weights, copied by position as the document copies VGG's."""
    original = Original(4, ladder.num_classes, DOCUMENT_SKIPS[ladder.stride]).double()
    original.load_state_dict(dict(zip(original.state_dict(), ladder.state_dict().values(), strict=True)))
    return original


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("stride", DOCUMENT_SKIPS)
def test_the_originals_numbers_at_multiples_of_32(stride, training):
    ladder = small_ladder(stride).train(training)
    original = original_of(ladder).train(training)
    generator = torch.Generator().manual_seed(stride)
    for height, width in ((32, 64), (96, 32)):
        pictures = torch.randn(2, 3, height, width, dtype=torch.float64, generator=generator)
        logits = ladder(pictures)
        assert logits.std() > 0.1
        torch.testing.assert_close(logits, original(pictures), rtol=1e-12, atol=1e-12)


def test_any_other_order_would_be_seen():
    ladder, pictures = small_ladder(2), torch.randn(2, 3, 32, 64, dtype=torch.float64)
    rung, low, skip = ladder.rungs[0], torch.randn(1, 32, 2, 2).double(), torch.randn(1, 32, 4, 4).double()
    ours = rung(low, (4, 4), skip)
    torch.testing.assert_close(ours, rung.norm(rung.deconv(low).relu() + skip))
    for other in (rung.norm(rung.deconv(low)).relu() + skip, rung.norm((rung.deconv(low) + skip).relu())):
        assert (ours - other).abs().max() > 0.1
    answers = [small_ladder(stride)(pictures) for stride in SKIPS]
    for finer, coarser in pairwise(answers):
        assert (finer - coarser).abs().max() > 1e-3


def test_the_original_breaks_at_500_and_the_ladder_does_not():
    ladder, picture = small_ladder(), torch.randn(1, 3, 500, 352, dtype=torch.float64)
    with pytest.raises(RuntimeError, match=r"size of tensor a \(30\) must match the size of tensor b \(31\)"):
        original_of(ladder)(picture)
    assert ladder(picture).shape == (1, 3, 500, 352)


@pytest.mark.parametrize("stride", SKIPS)
@settings(max_examples=25)
@given(st.integers(1, 70), st.integers(1, 70))
def test_every_size(stride, height, width):
    picture = torch.zeros(1, 3, height, width, dtype=torch.float64)
    assert LADDERS[stride](picture).shape == (1, 3, height, width)


LADDERS = {stride: small_ladder(stride) for stride in SKIPS}


@pytest.mark.parametrize("size", [1, 2, 31, 33, 64, 75])
def test_the_last_row_alone_counts_in_each_pooling(size):
    """Pooling all pixels of a 2x2 cell that there are; nothing else is asked of a transposed convolution than its own sizes."""
    pools = VggPools(small_vgg()).eval()
    want = size
    for pool in pools(torch.zeros(1, 3, size, 40)):
        rows, want = want, -(-want // 2)
        assert pool.shape[2] == want
        assert rows in (2 * want - 1, 2 * want)
    x = torch.randn(1, 2, size, 6)
    below = F.pad(x, (0, 0, 0, size % 2), value=-torch.inf)
    torch.testing.assert_close(nn.MaxPool2d(2, ceil_mode=True)(x), F.max_pool2d(below, 2))


@pytest.mark.parametrize("size", [1, 4, 9])
def test_cutting_a_rung_is_output_padding_zero(size):
    rung = small_ladder().rungs[2]
    x = torch.randn(1, rung.deconv.in_channels, size, size, dtype=torch.float64)
    odd = 2 * size - 1
    plain = F.conv_transpose2d(x, rung.deconv.weight, rung.deconv.bias, stride=2, padding=1, output_padding=0)
    torch.testing.assert_close(rung(x, (odd, odd), None), rung.norm(plain.relu()))


@pytest.mark.parametrize("extra", [1, 15, 31])
def test_an_odd_end_changes_nothing_far_from_it(extra):
    """Columns that do not see the end are those of the wider picture, whose width is a multiple of 32."""
    ladder = LADDERS[2]
    canvas = torch.randn(1, 3, 9, 512, dtype=torch.float64, generator=torch.Generator().manual_seed(extra))
    with torch.inference_mode():
        whole, cut = ladder(canvas), ladder(canvas[..., : 480 + extra])
    # A pixel sees 153 columns to its right at most; the last cells of the cut picture's poolings are other ones.
    inside = 480 - 153 - 32
    torch.testing.assert_close(cut[..., :inside], whole[..., :inside], rtol=1e-10, atol=1e-10)
    assert (cut[..., 480:] - whole[..., 480 : 480 + extra]).abs().max() > 1e-6


def test_a_shift_by_32_moves_the_answer():
    ladder = LADDERS[2]
    canvas = torch.randn(1, 3, 9, 531, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        here, there = ladder(canvas[..., :499])[..., 32:], ladder(canvas[..., 32:])[..., :-32]
    torch.testing.assert_close(here[..., 160:300], there[..., 160:300], rtol=1e-10, atol=1e-10)
    assert here[..., 160:300].std() > 0.1


def test_float32_agrees_with_float64():
    double = small_ladder()
    picture = torch.randn(1, 3, 61, 45, dtype=torch.float64)
    with torch.inference_mode():
        want = double(picture)
        got = double.float()(picture.float())
    assert (got - want).abs().max() < 1e-4 * want.abs().max()


def test_bfloat16_convolutions_leave_the_decoder_in_float32():
    ladder = small_ladder().float()
    seen = []
    ladder.rungs[0].deconv.register_forward_hook(lambda _, inputs, output: seen.append(output.dtype))
    picture = torch.randn(1, 3, 64, 64)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = ladder(picture)
    assert logits.dtype == torch.float32
    assert seen == [torch.float32]
    with torch.inference_mode():
        assert (logits - ladder(picture)).abs().max() < 0.1 * logits.abs().max()


def test_the_decoder_is_displaced_by_half_a_cell_a_rung():
    rung = Window(kernel=3, stride=2, padding=1, transposed=True, output_padding=1)
    pool = Window(kernel=2, stride=2)
    displacements = [float(chain([pool] * depth + [rung] * depth).offset) for depth in (5, 4, 3, 2, 1)]
    assert displacements == [15.5, 7.5, 3.5, 1.5, 0.5]
    # The transposed convolution that puts them back has four taps; it is not the document's.
    assert chain([pool, Window(kernel=4, stride=2, padding=1, transposed=True)]).offset == 0

    place = place_of(trace(small_ladder(32).float(), (64, 64))[0])
    assert (place.rows.stride, place.rows.offset, place.rows.receptive_field) == (1, 15.5, 274)


@pytest.mark.parametrize("stride", [32, 2])
@pytest.mark.parametrize(("column", "first", "last"), [(128, 38, 249), (129, 38, 281), (143, 38, 281)])
def test_a_pixel_sees_columns_centred_further_right(stride, column, first, last):
    """One cell of pool5 at multiples of 32, 212 columns centred 15.5 further on; two cells, 244 columns, between them."""

    def poisoned(outside: slice) -> bool:
        picture = torch.zeros(1, 3, 8, 320, dtype=torch.float64)
        picture[..., outside] = float("nan")
        with torch.inference_mode():
            return bool(LADDERS[stride](picture)[..., column].isnan().any())

    assert not poisoned(slice(0, first))
    assert poisoned(slice(0, first + 1))
    assert not poisoned(slice(last + 1, None))
    assert poisoned(slice(last, None))
    assert (first + last) / 2 == column // 32 * 32 + 15.5 + (16 if column % 32 else 0)


def test_one_tiny_picture_cannot_be_trained_on():
    ladder = small_ladder().train()
    with pytest.raises(
        InputError, match=r"one picture of 16 x 9 pixels in training; .* needs a batch of two"
    ):
        ladder(torch.zeros(1, 3, 16, 9, dtype=torch.float64))
    for shape in ((2, 3, 1, 1), (1, 3, 17, 1), (1, 3, 1, 17)):
        ladder(torch.zeros(shape, dtype=torch.float64)).sum().backward()
    assert ladder.eval()(torch.zeros(1, 3, 1, 1, dtype=torch.float64)).shape == (1, 3, 1, 1)


def test_every_parameter_learns():
    ladder = small_ladder(8).train()
    ladder(torch.randn(2, 3, 33, 47, dtype=torch.float64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in ladder.parameters())
    assert all(rung.deconv.weight.grad.abs().max() > 0 for rung in ladder.rungs)


@pytest.fixture(scope="module")
def vgg16_state():
    """The state of torchvision's vgg16, its classifier's tensors cut to one row to keep it small."""
    with torch.device("meta"):
        empty = torchvision.models.vgg16().state_dict()
    generator = torch.Generator().manual_seed(11)
    shapes = {
        name: tensor.shape if name.startswith("features.") else (1, *tensor.shape[1:])
        for name, tensor in empty.items()
    }
    return {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("whole", [True, False])
def test_weights_by_name_are_those_by_position(vgg16_state, tmp_path, whole):
    state = {name: tensor for name, tensor in vgg16_state.items() if whole or name.startswith("features.")}
    save_file(state, tmp_path / "vgg16.safetensors")
    ladder = load_vgg16(Ladder(21), tmp_path / "vgg16.safetensors")
    own = ladder.backbone.state_dict()
    assert len(own) == 26
    for (name, tensor), (other, value) in zip(own.items(), vgg16_state.items(), strict=False):
        assert name == other
        assert torch.equal(tensor, value)
    widths = [rung.deconv.weight.shape[:2] for rung in ladder.rungs]
    assert widths == [(512, 512), (512, 256), (256, 128), (128, 64), (64, 32)]
    assert {(rung.deconv.kernel_size, rung.deconv.stride, rung.deconv.padding, rung.deconv.output_padding)
            for rung in ladder.rungs} == {((3, 3), (2, 2), (1, 1), (1, 1))}  # fmt: skip
    features = 14_714_688
    decoder = sum(9 * i * o + o + 2 * o for i, o in widths)
    assert sum(parameter.numel() for parameter in ladder.parameters()) == features + decoder + 32 * 21 + 21


def test_start_weights_are_drawn_as_torchvision_draws_them():
    """Kaiming's normal distribution over the outputs, biases zero."""
    for layer in Ladder(2).backbone.features:
        if isinstance(layer, nn.Conv2d):
            want = (2 / (9 * layer.out_channels)) ** 0.5
            assert abs(layer.weight.std().item() / want - 1) < 0.1
            assert (layer.bias == 0).all()


def test_pretrained_weights(vgg16_state, monkeypatch):
    asked = []

    def published(self, *_, **options):
        asked.append((self, options["check_hash"]))
        return vgg16_state

    monkeypatch.setattr(torchvision.models.VGG16_Weights, "get_state_dict", published)
    own = load_vgg16(Ladder(2), "pretrained").backbone.state_dict()
    assert asked == [(torchvision.models.VGG16_Weights.IMAGENET1K_V1, True)]
    assert all(torch.equal(tensor, vgg16_state[name]) for name, tensor in own.items())

    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(torchvision.models.VGG16_Weights, "get_state_dict", no_network)
    with pytest.raises(RunError, match=r"no pretrained weights of torchvision's VGG16 \(no network\); give"):
        load_vgg16(small_ladder(), "pretrained")


def test_no_weights_change_nothing():
    ladder = small_ladder()
    before = {name: tensor.clone() for name, tensor in ladder.state_dict().items()}
    assert load_vgg16(ladder, "none") is ladder
    assert all(torch.equal(tensor, before[name]) for name, tensor in ladder.state_dict().items())


def test_weights_that_do_not_fit(tmp_path):
    ladder = small_ladder()
    state = ladder.backbone.state_dict()
    cut = {key: tensor for key, tensor in state.items() if key != "features.28.bias"}
    save_file(cut, tmp_path / "cut.safetensors")
    with pytest.raises(
        InputError,
        match=r"cut\.safetensors does not fit the ladder's VGG16: 1 tensors differ, first 'features\.28\.bias'",
    ):
        load_vgg16(ladder, tmp_path / "cut.safetensors")
    for other in ({"features.40.weight": torch.zeros(1)}, {"features.0.weight": torch.zeros(4, 4, 3, 3)}):
        with pytest.raises(InputError, match=f"1 tensors differ, first '{next(iter(other))}'"):
            load_features(ladder.backbone, {**state, **other}, "a.pth")
    with pytest.raises(ConfigError, match="no backbone weights at nowhere"):
        load_vgg16(ladder, "nowhere.pth")


def test_wrong_arguments():
    with pytest.raises(InputError, match=r"skips of strides \(16, 7\); expected some of \(16, 8, 4, 2\)"):
        Ladder(2, (16, 7), small_vgg())
    with pytest.raises(InputError, match="got 1 poolings; expected the 5"):
        Ladder(2, features=nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2)))


def test_strides_are_those_of_the_finest_skips():
    assert [small_ladder(stride).stride for stride in SKIPS] == list(SKIPS)


@pytest.mark.slow
def test_the_documents_network_at_500_by_375():
    ladder = Ladder(21).eval()
    with torch.inference_mode():
        assert ladder(torch.zeros(1, 3, 500, 375)).shape == (1, 21, 500, 375)
