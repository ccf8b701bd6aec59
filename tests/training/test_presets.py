"""The recipes: the numbers of their sources, and the papers' stages run one after another."""

import pytest
import torch

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, UnknownNameError
from fullconv.models import caffe
from fullconv.models.caffe import CAFFE_PREPROCESSING
from fullconv.training.config import TrainConfig, make_config
from fullconv.training.loop import train
from fullconv.training.optimizer import build_optimizer, set_learning_rate
from fullconv.training.presets import PRESETS, preset


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_a_configuration(name):
    config = make_config(preset(name) | {"data": "d", "out": "o"}, name)
    assert config.architecture(21).num_classes == 21


@pytest.mark.parametrize(
    ("name", "lr"),
    [("heavy-32s", 1e-10), ("heavy-16s", 1e-12), ("heavy-8s", 1e-14), ("heavy-8s-atonce", 1e-10)],
)
def test_the_heavy_recipe_is_solver_prototxt(name, lr):
    """base_lr of each net, momentum 0.99, weight_decay 0.0005, iter_size 1, lr_policy fixed, normalize: false."""
    config = make_config(preset(name) | {"data": "d", "out": "o"}, name)
    assert (config.lr, config.momentum, config.weight_decay, config.batch_size) == (lr, 0.99, 5e-4, 1)
    assert (config.schedule, config.warmup, config.loss_reduction, config.clip) == (
        "constant",
        0,
        "sum",
        None,
    )


def test_the_cvpr_recipe():
    """Momentum 0.9, batches of 20, 1e-4 for VGG16 and 1e-3 for AlexNet, a hundredth of it at each later stage."""
    assert [preset(f"cvpr-{net}")["lr"] for net in ("32s", "16s", "8s", "alexnet")] == [
        1e-4,
        1e-6,
        1e-8,
        1e-3,
    ]
    config = make_config(preset("cvpr-32s") | {"data": "d", "out": "o"}, "cvpr")
    assert (config.momentum, config.weight_decay, config.batch_size, config.epochs) == (0.9, 5e-4, 20, 175)
    assert (config.flip, config.jitter, config.scale) == (0, 0, (1, 1))


@pytest.fixture
def narrow(monkeypatch):
    """The papers' networks a sixteenth as wide: their channel table, nothing else."""
    for name, channels in caffe.VGG16.items():
        monkeypatch.setitem(caffe.VGG16, name, channels // 16)


def test_biases_learn_twice_as_fast_and_do_not_decay(narrow):
    model = caffe.CaffeFCN(num_classes=3, stride=8)
    optimizer = build_optimizer(model, TrainConfig(data="d", out="o", **preset("heavy-8s")))
    set_learning_rate(optimizer, 1e-14)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    for name, parameter in model.named_parameters():
        assert found[id(parameter)] == ((2e-14, 0.0) if name.endswith("bias") else (1e-14, 5e-4)), name
    assert not [name for name, _ in model.named_parameters() if name.startswith("upscore")]


def test_the_stages_follow_one_another(narrow, tmp_path):
    """32s -> 16s -> 8s: each starts from the one before, with a zero skip, and so from its figures."""
    data = write_scenes(tmp_path / "scenes", num_train=2, num_val=1, size_hw=(64, 80))
    before = None
    for stage in ("32s", "16s", "8s"):
        options = preset(f"heavy-{stage}") | {
            "crop": (64, 80),
            "epochs": 1,
            "workers": 0,
            "backbone_weights": "none",
        }
        config = TrainConfig(
            data=data, out=tmp_path / stage, init_from=str(before) if before else None, **options
        )
        events = list(train(config))
        assert events[-1]["kind"] == "end"
        bundle = load_bundle(tmp_path / stage)
        assert bundle.preprocessing == CAFFE_PREPROCESSING
        state = bundle.model.state_dict()
        if before is not None:
            torch.testing.assert_close(
                state["conv5_3.weight"], load_bundle(before).model.state_dict()["conv5_3.weight"]
            )
        before = tmp_path / stage
    with torch.inference_mode():
        assert bundle.model(torch.randn(1, 3, 33, 47)).shape == (1, 7, 33, 47)


@pytest.mark.slow
def test_a_stage_starts_from_its_own_family(narrow, tmp_path):
    data = write_scenes(tmp_path / "scenes", num_train=2, num_val=1, size_hw=(64, 80))
    small = {
        "data": data,
        "epochs": 1,
        "batch_size": 2,
        "workers": 0,
        "backbone_weights": "none",
        "crop": (64, 80),
    }
    list(train(TrainConfig(out=tmp_path / "ladder", model="ladder32s", **small)))
    with pytest.raises(
        ConfigError, match=r"is a ladder32s, of which no layer fits caffe_fcn32s; start from a model"
    ):
        list(
            train(
                TrainConfig(
                    out=tmp_path / "b", model="caffe_fcn32s", init_from=str(tmp_path / "ladder"), **small
                )
            )
        )


def test_a_preset_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="unknown preset 'heavy-8'; did you mean 'heavy-8s'"):
        preset("heavy-8")
