"""The models that come with the package: they load, know what they are, stay small, and see what is there."""

import json

import numpy as np
import pytest
from calling import call

import fullconv
from fullconv.bundle import BUILT_IN, built_in_names, find_bundle, load_bundle
from fullconv.errors import BundleError

MOST_BYTES = 25 * 2**20


@pytest.mark.parametrize("name", built_in_names())
def test_they_load_by_name_and_say_what_they_are(name):
    bundle = load_bundle(name)
    assert bundle.folder == BUILT_IN / name
    assert bundle.manifest.trained["licence"]
    assert bundle.manifest.trained["limits"]
    assert bundle.manifest.trained["recipe"]["epochs"] == bundle.manifest.trained["epoch"]
    assert sum(file.stat().st_size for file in bundle.folder.iterdir()) < MOST_BYTES
    assert "not stated" not in (bundle.folder / "README.md").read_text()


@pytest.mark.parametrize("name", built_in_names())
def test_they_label_pictures_of_any_size(name):
    picture = np.random.default_rng(0).integers(0, 256, (67, 91, 3), np.uint8)
    prediction = fullconv.load(name).predict(picture)
    assert prediction.label_map.shape == (67, 91)
    assert prediction.logits.isfinite().all()


def test_a_folder_of_that_name_without_a_model_is_not_meant(tmp_path, monkeypatch):
    (tmp_path / "camvid").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_bundle("camvid") == BUILT_IN / "camvid"


def test_a_near_name_is_suggested():
    with pytest.raises(BundleError, match=r"no model at camvd; did you mean the built-in 'camvid'\?"):
        find_bundle("camvd")


def test_camvid_knows_the_pictures_that_it_learnt_from(capsys, real_data):
    code, out, _ = call(capsys, "evaluate", "camvid", real_data / "camvid", "--json")
    assert code == 0
    assert json.loads(out)["mean_iou"] > 0.75
