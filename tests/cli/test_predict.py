"""`fullconv predict`: heat maps of classifiers, windows, and options that do not go together."""

import json
import sys
import tarfile

import numpy as np
import pytest
import torch
from calling import call
from PIL import Image

import fullconv
from fullconv.bundle import Architecture, save_bundle
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    file = tmp_path_factory.mktemp("pictures") / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (97, 131, 3), np.uint8)
    Image.fromarray(pixels).save(file)
    return file


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    torch.manual_seed(0)
    architecture = Architecture(model="fcn32s", backbone="mobilenetv3_small_050", num_classes=3)
    labels, folder = LabelSet.from_names(["a", "b", "c"]), tmp_path_factory.mktemp("models") / "m"
    state = architecture.build().state_dict()
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={})
    return folder


def test_heat_maps(capsys, picture, tmp_path):
    args = ["predict", "test_resnet", picture, "--out", tmp_path, "--backbone-weights", "none", "--json"]
    code, out, err = call(capsys, *args)
    assert code == 0
    record = json.loads(out)
    assert record["source"] == str(picture)
    assert (record["stride"], record["map_hw"]) == (32, [1, 3])
    assert len(record["classes"]) == 5
    assert "1 of 1 pictures" in err
    assert (tmp_path / "heatmaps" / "photo.jpg").stat().st_size > 1000
    assert json.loads((tmp_path / "predictions.jsonl").read_text()) == record
    assert not (tmp_path / "masks").exists()


def test_windows(capsys, bundle, picture, tmp_path):
    args = ["predict", bundle, picture, "--out", tmp_path, "--precision", "fp32", "--save", "mask"]
    assert call(capsys, *args, "--tile", "64x96", "--overlap", "mean")[0] == 0
    want = fullconv.load(bundle, precision="fp32", tile=(64, 96), overlap="mean").predict(picture).label_map
    with Image.open(tmp_path / "masks" / "photo.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)


def test_refinement(capsys, bundle, picture, tmp_path):
    pytest.importorskip("fullconv.ops.crf")
    args = ["predict", bundle, picture, "--out", tmp_path, "--precision", "fp32", "--refine", "crf"]
    assert call(capsys, *args)[0] == 0
    want = fullconv.load(bundle, precision="fp32", refine="crf").predict(picture).label_map
    with Image.open(tmp_path / "masks" / "photo.png") as mask:
        np.testing.assert_array_equal(np.asarray(mask), want)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--tile", "100", "--overlap", "mean"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "0", "--overlap", "mean"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "big"], "expected auto, whole, or a multiple of 32"),
        (["--tile", "64", "--overlap", "some"], "is not one of 'exact', 'mean', 'gaussian'"),
        (["--backbone-weights", "none"], "has no meaning for the model"),
        (["--shard", "3/2"], "expected I/N with I from 1 to N"),
        (["--shard", "0/2"], "expected I/N with I from 1 to N"),
        (["--shard", "half"], "expected I/N with I from 1 to N"),
        (["--batch-size", "0"], "0 is not in the range"),
        (["--on", "mars"], "is not one of 'local', 'ray'"),
    ],
)
def test_options_that_do_not_go_together(capsys, bundle, picture, tmp_path, options, message):
    code, _, err = call(capsys, "predict", bundle, picture, "--out", tmp_path, *options)
    assert code == 2
    assert message in " ".join(err.split())


@pytest.mark.parametrize(
    "option",
    [
        ["--save", "mask"],
        ["--tile", "whole"],
        ["--refine", "none"],
        ["--batch-size", "2"],
        ["--shard", "1/2"],
    ],
)
def test_a_classifier_takes_no_segmentation_options(capsys, picture, tmp_path, option):
    args = ["predict", "test_resnet", picture, "--out", tmp_path, "--backbone-weights", "none"]
    code, _, err = call(capsys, *args, *option)
    assert code == 2
    assert f"Invalid value for {option[0]}: has no meaning for an ImageNet classifier" in err


