"""The learning-rate finder: the rates, the smoothing, the suggestion, and that the run folder stays untouched."""

import json
import math

import numpy as np
import pytest
from calling import call

from fullconv.data.scenes import write_scenes
from fullconv.errors import RunError
from fullconv.training import lr_finder
from fullconv.training.config import TrainConfig
from fullconv.training.lr_finder import RateCurve, find_learning_rate

SMALL = {
    "model": "fcn16s", "backbone": "mobilenetv3_small_050", "backbone_weights": "none", "batch_size": 2, "crop": (64, 64),
    "workers": 0, "device": "cpu",
}  # fmt: skip


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=4, num_val=1, size_hw=(64, 72))


def test_the_smoothed_loss_is_a_weighted_mean():
    losses = np.random.default_rng(0).random(20)
    curve = RateCurve(tuple(np.geomspace(1e-6, 1, 20)), tuple(losses))
    for index, smooth in enumerate(curve.smoothed):
        weights = lr_finder.MEMORY ** np.arange(index, -1, -1)
        assert smooth == pytest.approx(np.average(losses[: index + 1], weights=weights))


def test_a_tenth_of_the_best_rate_is_suggested():
    rates = np.geomspace(1e-6, 1, 61)
    losses = [2 - min(rate, 1e-2) * 100 if rate < 5e-2 else 50 * rate for rate in rates]
    best = RateCurve(tuple(rates), tuple(losses)).suggested
    assert 5e-4 < best < 5e-3


def test_rates_rise_until_the_loss_does(scenes, tmp_path, monkeypatch):
    taken = []

    def step(run, pictures, labels, weight, lr):
        taken.append(lr)
        return 1.0 if lr < 1e-3 else 100 * lr / 1e-3

    monkeypatch.setattr(lr_finder, "training_step", step)
    events = []
    curve = find_learning_rate(TrainConfig(data=scenes, out=tmp_path / "run", **SMALL), events.append)
    assert taken[0] == pytest.approx(1e-6)
    assert np.allclose(np.diff(np.log(taken)), math.log(1e6) / 99)
    assert 1e-3 <= taken[-1] < 2e-3
    assert curve.rates == tuple(taken)
    assert [event["step"] for event in events if event["kind"] == "tick"] == [*range(1, len(taken) + 1)]
    assert not (tmp_path / "run").exists()


def test_what_is_not_finite_ends_it(scenes, tmp_path, monkeypatch):
    losses = iter([1.0, 0.5, math.nan])
    monkeypatch.setattr(lr_finder, "training_step", lambda *_: next(losses))
    config = TrainConfig(data=scenes, out=tmp_path / "run", **SMALL)
    assert find_learning_rate(config, print).losses == (1.0, 0.5)
    monkeypatch.setattr(lr_finder, "training_step", lambda *_: math.nan)
    with pytest.raises(RunError, match="the loss is nan at a learning rate of 1e-06; look at the pictures"):
        find_learning_rate(config, print)


@pytest.mark.slow
def test_the_command_suggests_a_rate_and_draws_the_losses(capsys, scenes, tmp_path):
    options = ["--model", "fcn16s", "--backbone", "test_resnet", "--backbone-weights", "none"]
    options += ["--batch-size", 2, "--crop", "64x64", "--workers", 0, "--device", "cpu", "--find-lr"]
    code, out, err = call(capsys, "train", scenes, "--out", tmp_path / "run", *options, "--json")
    assert code == 0
    found = json.loads(out)
    assert 1e-6 <= found["suggested"] <= 0.1
    assert len(found["rates"]) == len(found["losses"]) > 20
    assert f"train with --lr {found['suggested']:.1e}" in err
    assert (tmp_path / "run" / "lr.png").read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["lr.png"]
