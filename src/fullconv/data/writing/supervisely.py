"""Writes Supervisely's form: meta.json, and a dataset SPLIT/ with img/ and ann/ for each split.

A bitmap for each class of a picture. Void has the class "ignore".
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fullconv.data.masks import palette_of
from fullconv.data.shapes import bitmaps
from fullconv.data.writing.items import Item, Style, box_of, class_masks, class_names
from fullconv.labels import LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names, palette = class_names(labels), palette_of(labels).tolist()
    classes = [
        {"title": name, "shape": "bitmap", "color": "#{:02X}{:02X}{:02X}".format(*palette[index])}
        for index, name in names.items()
    ]
    _write_json(folder / "meta.json", {"classes": classes, "tags": []})
    for split, items in splits.items():
        (folder / split / "ann").mkdir(parents=True)
        for item in items:
            item.place_picture(folder / split / "img")
            height, width = item.label_map.shape
            content = {
                "description": "",
                "tags": [],
                "size": {"height": height, "width": width},
                "objects": list(_objects(item, names)),
            }
            _write_json(folder / split / "ann" / f"{item.file_name}.json", content)


def _objects(item: Item, names: Mapping[int, str]) -> Iterator[dict[str, Any]]:
    for index, mask in class_masks(item.label_map, names):
        top, left, bottom, right = box_of(mask)
        data = bitmaps.encode(mask[top:bottom, left:right], deflated=True)
        yield {
            "description": "",
            "geometryType": "bitmap",
            "tags": [],
            "classTitle": names[index],
            "bitmap": {"data": data, "origin": [left, top]},
        }


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False), "utf-8")
