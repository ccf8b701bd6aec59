"""Segmenters: any source, any size, and predictions that agree with the network."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fullconv
from fullconv import hub
from fullconv.bundle import Architecture, save_bundle
from fullconv.errors import ConfigError, InputError, PictureError
from fullconv.labels import VOC, LabelSet
from fullconv.preprocessing import IMAGENET_MEAN, IMAGENET_STD, Preprocessing

SIZES_HW = [(1, 1), (1, 500), (33, 31), (131, 97), (375, 500)]


@pytest.fixture(scope="module")
def segmenter():
    torch.manual_seed(0)
    model = fullconv.build_model("fcn8s", backbone="mobilenetv3_small_050", num_classes=21)
    return fullconv.Segmenter(model, precision="fp32")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_the_label_map_has_the_pictures_size_and_is_the_networks_answer(segmenter, size_hw):
    picture = noise(*size_hw)
    prediction = segmenter.predict(picture)
    assert prediction.label_map.shape == size_hw
    assert prediction.label_map.dtype == np.uint8
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    x = torch.from_numpy((picture / 255 - mean) / std).permute(2, 0, 1)[None]
    with torch.inference_mode():
        want = segmenter.model.double()(x)[0]
        segmenter.model.float()
    best = want.max(0).values
    chosen = want.gather(0, torch.from_numpy(prediction.label_map).long()[None])[0]
    assert (best - chosen).max() < 1e-4
    np.testing.assert_allclose(prediction.scores(), want.softmax(0).numpy(), atol=1e-4)
    np.testing.assert_allclose(prediction.scores().sum(0), 1, atol=1e-5)
    assert sum(prediction.fractions().values()) == pytest.approx(1)


def test_files_pil_images_and_arrays_give_the_same(segmenter, tmp_path):
    picture = noise(40, 50)
    Image.fromarray(picture).save(tmp_path / "p.png")
    maps = [
        segmenter.predict(source).label_map
        for source in (picture, Image.fromarray(picture), tmp_path / "p.png", str(tmp_path / "p.png"))
    ]
    for each in maps[1:]:
        np.testing.assert_array_equal(each, maps[0])


def test_a_rotated_pil_image_is_turned_as_its_file_is(segmenter, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(noise(40, 50)).save(tmp_path / "p.jpg", exif=exif, quality=100)
    from_file = segmenter.predict(tmp_path / "p.jpg").label_map
    assert from_file.shape == (50, 40)
    with Image.open(tmp_path / "p.jpg") as image:
        np.testing.assert_array_equal(segmenter.predict(image).label_map, from_file)


def test_overlays(segmenter):
    prediction = segmenter.predict(noise(40, 50))
    assert prediction.overlay(legend=False).size == (50, 40)
    assert prediction.overlay().width >= 50


def test_default_labels():
    build = fullconv.build_model
    assert fullconv.Segmenter(build("fcn32s", backbone="mobilenetv3_small_050", num_classes=21)).labels is VOC
    small = fullconv.Segmenter(build("fcn32s", backbone="mobilenetv3_small_050", num_classes=2))
    assert small.labels.names == ("class_0", "class_1")


@pytest.mark.parametrize(
    "array", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((4, 4, 4), np.uint8)]
)
def test_other_arrays_are_refused(segmenter, array):
    with pytest.raises(InputError, match=r"expected uint8 \(H, W, 3\) RGB"):
        segmenter.predict(array)


def test_a_file_that_is_no_picture(segmenter, tmp_path):
    (tmp_path / "p.jpg").write_bytes(b"no picture")
    with pytest.raises(PictureError, match=r"p\.jpg"):
        segmenter.predict(tmp_path / "p.jpg")


def test_load(tmp_path):
    architecture = Architecture(model="fcn16s", backbone="mobilenetv3_small_050", num_classes=2)
    model = architecture.build().eval()
    labels = LabelSet.from_names(["background", "bag"])
    save_bundle(
        tmp_path / "m", model.state_dict(), architecture, labels, Preprocessing(), trained={}, metrics={}
    )
    loaded = fullconv.load(tmp_path / "m", precision="fp32")
    want = fullconv.Segmenter(model, labels, precision="fp32").predict(noise(45, 67))
    np.testing.assert_array_equal(loaded.predict(noise(45, 67)).label_map, want.label_map)
    assert loaded.labels.names == ("background", "bag")


def test_mean_windows_average_the_networks_logits(segmenter):
    picture = noise(70, 130)
    tiled = fullconv.Segmenter(segmenter.model, precision="fp32", tile=(64, 96), overlap="mean").predict(
        picture
    )
    x = segmenter.preprocessing(torch.from_numpy(picture).permute(2, 0, 1)[None])
    with torch.inference_mode():
        total, count = torch.zeros(21, 70, 130), torch.zeros(70, 130)
        for top, left in ((0, 0), (0, 34), (6, 0), (6, 34)):
            here = (..., slice(top, top + 64), slice(left, left + 96))
            total[here] += segmenter.model(x[here])[0]
            count[here] += 1
    torch.testing.assert_close(tiled.logits, total / count)
    assert tiled.label_map.shape == (70, 130)
    whole = fullconv.Segmenter(segmenter.model, precision="fp32", tile=64, overlap="mean").predict(
        picture[:64, :64]
    )
    torch.testing.assert_close(whole.logits, segmenter.predict(picture[:64, :64]).logits)


def test_tiles_that_do_not_fit_the_stride(segmenter):
    with pytest.raises(InputError, match="multiples of 32"):
        fullconv.Segmenter(segmenter.model, tile=100)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": "some"}, "expected one of exact, mean, gaussian"),
        ({"tile": "half"}, "expected 'auto', 'whole', a side"),
        ({"tta": "rotate"}, "expected one of none, flip, flip"),
        ({"engine": "steam"}, "expected one of auto, torch, openvino, onnxruntime"),
    ],
)
def test_options_that_do_not_exist(segmenter, options, message):
    with pytest.raises(ConfigError, match=message):
        fullconv.Segmenter(segmenter.model, **options)


def test_confidence_and_entropy_have_the_pictures_size(segmenter):
    prediction = segmenter.predict(noise(40, 50))
    np.testing.assert_allclose(prediction.confidence(), prediction.scores().max(0), atol=1e-6)
    assert prediction.entropy().shape == (40, 50)


def test_refinement(segmenter):
    pytest.importorskip("fullconv.ops.crf")
    picture = noise(40, 50)
    plain = segmenter.predict(picture)
    refined = fullconv.Segmenter(segmenter.model, precision="fp32", refine="crf").predict(picture)
    assert refined.logits.shape == plain.logits.shape
    np.testing.assert_allclose(refined.scores(), refined.logits.exp().cpu().numpy(), atol=1e-4)
    assert not np.allclose(refined.scores(), plain.scores(), atol=1e-3)


def test_a_refinement_that_does_not_exist(segmenter):
    with pytest.raises(ConfigError, match="expected 'none' or 'crf'"):
        fullconv.Segmenter(segmenter.model, refine="snake")


@pytest.fixture
def bundle(tmp_path):
    torch.manual_seed(0)
    architecture = Architecture(model="patchwise", backbone="none", num_classes=2)
    save_bundle(
        tmp_path / "bundle", architecture.build().state_dict(), architecture, LabelSet.from_names(["a", "b"]),
        Preprocessing(), trained={}, metrics={},
    )  # fmt: skip
    return tmp_path / "bundle"


def test_models_of_the_hub_by_any_name_for_them(bundle, monkeypatch):
    asked = []

    def fetch(address: str, names: object) -> Path:
        asked.append((address, names))
        return bundle

    monkeypatch.setattr(hub, "fetch", fetch)
    for load in (
        lambda: fullconv.load("hf:owner/name"),
        lambda: fullconv.Segmenter.from_pretrained("owner/name"),
        lambda: fullconv.Segmenter.from_pretrained("hf:owner/name"),
        lambda: fullconv.Segmenter.from_pretrained("owner/name", revision="v1"),
    ):
        assert load().labels.names == ("a", "b")
    files = ("model.json", "model.safetensors")
    assert asked == [("hf:owner/name", files)] * 3 + [("hf:owner/name@v1", files)]


def test_folders_and_built_in_models_are_never_asked_for(bundle, monkeypatch):
    monkeypatch.setattr(hub, "fetch", None)
    assert fullconv.Segmenter.from_pretrained(bundle).folder == bundle
    assert fullconv.Segmenter.from_pretrained("camvid").labels.num_classes == 11
    monkeypatch.undo()
    with pytest.raises(InputError, match="is no address on the Hub; expected hf:owner/name"):
        fullconv.Segmenter.from_pretrained("nowhere")


def test_a_model_goes_to_the_hub_with_its_card(bundle, monkeypatch, segmenter):
    pushed = []
    monkeypatch.setattr(hub, "push", lambda *args: pushed.append(args) or "commit")
    assert fullconv.load(bundle).push_to_hub("owner/name", private=True, message="first") == "commit"
    card = (bundle / "README.md").read_text()
    files = ("model.json", "model.safetensors")
    assert pushed == [(bundle, "owner/name", files, card, True, "first")]
    (bundle / "README.md").unlink()  # as of models that came from the Hub
    fullconv.load(bundle).push_to_hub("owner/name")
    assert pushed[1] == (bundle, "owner/name", files, card, False, "Upload with fullconv")
    with pytest.raises(InputError, match="the model is in memory only"):
        segmenter.push_to_hub("owner/name")
