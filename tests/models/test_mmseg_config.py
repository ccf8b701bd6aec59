"""Configurations are read as data, whatever stands in them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fullconv.errors import InputError
from fullconv.models.mmseg_config import check_config, mmseg_preprocessing, read_config

GOOD = {
    "backbone": {"strides": [1, 2, 1, 1], "dilations": [1, 1, 2, 4], "contract_dilation": True},
    "decode_head": {"in_index": 3},
}
FILE = Path("w.pth")


def test_plain_values_are_read_and_nothing_is_run(tmp_path):
    mark = tmp_path / "mark"
    text = f"""
_base_ = ['a.py']
x = __import__('pathlib').Path({str(mark)!r}).touch()
model = dict(backbone=dict(strides=(1, 2), style='pytorch', depth=x), decode_head={{'type': 'FCNHead', 3: 4}})
y, z = 1, 2
"""
    config = read_config({"cfg": text})
    assert config is not None
    assert config["model"]["backbone"] == {"strides": [1, 2], "style": "pytorch", "depth": None}
    assert config["model"]["decode_head"] == {"type": "FCNHead", 3: 4}
    assert config["_base_"] == ["a.py"]
    assert not mark.exists()


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"cfg": 5},
        {"cfg": "model = dict("},
        {"cfg": "model = 3"},
        {"cfg": "model = dict(backbone=dict(), decode_head=[dict()])"},
        {"cfg": "x = " + "(" * 5000 + ")" * 5000},
        {"cfg": "x = " + "-" * 100000 + "1"},
        {"cfg": "#" * (2 << 20)},
        {"cfg": "\0"},
    ],
)
def test_what_cannot_be_read_is_nothing(meta):
    assert read_config(meta) is None


@given(st.text(max_size=40))
def test_no_text_breaks_it(text):
    read_config({"config": f"model = dict(backbone=dict(), decode_head=dict(), x={text})"})


def test_the_usual_network_passes():
    check_config({"model": GOOD}, FILE)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("backbone", "dilations", [1, 1, 1, 2]),
        ("backbone", "strides", [1, 2, 2, 2]),
        ("backbone", "contract_dilation", False),
        ("backbone", "style", "caffe"),
        ("backbone", "multi_grid", [1, 2, 4]),
        ("decode_head", "type", "ASPPHead"),
        ("decode_head", "dilation", 6),
        ("decode_head", "align_corners", True),
        ("decode_head", "in_index", 2),
    ],
)
def test_other_arithmetic_is_refused(part, name, value):
    model = {key: dict(settings) for key, settings in GOOD.items()}
    model[part][name] = value
    with pytest.raises(InputError) as error:
        check_config({"model": model}, FILE)
    assert f"w.pth: its configuration has {part}.{name} = {value!r}" in str(error.value)


def test_what_is_not_said_means_the_librarys_default():
    with pytest.raises(InputError, match="contract_dilation = False"):
        check_config({"model": {**GOOD, "backbone": {**GOOD["backbone"], "contract_dilation": False}}}, FILE)
    backbone = {name: value for name, value in GOOD["backbone"].items() if name != "dilations"}
    with pytest.raises(InputError, match=r"dilations = \[1, 1, 1, 1\]"):
        check_config({"model": {**GOOD, "backbone": backbone}}, FILE)


def test_normalisation():
    assert mmseg_preprocessing({"model": {}}, FILE).mean[0] == 0.485
    about = {"mean": [0.0, 51.0, 255.0], "std": [51.0, 102.0, 255.0], "bgr_to_rgb": True}
    for config in ({"model": {"data_preprocessor": about}}, {"model": {}, "data_preprocessor": about}):
        found = mmseg_preprocessing(config, FILE)
        assert (found.mean, found.std) == ((0.0, 0.2, 1.0), (0.2, 0.4, 1.0))
    for other in (
        {**about, "bgr_to_rgb": False},
        {**about, "std": [0.0, 1.0, 1.0]},
        {**about, "mean": [1.0]},
        {**about, "mean": 3},
        {**about, "mean": ["a", "b", "c"]},
    ):
        with pytest.raises(InputError, match="expected three means and deviations, red first"):
            mmseg_preprocessing({"model": {}, "img_norm_cfg": other}, FILE)
