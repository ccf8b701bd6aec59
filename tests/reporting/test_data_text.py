"""The text fits a terminal and holds the figures; the JSON holds all of them."""

import json
from dataclasses import replace
from pathlib import Path

from fullconv.labels import LabelSet
from fullconv.reporting.data_facts import DataFacts, SplitFacts
from fullconv.reporting.data_text import facts_json, facts_text

BLOCKS = " ▏▎▍▌▋▊▉█"
CEILINGS = {32: 0.75, 16: 0.884, 8: 0.97, 4: 0.999}


def split_of(pixels: tuple[int, ...], **changes: object) -> SplitFacts:
    pictures = tuple(int(count > 0) for count in pixels)
    split = SplitFacts(
        1234, (185, 384), (384, 384), (384, 384), {".jpg": 1200, ".png": 34}, {".png": 1234}, pixels, pictures, 50, dict(CEILINGS)
    )  # fmt: skip
    return replace(split, **changes)  # type: ignore[arg-type]


def facts_of(pixels: tuple[int, ...], splits: tuple[str, ...] = ("train", "val", "test")) -> DataFacts:
    names = [f"class number {index} of a long name" for index in range(len(pixels))]
    labels = LabelSet.from_names(names)
    facts = {name: split_of(pixels) for name in splits}
    return DataFacts(
        "a set", Path("root"), "flat images/ + masks/ with lists train.txt, val.txt", labels, facts, splits[0]
    )


def test_the_whole_text():
    labels = LabelSet.from_names(["background", "bag"])
    splits = {"train": split_of((600, 350)), "val": split_of((950, 0), num_pictures=52, void_pixels=0)}
    text = facts_text(
        DataFacts("bag", Path("x"), "flat images/ + masks/", labels, splits, "train"),
        Path("data/bag"),
        BLOCKS,
    )
    assert (
        text
        == """\
bag: flat images/ + masks/

split  pictures   height x width: smallest, median, largest    void
train     1,234      185x384      384x384      384x384          5.0 %
val          52      185x384      384x384      384x384            0 %
files of train: pictures 1,200 .jpg, 34 .png; masks 1,234 .png

class                   share of train                pictures      val
   0 background         ████████████████████  63.2 %        1  100.0 %
   1 bag                ███████████▋          36.8 %        1      0 %

2 classes of train weigh like 1.9 equal ones; background has 1.7 times the
pixels of bag.
val has no pixel of bag.
The highest mean IU that a stride admits: 75.0 % at 32, 88.4 % at 16, 97.0 % at
8, 99.9 % at 4.

to begin with
  model          fcn8s    stride 8 admits a mean IU of 97.0 %, stride 16 only
                          88.4 %
  crop           384x384  the median picture, height x width
  batch size     16       2.4 million pixels a step, 78 steps an epoch
  class weights  none     the commonest class has 1.7 times the pixels of the
                          rarest

  fullconv train data/bag --out runs/bag --model fcn8s --crop 384x384 \\
    --batch-size 16"""
    )


def test_80_columns_whatever_there_is():
    for pixels in ((10**9, 5, 0), tuple(range(1, 200)), (1,) * 41, (0, 0)):
        facts = replace(
            facts_of(pixels), unreadable=tuple(f"x/{index}.png: is damaged" for index in range(5))
        )
        text = facts_text(facts, Path("d"), " #")
        assert max(map(len, text.splitlines())) <= 80
        assert "5 files could not be read; 'fullconv data check' tells more:\n  x/0.png: is damaged" in text
        assert text.endswith("  ...")


def test_many_classes_are_cut():
    text = facts_text(facts_of(tuple(range(1, 151))), Path("d"), BLOCKS)
    assert " ... 120 classes in between; --json and --html show all" in text
    assert " 149 class" in text
    assert "\n   0 class" in text
    assert "\n  75 class" not in text


def test_json():
    facts = facts_of((6, 3, 0))
    told = facts_json(facts, Path("data/x"))
    assert json.loads(json.dumps(told))["classes"] == list(facts.labels.names)
    train = told["splits"]["train"]
    assert train["per_class"]["class number 1 of a long name"] == {"pixels": 3, "share": 1 / 3, "pictures": 1}
    assert train["stride_ceiling"] == {"32": 0.75, "16": 0.884, "8": 0.97, "4": 0.999}
    assert told["advice"]["batch_size"]["value"] == "16"
    assert told["command"].startswith("fullconv train data/x --out 'runs/a set' --model fcn8s")
    assert told["imbalance_ratio"] == 2
