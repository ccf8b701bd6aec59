"""Writes CVAT for images 1.1: annotations.xml, and images/SPLIT/; the split is an image's subset.

A mask for each class of a picture. Void has the label "ignore".
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from fullconv.data.masks import palette_of
from fullconv.data.shapes.runs import to_counts
from fullconv.data.writing.items import Item, Style, box_of, class_masks, class_names
from fullconv.labels import LabelSet


def write(folder: Path, labels: LabelSet, splits: Mapping[str, Iterator[Item]], style: Style) -> None:
    names, palette = class_names(labels), palette_of(labels).tolist()
    with (folder / "annotations.xml").open("w", encoding="utf-8", newline="\n") as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n  <version>1.1</version>\n')
        file.write("  <meta>\n    <project>\n      <labels>\n")
        for index, name in names.items():
            red, green, blue = palette[index]
            color = f"#{red:02x}{green:02x}{blue:02x}"
            file.write(
                f"        <label><name>{escape(name)}</name><color>{color}</color><type>mask</type><attributes/></label>\n"
            )
        file.write("      </labels>\n    </project>\n  </meta>\n")
        number = 0
        for split, items in splits.items():
            for item in items:
                item.place_picture(folder / "images" / split)
                height, width = item.label_map.shape
                told = f'id="{number}" name={quoteattr(item.file_name)} subset={quoteattr(split)}'
                file.write(f'  <image {told} width="{width}" height="{height}">\n')
                for index, mask in class_masks(item.label_map, names):
                    file.write(_mask(mask, names[index]))
                file.write("  </image>\n")
                number += 1
        file.write("</annotations>\n")


def _mask(mask: np.ndarray, name: str) -> str:
    top, left, bottom, right = box_of(mask)
    runs = ", ".join(map(str, to_counts(mask[top:bottom, left:right].ravel()).tolist()))
    place = f'left="{left}" top="{top}" width="{right - left}" height="{bottom - top}"'
    return f'    <mask label={quoteattr(name)} source="manual" occluded="0" rle="{runs}" {place} z_order="0"></mask>\n'
