"""What is explained: the numbers of the documents and papers, the words, and figures that draw what the numbers say."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.bundle import Architecture, save_bundle
from fullconv.data.scenes import draw_scene
from fullconv.errors import ConfigError, InputError, UnknownNameError
from fullconv.labels import LabelSet
from fullconv.models.build import build_model
from fullconv.models.caffe import CaffeAlexNet, CaffeFCN
from fullconv.preprocessing import Preprocessing
from fullconv.reporting.explain.convolution import convolution_facts, convolution_text
from fullconv.reporting.explain.convolution_picture import convolution_figure
from fullconv.reporting.explain.geometry import geometry_facts
from fullconv.reporting.explain.geometry_picture import field_of, geometry_figure, middle_cell
from fullconv.reporting.explain.geometry_text import condensed, geometry_text
from fullconv.reporting.explain.models import find_model
from fullconv.reporting.explain.style import save_png
from fullconv.reporting.explain.upsampling import upsampling_facts, upsampling_text
from fullconv.reporting.explain.upsampling_picture import coarse_picture, upsampling_figure

SIZE = (97, 131)


@pytest.fixture(scope="module")
def fcn8s():
    return geometry_facts(build_model("fcn8s", num_classes=5, backbone="resnet18"), "fcn8s", SIZE, 5)


@pytest.fixture(scope="module")
def papers():
    """The papers' FCN-8s; no weights are needed to see where it looks."""
    return geometry_facts(CaffeFCN(num_classes=21, stride=8), "caffe_fcn8s", (375, 500), 21)


def drawn(figure) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=60)
    with Image.open(buffer) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def words(figure) -> str:
    return "\n".join(
        text.get_text()
        for axes in figure.axes
        for text in axes.findobj(lambda item: hasattr(item, "get_text"))
    )


def test_a_resnet_is_15_5_pixels_off_at_stride_32(fcn8s):
    maps = {scored["stride_hw"][0]: scored for scored in fcn8s["maps"]}
    assert {stride: scored["offset_hw"] for stride, scored in maps.items()} == {
        32: [0, 0],
        16: [0, 0],
        8: [0, 0],
    }
    assert [maps[stride]["displacement_hw"][0] for stride in (32, 16, 8)] == [15.5, 7.5, 3.5]
    assert maps[32]["receptive_field_hw"] == [435, 435]
    assert maps[8]["cells_hw"] == [13, 17]
    assert fcn8s["placement"] == "exact"
    text = geometry_text(fcn8s)
    assert "15.5 px" in text
    assert "places scores by arithmetic" in text
    assert json.loads(json.dumps(fcn8s)) == fcn8s


def test_cells_that_tile_the_picture_need_no_placement():
    model = build_model("fcn16s", num_classes=3, backbone="convnext_atto")
    facts = geometry_facts(model, "tiles", SIZE, 3)
    assert [scored["offset_hw"][0] for scored in facts["maps"]] == [15.5, 7.5]
    assert "every score is drawn where it was seen" in geometry_text(facts)


def test_a_network_with_half_pixel_placement_says_so():
    model = build_model("fcn32s", num_classes=3, backbone="resnet18", placement="half-pixel")
    facts = geometry_facts(model, "half", SIZE, 3)
    assert facts["placement"] == "half-pixel"
    assert "was built that way" in geometry_text(facts)


def test_padding_that_depends_on_the_size_is_warned_of():
    model = build_model("fcn32s", num_classes=3, backbone="tf_efficientnet_b0")
    assert "Caution" not in geometry_text(geometry_facts(model, "same", (128, 128), 3))
    facts = geometry_facts(model, "same", (375, 500), 3)
    off = abs(facts["maps"][0]["offset_hw"][0] - facts["maps"][0]["placed_hw"][0])
    if off:
        assert f"drawn {off:g} pixels off" in geometry_text(facts)
    else:  # the network measures its place at each size
        assert "Caution" not in geometry_text(facts)


def test_the_papers_network(papers):
    """Crops 5, 9, 31 and receptive field 404, as published."""
    assert papers["crops"] == {"pool4": 5, "pool3": 9, "score": 31}
    assert papers["output"] == {"stride_hw": [1, 1], "offset_hw": [0, 0], "receptive_field_hw": [460, 460]}
    layers = {layer["name"]: layer for layer in papers["layers"]}
    assert layers["fc6"]["receptive_field_hw"] == [404, 404]
    assert layers["conv1_1"]["padding_hw"] == [100, 100]
    assert [scored["name"] for scored in papers["maps"]] == ["score_fr", "score_pool4", "score_pool3"]
    assert [scored["offset_hw"][0] for scored in papers["maps"]] == [12.5, -91.5, -95.5]
    text = geometry_text(papers)
    assert " 31 rows and columns from the top and left of the upsampled scores" in text
    assert "pixel i of the output is centred on pixel i of the picture" in text


