"""Writes Label Studio's form: SPLIT.json with brush strokes, images/SPLIT/, and labeling_config.xml for the project.

A stroke for each class of a picture. Void has the label "ignore". The tasks name their pictures as files of a local storage
whose root is the data set's folder.

Source: Label Studio, https://labelstud.io/guide/storage#Local-storage and https://labelstud.io/tags/brushlabels.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from fullconv.data.masks import palette_of
from fullconv.data.shapes import brush
from fullconv.data.writing.items import Item, Style, class_masks, class_names, json_list
from fullconv.labels import LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names, palette = class_names(labels), palette_of(labels).tolist()
    (folder / "labeling_config.xml").write_text(_config(names, palette), "utf-8")
    number = 0
    for split, items in splits.items():
        with json_list(folder / f"{split}.json") as add:
            for item in items:
                item.place_picture(folder / "images" / split)
                number += 1
                result = [
                    _stroke(mask, names[index], index) for index, mask in class_masks(item.label_map, names)
                ]
                address = f"/data/local-files/?d={quote(f'images/{split}/{item.file_name}')}"
                add(
                    {
                        "id": number,
                        "annotations": [{"id": number, "result": result}],
                        "data": {"image": address},
                    }
                )


def _stroke(mask: np.ndarray, name: str, index: int) -> dict[str, Any]:
    return {
        "id": f"class_{index}",
        "type": "brushlabels",
        "value": {"format": "rle", "rle": brush.encode(mask), "brushlabels": [name]},
        "origin": "manual",
        "from_name": "label",
        "to_name": "image",
        "image_rotation": 0,
        "original_width": mask.shape[1],
        "original_height": mask.shape[0],
    }


def _config(names: Mapping[int, str], palette: list[list[int]]) -> str:
    labels = "".join(
        '    <Label value={} background="#{:02x}{:02x}{:02x}"/>\n'.format(quoteattr(name), *palette[index])
        for index, name in names.items()
    )
    tags = f'  <Image name="image" value="$image"/>\n  <BrushLabels name="label" toName="image">\n{labels}  </BrushLabels>\n'
    return f"<View>\n{tags}</View>\n"
