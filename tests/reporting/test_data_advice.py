"""Each suggestion, where its reason holds."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from fullconv.labels import LabelSet
from fullconv.losses import class_weights
from fullconv.reporting.data_advice import advice_on, batch_of, crop_of, train_command
from fullconv.reporting.data_facts import DataFacts, SplitFacts

LABELS = LabelSet.from_names(["background", "a", "b"])
SPLIT = SplitFacts(
    400, (300, 400), (375, 500), (500, 500), {".jpg": 400}, {".png": 400}, (900, 300, 100), (400, 90, 30), 5,
    {32: 0.75, 16: 0.884, 8: 0.97, 4: 0.999},
)  # fmt: skip


def facts_of(**changes: object) -> DataFacts:
    return DataFacts("pets", Path("x"), "flat", LABELS, {"train": replace(SPLIT, **changes)}, "train")  # type: ignore[arg-type]


def advice(what: str, **changes: object) -> tuple[str, str]:
    found = {each.what: (each.value, each.reason) for each in advice_on(facts_of(**changes))}
    return found[what]


def test_a_stride_whose_ceiling_is_high_enough():
    assert advice("model") == ("fcn8s", "stride 8 admits a mean IU of 97.0 %, stride 16 only 88.4 %")
    high = {32: 0.96, 16: 0.97, 8: 0.98, 4: 0.99}
    assert advice("model", ceilings=high) == ("fcn32s", "stride 32 admits a mean IU of 96.0 %")
    low = {32: 0.5, 16: 0.6, 8: 0.7, 4: 0.8}
    assert advice("model", ceilings=low) == (
        "fcn4s",
        "stride 4 admits a mean IU of 80.0 %, stride 8 70.0 %: much is thin or small; larger pictures would help",
    )
    assert advice("model", ceilings=dict.fromkeys((32, 16, 8, 4)))[0] == "fcn8s"


@pytest.mark.parametrize(
    ("median", "number", "crop", "batch"),
    [
        ((375, 500), 400, (375, 480), 8),
        ((480, 480), 400, (480, 480), 8),
        ((1024, 2048), 2975, (480, 480), 8),
        ((256, 256), 2688, (256, 256), 32),
        ((64, 64), 10_000, (64, 64), 32),
        ((480, 480), 30, (480, 480), 2),
        ((384, 384), 100, (384, 384), 8),
    ],
)
def test_crop_and_batch(median, number, crop, batch):
    facts = facts_of(median_hw=median, num_pictures=number)
    assert (crop_of(facts), batch_of(facts)) == (crop, batch)
    height, width = crop
    said = {each.what: each for each in advice_on(facts)}
    assert said["crop"].value == f"{height}x{width}"
    assert f"{batch * height * width / 1e6:.1f} million pixels a step" in said["batch size"].reason


def test_class_weights():
    assert advice("class weights") == ("none", "the commonest class has 9.0 times the pixels of the rarest")
    pixels = (9000, 300, 100)
    value, reason = advice("class weights", pixels_per_class=pixels)
    factors = class_weights(pixels, "median_frequency").tolist()
    assert value == "none"
    assert reason.endswith(
        f"90 times the pixels of the rarest: should rare ones stay unfound, try --set class_weights=median_frequency "
        f"(factors {min(factors):.2g} to {max(factors):.2g})"
    )
    # so rare that median frequency would weigh it 70,000 times: the effective number stops at a million pixels
    _, reason = advice("class weights", pixels_per_class=(70_000_000, 9_000_000, 1000))
    assert "--set class_weights=effective_number" in reason


def test_the_command_is_one_that_train_takes():
    command = train_command(facts_of(), Path("my data/pets"))
    assert command == (
        "fullconv train 'my data/pets' --out runs/pets --model fcn8s --crop 375x480 --batch-size 8"
    )
    from fullconv.cli.train import train

    words = shlex.split(command)[2:]
    context = train.make_context("train", words)
    assert context.params["crop"] == (375, 480)
    assert CliRunner().invoke(train, ["--help"]).exit_code == 0
