"""Writes LabelMe's form: SPLIT/NAME.json beside the picture, and labels.txt.

A mask for each class of a picture, or a polygon for each connected part. Void has the label `__ignore__`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fullconv.data.named_classes import is_background
from fullconv.data.shapes import bitmaps
from fullconv.data.writing.items import Item, Style, box_of, class_masks, class_names, polygons_of
from fullconv.labels import LabelSet

VOID = "__ignore__"


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names = class_names(labels, VOID)
    # LabelMe's own converters expect these two names in front
    listed = [VOID, *("_background_" if is_background(name) else name for name in labels.names)]
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in listed), "utf-8")
    for split, items in splits.items():
        for item in items:
            item.place_picture(folder / split)
            height, width = item.label_map.shape
            content = {
                "version": "5.5.0",
                "flags": {},
                "shapes": list(_shapes(item, names, style)),
                "imagePath": item.file_name,
                "imageData": None,
                "imageHeight": height,
                "imageWidth": width,
            }
            (folder / split / f"{item.name}.json").write_text(
                json.dumps(content, ensure_ascii=False), "utf-8"
            )


def _shapes(item: Item, names: Mapping[int, str], style: Style) -> Iterator[dict[str, Any]]:
    for index, mask in class_masks(item.label_map, names):
        told = {"label": names[index], "group_id": None, "description": "", "flags": {}}
        if style.polygons:
            for ring in polygons_of(mask, style):
                yield {**told, "shape_type": "polygon", "points": ring.tolist(), "mask": None}
        else:
            top, left, bottom, right = box_of(mask)
            text = bitmaps.encode(mask[top:bottom, left:right], deflated=False)
            yield {
                **told,
                "shape_type": "mask",
                "points": [[left, top], [right - 1, bottom - 1]],
                "mask": text,
            }
