"""Exact tiles give the whole picture's own scores."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import fullconv
from fullconv.errors import ConfigError, InputError
from fullconv.inference.exact import Reach, reach_of, tiles
from fullconv.inference.pixels import ArrayPixels

sides = st.integers(1, 300)
multiples = st.integers(1, 4).map(lambda n: 32 * n)


@given(st.tuples(sides, sides), st.tuples(multiples, multiples), st.tuples(multiples, multiples))
def test_cores_make_up_the_picture_and_windows_keep_the_halo(size_hw, core_hw, halo_hw):
    count = np.zeros(size_hw, int)
    for core, read in tiles(size_hw, core_hw, Reach(halo_hw, 32)):
        count[core.top : core.bottom, core.left : core.right] += 1
        assert read.top % 32 == read.left % 32 == 0
        for axis in (0, 1):
            assert read[axis] == 0 or core[axis] - read[axis] == halo_hw[axis]
            end = read[2 + axis]
            assert end == size_hw[axis] or end - core[2 + axis] == halo_hw[axis]
    assert (count == 1).all()


@pytest.mark.parametrize(
    ("name", "backbone", "size_hw", "tile"),
    [
        ("fcn8s", "mobilenetv3_small_050", (333, 219), None),
        ("fcn8s", "resnet10t", (701, 350), (96, 160)),
        ("fcn32s", "torchvision/mobilenet_v2", (350, 737), (224, 64)),
        pytest.param("fcn4s", "vgg11", (331, 246), (64, 96), marks=pytest.mark.long),
    ],
)
def test_exact_tiles_equal_the_whole_picture(name, backbone, size_hw, tile):
    torch.manual_seed(0)
    model = fullconv.build_model(name, backbone=backbone, num_classes=6)
    picture = np.random.default_rng(1).integers(0, 256, (*size_hw, 3), np.uint8)
    if tile is None:  # squeeze and excitation averages over the whole picture
        with pytest.raises(InputError, match="looks at the whole picture"):
            fullconv.Segmenter(model, precision="fp32", tile=96)
        return
    whole = fullconv.Segmenter(model, precision="fp32", tile="whole").predict(picture)
    segmenter = fullconv.Segmenter(model, precision="fp32", tile=tile)
    tiled = segmenter.predict(picture)
    assert tiled.score_map.scores.shape == whole.score_map.scores.shape
    assert (tiled.logits - whole.logits).abs().max() < 1e-4
    label_map = np.full(size_hw, 255, np.uint8)
    for box, part in segmenter.tiler.parts(ArrayPixels(picture)):
        label_map[box.top : box.bottom, box.left : box.right] = part.labels()
    np.testing.assert_array_equal(label_map, tiled.label_map)


def test_learned_upsampling_and_a_shorter_halo():
    torch.manual_seed(0)
    model = fullconv.build_model(
        "fcn8s", backbone="resnet10t", num_classes=3, upsampling="learned", init="xavier"
    )
    picture = np.random.default_rng(1).integers(0, 256, (400, 333, 3), np.uint8)
    whole = fullconv.Segmenter(model, precision="fp32", tile="whole").predict(picture)
    segmenter = fullconv.Segmenter(model, precision="fp32", tile=(64, 96))
    assert (segmenter.predict(picture).logits - whole.logits).abs().max() < 1e-4
    segmenter.tiler.reach = Reach((32, 32), 32)  # the halo is needed
    assert (segmenter.predict(picture).logits - whole.logits).abs().max() > 1e-3


def test_the_halo_is_the_reach_of_the_receptive_field():
    model = fullconv.build_model("fcn32s", backbone="vgg16", num_classes=2)
    # 212 pixels see VGG16's last cell; half of it, and up to 31 pixels to the next cell.
    assert reach_of(model) == Reach((160, 160), 32)


def test_exact_tiles_and_augmentation_do_not_go_together():
    model = fullconv.build_model("fcn32s", backbone="vgg11", num_classes=2)
    with pytest.raises(ConfigError, match="gaussian"):
        fullconv.Segmenter(model, tile=64, tta="flip")