def test_the_papers_alexnet():
    facts = geometry_facts(CaffeAlexNet(num_classes=21), "alexnet", (227, 227), 21)
    assert facts["crops"] == {"score": 18}
    assert next(layer for layer in facts["layers"] if layer["name"] == "fc6")["receptive_field_hw"] == [
        355,
        355,
    ]


def test_the_ladder_is_out_of_register():
    facts = geometry_facts(build_model("ladder", num_classes=2), "ladder", (75, 100), 2)
    assert facts["output"]["offset_hw"] == [15.5, 15.5]
    assert "pixel i of the output is centred on pixel i + 15.5" in geometry_text(facts)


def test_condensed_layers_tell_the_same_story(fcn8s):
    shown = condensed(fcn8s["layers"])
    assert len(shown) < len(fcn8s["layers"]) / 2
    assert not any("downsample" in layer["name"] for layer in shown)
    for scored in fcn8s["maps"]:
        last = [layer for layer in shown if layer["stride_hw"] == scored["stride_hw"]][-1]
        assert last["receptive_field_hw"] == scored["receptive_field_hw"]
    assert sum(layer["count"] for layer in shown) == sum(
        layer["kernel_hw"] != [1, 1] for layer in fcn8s["layers"]
    )


def test_the_table_is_aligned(papers):
    lines = geometry_text(papers).splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("layer"))
    table = lines[start : lines.index("", start)]
    ends = [line.rstrip()[-1] != " " and len(line) for line in table]
    assert len(set(ends)) == 1
    assert all(len(line) <= 130 for line in lines)


def test_a_network_that_sees_nothing_is_no_fault():
    facts = geometry_facts(nn.Flatten(), "flat", (8, 8))
    assert facts["maps"] == facts["layers"] == []
    assert "nothing can be followed" in geometry_text(facts)


def test_a_picture_that_does_not_fit_is_refused():
    with pytest.raises(InputError, match=r"fixed does not take a picture of 4 x 9 .*another --size"):
        geometry_facts(nn.Sequential(nn.Conv2d(3, 1, 5)), "fixed", (4, 9))


def test_the_frame_is_the_receptive_field(fcn8s):
    scored = fcn8s["maps"][2]
    row, column = middle_cell(scored, *SIZE)
    top, bottom, left, right = field_of(scored, (row, column))
    assert (bottom - top, right - left) == (99, 99)
    assert (top + bottom) / 2 == 8 * row
    assert abs((left + right) / 2 - (SIZE[1] - 1) / 2) <= 4


@pytest.mark.parametrize("size_hw", [(97, 131), (64, 64), (40, 200)])
def test_the_figure_shows_every_map(fcn8s, size_hw):
    facts = geometry_facts(build_model("fcn8s", num_classes=2), "net", size_hw, 2)
    picture = np.full((*size_hw, 3), 90, np.uint8)
    figure = geometry_figure(facts, picture)
    assert len(figure.axes) == 6
    text = words(figure)
    assert "score 32:" in text
    assert "15.5 pixels off" in text
    assert drawn(figure).std() > 5


def test_a_single_map_has_its_corner_beside_it():
    facts = geometry_facts(nn.Sequential(nn.Conv2d(3, 2, 8, 8)), "patches", (80, 96))
    figure = geometry_figure(facts, draw_scene(0, 0, (80, 96))[0])
    assert len(figure.axes) == 2
    assert "the same as half-pixel drawing" in words(figure)


def test_names_are_found_or_met_with_the_nearest(tmp_path):
    assert find_model("fcn16s", "resnet18").title == "fcn16s over resnet18"
    assert find_model("patchwise").num_classes == 21
    assert find_model("torchvision/mobilenet_v3_small").num_classes is None
    assert find_model("resnet18").title == "resnet18"
    with pytest.raises(UnknownNameError, match="did you mean 'fcn8s'"):
        find_model("fcn8")
    with pytest.raises(UnknownNameError, match="did you mean 'torchvision/vgg16"):
        find_model("torchvision/vgg16_")
    with pytest.raises(ConfigError, match="--backbone resnet18"):
        find_model("torchvision/vgg11", "resnet18")


