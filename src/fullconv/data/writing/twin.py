"""Writes twin trees: images/SPLIT/ and masks/SPLIT/; void is 255."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from fullconv.data.masks import encode_mask
from fullconv.data.writing.items import Item, Style
from fullconv.labels import LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    for split, items in splits.items():
        (folder / "masks" / split).mkdir(parents=True)
        for item in items:
            item.place_picture(folder / "images" / split)
            (folder / "masks" / split / f"{item.name}.png").write_bytes(encode_mask(item.label_map, labels))
