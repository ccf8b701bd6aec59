"""Streamed pictures have the scores of the whole picture, whatever the size and the bands."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fullconv
from fullconv.errors import InputError
from fullconv.inference import tiler
from fullconv.inference.pixels import ArrayPixels
from fullconv.inference.streaming import Feed, Stream
from fullconv.models.scoring import score_maps_of
from fullconv.ops.tape import folded, record
from fullconv.preprocessing import Preprocessing

CPU = torch.device("cpu")
MODELS = [
    ("fcn8s", "resnet10t"),
    ("fcn32s", "torchvision/mobilenet_v2"),
    ("fcn4s", "vgg11_bn"),
    ("fcn16s", "resnetv2_18"),
]


@pytest.fixture(scope="module", params=MODELS, ids=lambda pair: "-".join(pair).replace("/", "-"))
def streamed(request):
    torch.manual_seed(0)
    name, backbone = request.param
    model = fullconv.build_model(name, backbone=backbone, num_classes=5).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    return model, Stream(model, folded(record(model.score_maps)))


def whole(model, picture):
    x = Preprocessing()(torch.from_numpy(picture).permute(2, 0, 1)[None])
    with torch.inference_mode():
        return score_maps_of(model, x)[0]


def noise(height, width):
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), np.uint8)


@settings(max_examples=6, deadline=None)
@given(height=st.integers(64, 400), width=st.integers(64, 130), band=st.sampled_from([7, 32, 64, 500]))
def test_equal_to_the_whole_picture(streamed, height, width, band):
    model, stream = streamed
    picture, feed = noise(height, width), Feed(Preprocessing(), band, CPU, torch.float32)
    want = whole(model, picture)
    largest = float(want.scores.abs().max())
    got = stream.score_map(ArrayPixels(picture), feed)
    torch.testing.assert_close(got.scores, want.scores, rtol=0, atol=1e-5 * largest)
    logits, row = [], 0
    for box, part in stream.parts(ArrayPixels(picture), feed):
        assert (box.top, box.left, box.right) == (row, 0, width)
        row = box.bottom
        logits.append(part.logits())
    assert row == height
    torch.testing.assert_close(torch.cat(logits, 1), want.logits(), rtol=0, atol=1e-5 * largest)


@pytest.mark.parametrize("from_row", [1, 300, 517])
def test_going_on_in_the_middle(from_row):
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="resnet10t", num_classes=5).eval()
    stream = Stream(model, folded(record(model.score_maps)))
    picture, feed = noise(709, 70), Feed(Preprocessing(), 64, CPU, torch.float32)
    want, parts = whole(model, picture), list(stream.parts(ArrayPixels(picture), feed, from_row))
    assert parts[0][0].top == from_row
    logits = torch.cat([part.logits() for _, part in parts], 1)
    torch.testing.assert_close(logits, want.logits(from_row), rtol=0, atol=1e-4)


@pytest.mark.long
def test_few_rows_are_kept(streamed):
    """Whatever the height, the rows at hand are those of a receptive field at most."""
    _, stream = streamed
    most = []
    for height in (640, 1280):
        maps, most_rows = stream.empty(height), 0
        for _ in range(0, height, 32):
            with torch.inference_mode():
                stream.push(maps, torch.zeros(1, 3, 32, 64))
            maps[stream.last].forget(maps[stream.last].end)
            most_rows = max(most_rows, *(rows.end - rows.first for rows in maps.values()))
        assert maps[stream.last].end == maps[stream.last].height
        most.append(most_rows)
    assert most[0] == most[1]


def test_a_segmenter_streams_what_does_not_fit(monkeypatch):
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="resnet10t", num_classes=5)
    picture = noise(333, 210)
    want = fullconv.Segmenter(model, precision="fp32", tile="whole", engine="torch").predict(picture)
    segmenter = fullconv.Segmenter(model, precision="fp32", engine="torch")
    monkeypatch.setattr(tiler, "fits_whole", lambda *_: False)
    monkeypatch.setattr(tiler, "tile_side", lambda *_: 96)
    monkeypatch.setattr(tiler, "band_rows", lambda *_: 64)
    assert segmenter.tiler.stream(210) is not None
    got = segmenter.predict(picture)
    assert (got.logits - want.logits).abs().max() < 1e-4
    assert len(list(segmenter.tiler.parts(ArrayPixels(picture)))) > 3


@pytest.mark.parametrize("width", [9, 40, 64])
def test_narrow_pictures_are_right_in_bfloat16_too(monkeypatch, width):
    """By themselves such convolutions are not, see `devices.precision_for`."""
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="resnet18", num_classes=7).eval()
    picture = noise(300, width)
    with torch.inference_mode():
        x = Preprocessing()(torch.from_numpy(picture).permute(2, 0, 1)[None])
        want = score_maps_of(model.double(), x.double())[0].logits().float()
    segmenter = fullconv.Segmenter(model.float(), precision="bf16", engine="torch")
    monkeypatch.setattr(tiler, "fits_whole", lambda *_: False)
    for rows in (32, 200):
        monkeypatch.setattr(tiler, "band_rows", lambda *_, rows=rows: rows)
        for size in (1000, 20_000, 300_000):
            torch.full((size,), float("nan"))
        got = segmenter.predict(picture)
        torch.testing.assert_close(got.logits, want, atol=0.05 * float(want.abs().max()), rtol=0)


@pytest.mark.parametrize(
    ("backbone", "options", "message"),
    [
        ("mobilenetv3_small_050", {}, "mean needs more than a few rows"),
        ("convnext_atto", {}, "permute needs more than a few rows"),
        ("resnet10t", {"upsampling": "learned"}, "only an FCN with fixed upsampling"),
    ],
)
def test_what_cannot_be_streamed(backbone, options, message):
    model = fullconv.build_model("fcn8s", backbone=backbone, num_classes=2, **options).eval()
    with pytest.raises(InputError, match=message):
        Stream(model, record(model.score_maps))
