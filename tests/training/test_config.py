"""Configurations: what is wrong is named."""

import re

import pytest
import yaml

from fullconv.errors import ConfigError
from fullconv.models.fcn import FcnOptions
from fullconv.training.config import TrainConfig, config_text, make_config, read_config

GOOD = {"data": "photos", "out": "runs/a"}


def test_round_trip(tmp_path):
    config = make_config(GOOD | {"crop": [320, 480], "scale": [0.5, 1.5]}, "test")
    (tmp_path / "config.yaml").write_text(config_text(config))
    assert make_config(read_config(tmp_path / "config.yaml"), "file") == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, "test: epochs is 0; input should be greater than or equal to 1"),
        ({"epochs": "many"}, "test: epochs is 'many'; input should be a valid integer"),
        ({"optimizer": "adam"}, "test: optimizer is 'adam'; input should be 'adamw' or 'sgd'"),
        ({"epoch": 3}, "test: unknown option 'epoch'; did you mean 'epochs'?"),
        ({"lr": -1}, "test: lr is -1; input should be greater than 0"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(ConfigError) as caught:
        make_config(GOOD | values, "test")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("text", ["- a list", "just words", "a: [1", "\x00"])
def test_a_file_that_is_no_configuration(tmp_path, text):
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"c\.yaml"):
        read_config(tmp_path / "c.yaml")


def test_the_recipe_tells_no_folders():
    given = {"backbone_weights": "/home/me/net.pth", "init_from": "runs/secret/best", "licence": "MIT"}
    recipe = make_config(GOOD | given, "test").recipe
    assert recipe["backbone_weights"] == "net.pth"
    assert recipe["init_from"] == "best"
    assert recipe["lr"] == 1e-3
    assert not {"data", "out", "licence", "model", "upsampling", "patience"} & set(recipe)
    assert "init_from" not in make_config(GOOD, "test").recipe


def test_every_option_is_in_the_file():
    assert set(yaml.safe_load(config_text(make_config(GOOD, "test")))) == set(TrainConfig.model_fields)


def test_every_option_is_described():
    described = re.findall(r"^        (\w+): ", TrainConfig.__doc__, re.MULTILINE)
    assert described == [name for name in TrainConfig.model_fields if name not in FcnOptions.model_fields]
