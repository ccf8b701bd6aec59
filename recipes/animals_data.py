"""PASCAL VOC 2012's animals and people, and SBD's, as one data set of seven classes.

    python recipes/animals_data.py VOC SBD OUT

VOC: a folder with VOCdevkit/VOC2012 and the lists train and val; SBD: the same layout with the list train_sbd. OUT gets links to
the pictures, and masks in which every other class is background; its train is both trains, its val is VOC's. SBD pictures that
VOC's val holds are left out.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml

from fullconv.data.dataset import open_dataset
from fullconv.data.masks import read_mask, write_mask
from fullconv.labels import IGNORE_INDEX, VOC, LabelSet

NAMES = ("background", "cat", "cow", "dog", "horse", "person", "sheep")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("voc", "sbd", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    voc, sbd, out = open_dataset(arguments.voc), open_dataset(arguments.sbd), arguments.out
    held_out = {sample.picture.stem for sample in voc.split("val")}
    further = [sample for sample in sbd.split("train_sbd") if sample.picture.stem not in held_out]
    splits = {"train": [*voc.split("train"), *further], "val": voc.split("val")}
    labels = LabelSet(NAMES, tuple(VOC.colors[VOC.names.index(name)] for name in NAMES))
    ids = np.zeros(IGNORE_INDEX + 1, dtype=np.uint8)
    ids[[VOC.names.index(name) for name in NAMES]] = range(len(NAMES))
    ids[IGNORE_INDEX] = IGNORE_INDEX
    for split, samples in splits.items():
        for folder in ("images", "masks"):
            (out / folder / split).mkdir(parents=True)
        for sample in samples:
            (out / "images" / split / sample.picture.name).symlink_to(sample.picture.resolve())
            mask = out / "masks" / split / f"{sample.picture.stem}.png"
            write_mask(mask, ids[read_mask(sample.mask, VOC)], labels)
        print(f"{split}: {len(samples)} pictures")
    classes = [{"name": n, "color": list(c)} for n, c in zip(labels.names, labels.colors, strict=True)]
    (out / "dataset.yaml").write_text(yaml.safe_dump({"name": "animals", "classes": classes}))


if __name__ == "__main__":
    main()
