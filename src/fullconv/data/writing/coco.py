"""Writes COCO instances: annotations/instances_SPLIT.json, and the pictures in a folder for each split.

Classes are written as run lengths, an annotation for each class of a picture, or as polygons, one for each connected part.
Void is a crowd region of the category "ignore": programs that know COCO leave crowds out.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.shapes.runs import pack, to_counts
from fullconv.data.writing.items import Item, Style, box_of, class_masks, class_names, json_list, polygons_of
from fullconv.labels import IGNORE_INDEX, LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names = class_names(labels)
    ids = {index: number for number, index in enumerate(names, start=1)}
    categories = [{"id": ids[index], "name": name, "supercategory": ""} for index, name in names.items()]
    head = {"info": {"description": "written by fullconv"}, "licenses": [], "categories": categories}
    for split, items in splits.items():
        images = []
        path = folder / "annotations" / f"instances_{split}.json"
        with json_list(path, json.dumps(head, ensure_ascii=False)[:-1] + ', "annotations": [', "],") as add:
            number = 0
            for item in items:
                item.place_picture(folder / split)
                height, width = item.label_map.shape
                images.append(
                    {"id": len(images) + 1, "file_name": item.file_name, "height": height, "width": width}
                )
                for annotation in _annotations(item.label_map, ids, style):
                    number += 1
                    add({"id": number, "image_id": len(images), **annotation})
        with path.open("a", encoding="utf-8") as file:
            file.write(f'"images": {json.dumps(images, ensure_ascii=False)}}}\n')


def _annotations(label_map: np.ndarray, ids: Mapping[int, int], style: Style) -> Iterator[dict[str, Any]]:
    for index, mask in class_masks(label_map, ids):
        told = {"category_id": ids[index], "iscrowd": int(index == IGNORE_INDEX)}
        if style.polygons and index != IGNORE_INDEX:
            for ring in polygons_of(mask, style):
                x, y = ring.T
                left, top = int(x.min()), int(y.min())
                yield {
                    **told,
                    "area": abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2,
                    "bbox": [left, top, int(x.max()) - left, int(y.max()) - top],
                    "segmentation": [ring.ravel().tolist()],
                }
        else:
            top, left, bottom, right = box_of(mask)
            yield {
                **told,
                "area": int(mask.sum()),
                "bbox": [left, top, right - left, bottom - top],
                "segmentation": {"size": list(mask.shape), "counts": pack(to_counts(mask.T.ravel()))},
            }