def test_the_documents_numbers():
    facts = convolution_facts()
    assert facts["y"] == [[348, 393], [528, 573]]
    assert facts["wx"] == [348, 393, 528, 573]
    assert facts["wty"][0] == [348, 1089, 1830, 1179]
    assert np.array(facts["w"]).shape == (4, 16)
    assert facts["down_and_up"] == [[3, 64, 64], [10, 32, 32], [3, 64, 64]]
    text = convolution_text(facts)
    assert "  1  2  3  .  4  5  6  .  7  8  9  .  .  .  .  ." in text
    assert "64x64x3 -> conv2d -> 32x32x10 -> conv_transpose2d -> 64x64x3" in text
    assert "NOT EQUAL" not in text


def test_the_convolution_figure_holds_the_numbers():
    figure = convolution_figure(convolution_facts())
    text = words(figure).splitlines()
    assert {"348", "1089", "1830", "1179", "16", "W"} <= set(text)
    assert text.count("9") == 1 + 1 + 2 * 4 + 1  # X, K, twice in each row of W, x


@pytest.mark.parametrize(("stride", "edge", "corner"), [(32, 0.515625, 0.265869140625), (2, 0.75, 0.5625)])
def test_the_fading_border(stride, edge, corner):
    facts = upsampling_facts(stride)
    assert facts["weights"][str(stride)] == {"edge": edge, "corner": corner}
    assert facts["difference"]["inside"] < 1e-7 < 0.1 < facts["difference"]["border"]
    assert facts["difference"]["divided_by_its_weights"] < 1e-7
    assert facts["difference"]["learned_upsampling"] < 1e-7
    assert facts["textbook"]["enlarged_hw"] == [1122, 1456]
    assert facts["rule"]["sizes"][0] == {"coarse": 10, "fine": 10 * stride, "and_back": 10}
    text = upsampling_text(facts)
    assert f"{edge:.3f} of their size along the edges and to {corner:.3f} in the corners" in text
    assert "561 x 728 -> 1122 x 1456" in text
    assert "CHANGES" not in text


def test_the_textbooks_sizes():
    text = upsampling_text(upsampling_facts(32))
    assert "(320 - 64 + 32 + 32) / 32 = 10" in text
    assert "(480 - 64 + 32 + 32) / 32 = 15" in text


def test_the_upsampling_figure_fades():
    figure = upsampling_figure(upsampling_facts(4), np.full((70, 90, 3), 200, np.uint8))
    _, faded, exact = (axes.images[0].get_array() for axes in figure.axes[3:])
    assert faded.shape == exact.shape == (40, 60, 3)
    np.testing.assert_allclose(exact, 200 / 255, atol=1e-6)
    np.testing.assert_allclose(faded[0, 0], 0.390625 * 200 / 255, atol=1e-6)
    assert "0.391" in words(figure)


def test_coarse_pictures_keep_the_mean():
    coarse = coarse_picture(draw_scene(0, 0, (100, 150))[0])
    assert coarse.shape == (1, 3, 10, 15)
    assert torch.isclose(
        coarse.mean(), torch.tensor(draw_scene(0, 0, (100, 150))[0] / 255).mean().float(), atol=1e-5
    )


def test_files_are_the_same_each_time(tmp_path):
    files = [
        save_png(convolution_figure(convolution_facts()), tmp_path / name) for name in ("a.png", "new/b.png")
    ]
    assert files[0].read_bytes() == files[1].read_bytes()
    with Image.open(files[0]) as image:
        assert image.format == "PNG"
        assert min(image.size) > 1000


def test_a_bundle_is_explained_as_it_was_built(tmp_path):
    architecture = Architecture(
        model="fcn32s", backbone="mobilenetv3_small_050", num_classes=2, placement="half-pixel"
    )
    labels = LabelSet.from_names(["background", "bag"])
    save_bundle(
        tmp_path / "bag", architecture.build().state_dict(), architecture, labels, Preprocessing(), {}, {}
    )
    found = find_model(str(tmp_path / "bag"))
    assert (found.num_classes, found.channels) == (2, 3)
    assert found.title.startswith("fcn32s in ")
    assert geometry_facts(found.model, found.title, SIZE, 2)["placement"] == "half-pixel"
