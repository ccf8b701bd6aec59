"""Heat maps: figures, placement, and the pictures that show them."""

import json

import numpy as np
import pytest
import timm
import torch
from PIL import Image

from fullconv.data.pictures import read_picture
from fullconv.inference.classifiers import NamedClassifier, class_names, load_named_classifier
from fullconv.inference.heatmaps import PANEL, HeatMapper, draw_sheet, heat_map_files
from fullconv.models.convolutionalize import convolutionalize
from fullconv.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def mapper():
    torch.manual_seed(0)
    network = convolutionalize(timm.create_model("test_resnet", num_classes=6))
    # Untrained, it would find all classes equally probable.
    torch.nn.init.normal_(network.network.fc.weight, std=5)
    return HeatMapper(NamedClassifier(network, class_names(6), Preprocessing()), "cpu", "fp32")


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng([height, width]).integers(0, 256, (height, width, 3), np.uint8)


def test_cells_are_the_softmax_of_the_dense_network(mapper):
    picture = noise(203, 260)
    maps = mapper.predict(picture)
    x = mapper.classifier.preprocessing(torch.from_numpy(picture).permute(2, 0, 1)[None])
    with torch.no_grad():
        want = mapper.network(x).softmax(1)[0]
    torch.testing.assert_close(maps.cells, want)
    assert maps.cells.shape == (6, 3, 5)
    assert list(maps.top(2)) == want.flatten(1).max(1).values.argsort(descending=True)[:2].tolist()
    assert maps.record()["stride"] == 32
    assert maps.record()["map_hw"] == [3, 5]
    assert list(maps.record()["classes"].values()) == sorted(maps.record()["classes"].values(), reverse=True)
    assert len(maps.record()["classes"]) == 5


def test_cells_lie_where_the_arithmetic_puts_them(mapper):
    maps = mapper.predict(noise(203, 260))
    rows, columns = mapper.network.geometry_hw
    for class_id in (0, 3):
        heat = maps.on_picture(class_id)
        assert heat.shape == (203, 260)
        for i in range(3):
            for j in range(5):
                at = heat[int(rows.offset + i * rows.stride), int(columns.offset + j * columns.stride)]
                assert at == pytest.approx(float(maps.cells[class_id, i, j]), abs=1e-6)
    left, top, right, bottom = maps.asked_box()
    assert (left, right) == (64 - 16 + 0.5, 64 + 4.5 * 32 + 0.5)
    assert (top, bottom) == (64 - 16 + 0.5, 64 + 2.5 * 32 + 0.5)


@pytest.mark.parametrize("size_hw", [(1, 1), (80, 100), (40, 500), (160, 159)])
def test_small_pictures_are_enlarged_to_the_window(mapper, size_hw):
    maps = mapper.predict(noise(*size_hw))
    assert min(maps.seen_hw) == 160
    assert maps.on_picture(0).shape == size_hw
    left, top, right, bottom = maps.asked_box()
    assert 0 <= left < right <= size_hw[1]
    assert 0 <= top < bottom <= size_hw[0]
    assert maps.sheet().width > 3 * 240


def test_the_sheet():
    """The picture keeps its colours; heat is painted where it is, and only inside the frame."""
    picture = np.full((300, 400, 3), 200, np.uint8)
    heat = np.zeros((300, 400), np.float32)
    heat[100:150, 200:300] = 0.5
    heat[:, :20] = 0.5
    name = "a class with a name so long that it has to be cut somewhere before the end"
    sheet = np.asarray(
        draw_sheet(picture, [("cat", 0.5, heat), (name, 0.001, 0 * heat)], (40, 30, 360, 270), (224, 224))
    )
    assert sheet.shape[1] == 2 * 20 + 3 * PANEL + 2 * 18
    first = sheet[48 : 48 + 285, 20 : 20 + PANEL]
    assert (first == 200).all()
    second = sheet[48 : 48 + 285, 20 + PANEL + 18 : 20 + 2 * PANEL + 18].astype(int)
    reddish = second[..., 0] - second[..., 2] > 40
    assert reddish[119, 237]
    assert not reddish[:, :19].any()
    scale = PANEL / 400
    assert reddish.mean() == pytest.approx(50 * 100 / (300 * 400), rel=0.05)
    assert reddish[round(100 * scale) + 1 : round(150 * scale) - 1, round(200 * scale) + 1 : 284].all()
    third = sheet[48 : 48 + 285, 20 + 2 * (PANEL + 18) : 20 + 2 * (PANEL + 18) + PANEL].astype(int)
    assert np.abs(third[..., 0] - third[..., 2]).max() <= 20


def test_files(mapper, tmp_path):
    Image.fromarray(noise(170, 190)).save(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    files = [tmp_path / "a.png", tmp_path / "b.jpg"]
    good, bad = list(heat_map_files(mapper, files, tmp_path / "out"))
    assert set(good) == {"source", "heatmap", "classes", "stride", "map_hw", "seconds"}
    assert good["heatmap"] == "heatmaps/a.jpg"
    assert read_picture(tmp_path / "out" / "heatmaps" / "a.jpg").shape[2] == 3
    assert "b.jpg" in bad["error"]
    lines = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [good, bad]


def test_a_cat_and_a_dog(real_data):
    (weights,) = (real_data / "weights").glob("mobilenet_v2_*.pth")
    found = load_named_classifier("torchvision/mobilenet_v2", weights)
    maps = HeatMapper(found, "cpu", "fp32").predict(read_picture(real_data / "images" / "catdog.jpg"))
    record = maps.record()
    assert list(record["classes"])[:2] == ["tabby", "Chihuahua"]
    assert (record["stride"], record["map_hw"]) == (32, [12, 17])
    for name, left, right in (("tabby", 400, 660), ("Chihuahua", 55, 440)):
        column = int(maps.on_picture(found.names.index(name)).max(0).argmax())
        assert left <= column <= right
