"""The models that come with the package: they load, know what they are, stay small, and see what is there."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from calling import call
from PIL import Image

import fullconv
from fullconv import bundle as bundle_module
from fullconv.bundle import (
    BUILT_IN,
    Architecture,
    built_in_names,
    find_bundle,
    load_bundle,
    save_bundle,
)
from fullconv.errors import BundleError
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

MOST_BYTES = 25 * 2**20


@pytest.mark.parametrize("name", built_in_names())
def test_they_load_by_name_and_say_what_they_are(name):
    bundle = load_bundle(name)
    assert bundle.folder == BUILT_IN / name
    assert bundle.manifest.trained["licence"]
    assert bundle.manifest.trained["limits"]
    assert bundle.manifest.trained["recipe"]["crop"] == [320, 320]
    assert bundle.manifest.trained["epochs"] == bundle.manifest.trained["epoch"]
    assert sum(file.stat().st_size for file in bundle.folder.iterdir()) < MOST_BYTES
    assert "not stated" not in (bundle.folder / "README.md").read_text()


@pytest.mark.parametrize("name", built_in_names())
def test_they_label_pictures_of_any_size(name):
    picture = np.random.default_rng(0).integers(0, 256, (67, 91, 3), np.uint8)
    prediction = fullconv.load(name).predict(picture)
    assert prediction.label_map.shape == (67, 91)
    assert prediction.logits.isfinite().all()


@pytest.fixture
def streets(tmp_path, monkeypatch):
    """A model that comes with the package, and a working folder."""
    monkeypatch.setattr(bundle_module, "BUILT_IN", tmp_path / "builtin")
    architecture = Architecture(model="fcn16s", backbone="mobilenetv3_small_050", num_classes=2)
    labels = LabelSet.from_names(["road", "else"])
    state = {name: tensor.half() for name, tensor in architecture.build().state_dict().items()}
    folder = tmp_path / "builtin" / "streets"
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={})
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return folder


def test_a_name_is_enough(capsys, streets):
    assert find_bundle("streets") == streets
    assert all(tensor.dtype != torch.float16 for tensor in load_bundle("streets").model.state_dict().values())
    Image.new("RGB", (40, 30)).save("photo.png")
    assert call(capsys, "predict", "streets", "photo.png", "--out", "predictions")[0] == 0


def test_a_folder_of_that_name_without_a_model_is_not_meant(streets):
    Path("streets").mkdir()
    assert find_bundle("streets") == streets
    Path("streets/model.json").write_text("{}")
    assert find_bundle("streets") == Path("streets")


def test_a_near_name_is_suggested(streets):
    with pytest.raises(BundleError, match=r"no model at street; did you mean the built-in 'streets'\?"):
        find_bundle("street")


def test_camvid_knows_the_pictures_that_it_learnt_from(capsys, real_data, tmp_path):
    streets = real_data / "camvid"
    for kind in ("images", "masks"):
        (tmp_path / kind / "val").mkdir(parents=True)
        for file in sorted((streets / kind / "val").iterdir())[::10]:
            (tmp_path / kind / "val" / file.name).symlink_to(file)
    shutil.copyfile(streets / "dataset.yaml", tmp_path / "dataset.yaml")
    code, out, _ = call(capsys, "evaluate", "camvid", tmp_path, "--json")
    assert code == 0
    assert json.loads(out)["mean_iou"] > 0.75
