"""The classes of a data set: from its dataset.yaml, from a list of names, or from the masks themselves."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from fullconv.data.masks import read_stored
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet, voc_color

CLASS_LISTS = ("classes.txt", "class_names.txt", "labels.txt")
"""Text files with one class name a line, in id order, are taken by these names."""

EXAMPLE = "classes: [{name: background, color: [0, 0, 0]}, {name: road, color: [128, 64, 128]}]"

Byte = Annotated[int, Field(ge=0, le=255)]


class ClassEntry(BaseModel):
    """One class in dataset.yaml; a plain string is a name without colour."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: Annotated[str, Field(min_length=1)]
    color: tuple[Byte, Byte, Byte] | None = None


def _entry(value: Any) -> Any:
    if isinstance(value, bool | int | float):  # what YAML makes of an unquoted yes, no, on, off, or number
        raise ValueError(f"got {value!r}, expected a name; put it in quotes")
    return {"name": value} if isinstance(value, str) else value


class Description(BaseModel):
    """The content of dataset.yaml.

    Attributes:
        name: the data set's name; the folder's without.
        classes: in id order.
        ignore: mask ids that are void; 255 always is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
    name: str | None = None
    classes: Annotated[
        tuple[Annotated[ClassEntry, BeforeValidator(_entry)], ...], Field(min_length=1, max_length=255)
    ]
    ignore: tuple[Annotated[int, Field(ge=0, le=65535)], ...] = ()

    def labels(self) -> LabelSet:
        """The classes; those without colour get one from the VOC rule that no other class has."""
        given = {entry.color for entry in self.classes}
        free = [color for color in map(voc_color, range(IGNORE_INDEX)) if color not in given]
        colors = []
        for index, entry in enumerate(self.classes):
            color = entry.color or (voc_color(index) if voc_color(index) in free else free[0])
            if color in free:
                free.remove(color)
            colors.append(color)
        return LabelSet(tuple(entry.name for entry in self.classes), tuple(colors), self.ignore)


def read_description(path: Path) -> Description:
    """Reads a dataset.yaml.

    Raises:
        DataError: one line that names the file, the place in it and what was expected there.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a YAML file in UTF-8") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, " if mark else ""
        raise DataError(
            f"{path}: {place}is not YAML ({getattr(error, 'problem', error)}); expected e.g. {EXAMPLE}"
        ) from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: got {type(content).__name__}, expected keys and values, e.g. {EXAMPLE}")
    try:
        description = Description.model_validate(content)
        description.labels()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        raise DataError(f"{path}: {place}: {fault['msg']}; expected e.g. {EXAMPLE}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return description


def read_class_list(path: Path) -> LabelSet:
    """Reads one class name a line, in id order; the line `__ignore__` that labelme writes is none."""
    names = [line.strip() for line in read_lines(path) if line.strip() != "__ignore__"]
    try:
        return LabelSet.from_names(names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, stripped."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a text file in UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def infer_labels(masks: Sequence[Path]) -> LabelSet:
    """The classes 0..highest id of a set of masks, named class_0, class_1, ...; a palette's colours are kept.

    Reads every mask: a class may be in one of them only.

    Raises:
        DataError: the masks are colour-coded, or hold fewer than two classes or more than 255.
    """
    highest, colors = 0, {}
    with ThreadPoolExecutor() as pool:
        for path, (found, palette) in zip(masks, pool.map(_stored_ids, masks), strict=True):
            ids = [index for index in found if index != IGNORE_INDEX]
            highest = max(highest, *ids, 0)
            if highest > IGNORE_INDEX:
                raise DataError(
                    f"{path}: holds id {highest}; expected 0..255; merge classes or mend the mask"
                )
            if palette is not None:
                colors = {index: tuple(palette[index].tolist()) for index in ids} | colors
    if highest == 0:
        raise DataError(
            f"{masks[0].parent}: its masks hold id 0 alone (255 is void); expected at least two classes; "
            "a mask of two classes holds 0 and 1, not 0 and 255"
        )
    names = tuple(f"class_{index}" for index in range(highest + 1))
    picked: list[Color] = [colors.get(index, voc_color(index)) for index in range(highest + 1)]
    if len(set(picked)) < len(picked):
        return LabelSet.from_names(names)
    return LabelSet(names, tuple(picked))


def _stored_ids(path: Path) -> tuple[list[int], np.ndarray | None]:
    pixels, palette = read_stored(path)
    if pixels.ndim == 3:
        raise DataError(
            f"{path}: is colour-coded, and nothing says which colour is which class; expected a dataset.yaml "
            f"in the data set's folder, for example: {EXAMPLE}"
        )
    return np.flatnonzero(np.bincount(pixels.ravel())).tolist(), palette
