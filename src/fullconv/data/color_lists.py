"""Lists of classes with the colours that stand for them in masks.

Source: `label_colors.txt` as CamVid has it (http://mi.eng.cam.ac.uk/research/projects/VideoRec/CamVid/), `class_dict.csv` as
many data sets on Kaggle have it.
"""

import re
from pathlib import Path

from fullconv.data.classes import read_lines
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet

COLOR_LISTS = ("label_colors.txt", "class_dict.csv")

VOID = "Void"
"""The name of what is no class."""

_TEXT_LINE = r"(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s+(\S.*)"
_CSV_LINE = r"([^,]*[^,\s])\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})\s*,\s*(\d{1,3})"


def read_colors(path: Path) -> LabelSet:
    """The classes of `label_colors.txt` ("64 128 64<tab>Animal") or of `class_dict.csv` ("Animal,64,128,64").

    Raises:
        DataError: a line is not understood, or a name or colour stands there twice.
    """
    is_csv = path.suffix == ".csv"
    pattern = _CSV_LINE if is_csv else _TEXT_LINE
    colors: dict[str, Color] = {}
    for number, line in enumerate(read_lines(path), start=1):
        found = re.fullmatch(pattern, line, re.ASCII)
        if is_csv and number == 1 and not found:
            continue  # the columns' names
        parts = list(found.groups()) if found else []
        name = parts.pop(0 if is_csv else 3) if found else ""
        if not name or name in colors:
            raise DataError(
                f"{path}: line {number} is {line[:60]!r}; expected a colour and a name that no other line has, such as "
                f"{'Animal,64,128,64' if is_csv else '64 128 64 Animal'}"
            )
        red, green, blue = map(int, parts)
        colors[name] = (red, green, blue)
    try:
        if len(colors) > IGNORE_INDEX:
            raise DataError(f"names {len(colors)} classes; expected at most 255")
        if not set(colors) - {VOID}:
            raise DataError("names no class; expected a colour and a name a line")
        return LabelSet(tuple(colors), tuple(colors.values()))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