def test_a_second_call_goes_on_where_the_first_one_stopped(capsys, bundle, picture, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(picture.read_bytes()[:500])
    args = ["predict", bundle, picture, broken, "--out", tmp_path / "out", "--json"]
    code, out, err = call(capsys, *args)
    assert code == 1
    assert "1 of 2 pictures labelled, in" in err
    assert str(broken) in err
    first = [json.loads(line) for line in out.splitlines()]
    Image.open(picture).save(broken)
    code, out, err = call(capsys, *args)
    assert code == 0
    assert "2 of 2 pictures labelled, 1 of them in an earlier run and skipped now, in" in err
    again = [json.loads(line) for line in out.splitlines()]
    assert again[0] == {**first[0], "skipped": True}
    assert "skipped" not in again[1]
    assert "earlier run" not in call(capsys, *args, "--tile", "64", "--overlap", "mean")[2]


def test_shards_and_batches(capsys, bundle, tmp_path):
    (tmp_path / "in").mkdir()
    for index in range(5):
        Image.new("RGB", (40, 30), (50 * index, 9, 9)).save(tmp_path / "in" / f"{index}.png")
    for shard, count in (("1/2", 3), ("2/2", 2)):
        args = ["predict", bundle, tmp_path / "in", "--out", tmp_path / "out", "--batch-size", "2"]
        code, _, err = call(capsys, *args, "--shard", shard)
        assert code == 0
        assert f"{count} of {count} pictures labelled" in err
    assert sorted(file.stem for file in (tmp_path / "out" / "masks").iterdir()) == list("01234")
    names = {file.name for file in (tmp_path / "out").glob("*.jsonl")}
    assert names == {"predictions-1-of-2.jsonl", "predictions-2-of-2.jsonl"}


def test_rasters_and_videos_among_pictures(capsys, bundle, picture, tmp_path):
    rasterio = pytest.importorskip("rasterio", reason="rasterio is not installed")
    av = pytest.importorskip("av", reason="PyAV is not installed")
    place = rasterio.Affine(1, 0, 5e5, 0, -1, 5e6)
    with rasterio.open(
        tmp_path / "map.tif", "w", driver="GTiff", height=60, width=50, count=3, dtype="uint8", crs="EPSG:32633",
        transform=place,
    ) as target:  # fmt: skip
        target.write(np.zeros((3, 60, 50), np.uint8))
    with av.open(str(tmp_path / "clip.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "yuv420p"
        container.mux(
            stream.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24"))
        )
        container.mux(stream.encode(None))
    code, _, err = call(capsys, "predict", bundle, tmp_path, picture, "--out", tmp_path / "out")
    assert (code, "3 of 3 pictures labelled" in err) == (0, True), err
    for file in ("masks/map.tif", "masks/photo.png", "masks/clip/000000.png", "videos/clip.mp4"):
        assert (tmp_path / "out" / file).exists(), file
    with rasterio.open(tmp_path / "out" / "masks" / "map.tif") as mask:
        assert mask.transform == place


def test_a_classifier_that_cannot_be_slid(capsys, picture, tmp_path):
    args = ["predict", "vit_tiny_patch16_224", picture, "--out", tmp_path, "--backbone-weights", "none"]
    code, out, err = call(capsys, *args)
    assert (code, out) == (1, "")
    assert err.startswith("error: VisionTransformer cannot be made convolutional: its layer 'patch_embed'")
    assert err.count("\n") == 1


def test_ray_that_is_not_installed_is_said_in_one_line(capsys, monkeypatch, bundle, picture, tmp_path):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    code, _, err = call(capsys, "predict", bundle, picture, "--out", tmp_path / "out", "--on", "ray")
    assert code == 1
    assert "pip install 'fullconv[ray]'" in err
    assert not (tmp_path / "out").exists()


def test_a_classifier_does_not_run_on_ray(capsys, picture, tmp_path):
    code, _, err = call(capsys, "predict", "test_resnet", picture, "--out", tmp_path, "--on", "ray")
    assert code != 0
    assert "has no meaning for an ImageNet classifier" in err


def test_the_pictures_of_a_shard(capsys, bundle, picture, tmp_path):
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        tar.add(picture, "x/packed.png")
    for source in (picture, tmp_path / "0.tar"):
        args = ["predict", bundle, source, "--out", tmp_path / "out", "--precision", "fp32", "--save", "mask"]
        assert call(capsys, *args)[0] == 0
    written = [(tmp_path / "out" / "masks" / f"{name}.png").read_bytes() for name in ("packed", picture.stem)]
    assert written[0] == written[1]
