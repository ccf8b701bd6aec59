"""fullconv import: another library's weights become a model like any other."""

import json

import numpy as np
import pytest
import torch
from calling import call

import fullconv
from fullconv.models import foreign
from fullconv.models.build import build_model


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    network = build_model("torchvision_fcn", num_classes=2).eval()
    file = tmp_path_factory.mktemp("weights") / "fcn.pth"
    torch.save(network.state_dict(), file)
    return file


def test_weights_become_a_model(capsys, tmp_path, weights):
    code, out, err = call(capsys, "import", weights, tmp_path / "m", "--classes", "wall, door")
    assert (code, err) == (0, "")
    assert out == f"torchvision_fcn over torchvision/resnet50, 2 classes: {tmp_path / 'm'}\n"
    manifest = json.loads((tmp_path / "m" / "model.json").read_text())
    assert manifest["trained"]["imported_from"] == "fcn.pth"
    assert "fcn.pth" in (tmp_path / "m" / "README.md").read_text()
    segmenter = fullconv.load(tmp_path / "m")
    assert segmenter.labels.names == ("wall", "door")
    picture = np.random.default_rng(0).integers(0, 256, (43, 61, 3), np.uint8)
    network = build_model("torchvision_fcn", num_classes=2)
    network.load_state_dict(torch.load(weights, weights_only=True))
    with torch.inference_mode():
        want = network.eval()(segmenter.preprocessing.of_picture(picture))[0].argmax(0)
    np.testing.assert_array_equal(segmenter.predict(picture).label_map, want)


def test_what_is_refused(capsys, tmp_path, weights, monkeypatch):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"mine")
    code, _, err = call(capsys, "import", weights, tmp_path / "photos")
    assert code == 1
    assert f"{tmp_path / 'photos'} is there already; give a folder that is not, or an empty one" in err
    code, _, err = call(capsys, "import", weights, tmp_path / "m", "--classes", "a,b,c")
    assert code == 1
    assert f"--classes names 3 classes; {weights} has 2" in err
    (tmp_path / "broken.pth").write_bytes(b"PK\3\4 not weights")
    code, _, err = call(capsys, "import", tmp_path / "broken.pth", tmp_path / "m")
    assert code == 1
    assert "broken.pth cannot be read as weights" in err
    assert not (tmp_path / "m").exists()


def test_what_is_assumed_is_said(capsys, tmp_path, weights, monkeypatch):
    found = foreign.read_foreign(weights)
    assumed = foreign.Foreign(**{**vars(found), "assumed": "align_corners=False"})
    monkeypatch.setattr(foreign, "read_foreign", lambda file: assumed)
    code, out, err = call(capsys, "import", weights, tmp_path / "m", "--json")
    assert code == 0
    assert "assumed: align_corners=False\n" in err
    assert "the file names no classes; taken to be class_0, class_1, ...; name others with --classes" in err
    assert json.loads(out)["classes"] == ["class_0", "class_1"]
