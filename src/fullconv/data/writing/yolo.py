"""Writes YOLO's outlines: data.yaml, images/SPLIT/ and labels/SPLIT/.

A line for each connected part of a class, its holes joined to the outline by cuts. There is no void: those pixels are no
part of any shape, and are read as background where there is one.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml

from fullconv.data.writing.items import Item, Style, class_masks, class_names, polygons_of
from fullconv.labels import IGNORE_INDEX, LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names = {index: name for index, name in class_names(labels).items() if index != IGNORE_INDEX}
    numbers = {index: number for number, index in enumerate(names)}
    for split, items in splits.items():
        lines = folder / "labels" / split
        lines.mkdir(parents=True)
        for item in items:
            item.place_picture(folder / "images" / split)
            (lines / f"{item.name}.txt").write_text("".join(_lines(item, numbers, style)), "utf-8")
    content = {**{split: f"images/{split}" for split in splits}, "names": dict(enumerate(names.values()))}
    text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
    (folder / "data.yaml").write_text(text, "utf-8")


def _lines(item: Item, numbers: Mapping[int, int], style: Style) -> Iterator[str]:
    height, width = item.label_map.shape
    for index, mask in class_masks(item.label_map, numbers):
        for ring in polygons_of(mask, style):
            # nine digits place a corner to a ten thousandth of a pixel in the widest picture
            parts = (f"{x / width:.9g} {y / height:.9g}" for x, y in ring.tolist())
            yield f"{numbers[index]} {' '.join(parts)}\n"
