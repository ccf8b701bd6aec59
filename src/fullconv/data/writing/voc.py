"""Writes PASCAL VOC's form: JPEGImages/, SegmentationClass/ and a list for each split; void is 255."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from fullconv.data.masks import encode_mask
from fullconv.data.writing.items import Item, Style
from fullconv.labels import LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    lists, masks = folder / "ImageSets" / "Segmentation", folder / "SegmentationClass"
    lists.mkdir(parents=True)
    masks.mkdir()
    for split, items in splits.items():
        names = []
        for item in items:
            names.append(item.name)
            if not (masks / f"{item.name}.png").exists():  # in VOC pictures are in several splits
                item.place_picture(folder / "JPEGImages")
                (masks / f"{item.name}.png").write_bytes(encode_mask(item.label_map, labels))
        (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in names), "utf-8")
