"""The classes of a data set: from its dataset.yaml, from a list of names, or from the masks themselves."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FiniteFloat,
    ValidationError,
    model_validator,
)

from fullconv.data.extra import ExtraFormat
from fullconv.data.masks import Shades, read_stored
from fullconv.data.sources import MaskFile, MaskSource
from fullconv.errors import DataError, InputError, Report, fail
from fullconv.labels import IGNORE_INDEX, Color, Head, LabelSet, voc_color

CLASS_LISTS = ("classes.txt", "class_names.txt", "labels.txt")
"""Text files with one class name a line, in id order, are taken by these names."""

UNKNOWN = LabelSet.from_names([f"class_{index}" for index in range(IGNORE_INDEX)])
"""The classes of masks of which nothing is known."""

EXAMPLE = "classes: [{name: background, color: [0, 0, 0]}, {name: road, color: [128, 64, 128]}]"

EXAMPLES = {
    "masks": "masks: {dark: bag, light: background}",
    "extra": "extra: {folder: depth, range: [0, 10000], channels: 1}",
    "heads": "heads: [{name: geometric, masks: masks_geometric, classes: [sky, horizontal, vertical]}]",
}

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


class Classes(BaseModel):
    """The classes of one set of masks.

    Attributes:
        classes: in id order.
        ignore: mask ids that are void; 255 always is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)
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


Folder = Annotated[str, Field(min_length=1)]


class MaskEntry(BaseModel):
    """What is dark and what is light in masks that are grey pictures of two classes, JPEGs for example."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    dark: str
    light: str


class ExtraEntry(BaseModel):
    """Extra channels: a file in `folder` for each picture; see `ExtraFormat`."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    folder: Folder
    range: tuple[FiniteFloat, FiniteFloat] | None = None
    channels: Literal[1, 3] = 1

    @model_validator(mode="after")
    def _two_ends(self) -> Self:
        if self.range and self.range[0] == self.range[1]:
            raise ValueError(f"got range {list(self.range)}, expected two different values")
        return self

    def form(self) -> ExtraFormat:
        return ExtraFormat(self.channels, self.range)


class HeadEntry(Classes):
    """A further head: its masks lie in the folder `masks`, under the same names."""

    name: Annotated[str, Field(min_length=1)]
    masks: Folder


class Description(Classes):
    """The content of dataset.yaml; its own classes are those of the first head.

    Attributes:
        classes: in id order; empty where `layout` is given and the classes are left to it.
        layout: the name of the layout, where it is not to be found by looking.
        splits: what of the folders or files of annotations is a split, where their names do not say it.
        name: the data set's name; the folder's without.
        masks: given where the masks are grey pictures.
        extra: given where the pictures have extra channels.
        heads: the further heads.
    """

    classes: Annotated[
        tuple[Annotated[ClassEntry, BeforeValidator(_entry)], ...], Field(min_length=1, max_length=255)
    ] = ()
    layout: str | None = None
    splits: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    name: str | None = None
    masks: MaskEntry | None = None
    extra: ExtraEntry | None = None
    heads: tuple[HeadEntry, ...] = ()

    def shades(self) -> Shades | None:
        """What brightness means in the masks, or None where they hold ids or colours.

        Raises:
            DataError: dark and light are not the two classes.
        """
        if self.masks is None:
            return None
        names, dark, light = [entry.name for entry in self.classes], self.masks.dark, self.masks.light
        if sorted((dark, light)) != sorted(names):
            raise DataError(
                f"masks: got dark {dark!r} and light {light!r}; expected the data set's two classes, and it "
                f"has {', '.join(map(repr, names))}; correct the names"
            )
        return Shades(names.index(dark), names.index(light))

    def further_heads(self) -> tuple[Head, ...]:
        """The heads with their classes.

        Raises:
            DataError: two have one name.
        """
        names = [head.name for head in self.heads]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise DataError(f"heads: name {twice[0]} is given twice; expected each once")
        return tuple(Head(head.name, head.labels()) for head in self.heads)


def read_description(path: Path) -> Description:
    """Reads a dataset.yaml.

    Raises:
        DataError: one line that names the file, the place in it and what was expected there.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8-sig"))
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a YAML file in UTF-8") from None
    except (
        yaml.YAMLError,
        ValueError,
        RecursionError,
    ) as error:  # ValueError: what looks like a date and is none
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, " if mark else ""
        problem = " ".join(str(getattr(error, "problem", error)).split())[:200]
        raise DataError(f"{path}: {place}is not YAML ({problem}); expected e.g. {EXAMPLE}") from None
    if not isinstance(content, dict):
        raise DataError(f"{path}: got {type(content).__name__}, expected keys and values, e.g. {EXAMPLE}")
    try:
        description = Description.model_validate(content)
        if description.classes:
            description.labels()
        elif description.layout is None:
            raise DataError(f"classes: Field required; expected e.g. {EXAMPLE}")
        description.shades()
        description.further_heads()
    except ValidationError as error:
        fault = error.errors(include_url=False)[0]
        place = ".".join(map(str, fault["loc"]))
        example = EXAMPLES.get(str(fault["loc"][0]), EXAMPLE)
        raise DataError(f"{path}: {place}: {fault['msg']}; expected e.g. {example}") from None
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    return description


def find_description(*folders: Path) -> tuple[Path, Description] | None:
    """The first dataset.yaml in one of the folders, and what it says.

    Raises:
        DataError: it cannot be read.
    """
    path = next(existing(folders, ("dataset.yaml",)), None)
    return None if path is None else (path, read_description(path))


def existing(folders: Iterable[Path], names: Sequence[str]) -> Iterator[Path]:
    """The files of these names that there are: all names in the first folder, then in the next."""
    return (folder / name for folder in folders for name in names if (folder / name).is_file())


def read_class_list(path: Path) -> LabelSet:
    """Reads one class name a line, in id order; the line `__ignore__` that labelme writes is none."""
    return named_labels([line for line in read_lines(path) if line != "__ignore__"], path)


def named_labels(names: Sequence[str], path: Path) -> LabelSet:
    """The classes of these names, in id order.

    Raises:
        DataError: naming the file, where there are none, or two are the same.
    """
    try:
        return LabelSet.from_names(tuple(names))
    except DataError as error:
        raise DataError(f"{path}: {error}") from None


def read_lines(path: Path) -> list[str]:
    """The lines of a text file that are not blank, stripped."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read ({error}); expected a text file in UTF-8") from None
    return [line.strip() for line in lines if line.strip()]


def infer_labels(masks: Sequence[MaskFile], report: Report = fail) -> LabelSet:
    """The classes 0..highest id of a set of masks, named class_0, class_1, ...; a palette's colours are kept.

    Reads every mask: a class may be in one of them only.

    Args:
        masks: all there are.
        report: told of masks that cannot be read, are colour-coded, hold ids above 255 or, all of them, id 0 alone. The
            classes are then those of the others: two at least, or `UNKNOWN` without others.

    Raises:
        DataError: as `report` does.
    """
    highest, colors, sound, void = 0, {}, [], False
    with ThreadPoolExecutor() as pool:
        for path, stored in zip(masks, pool.map(_stored_ids, masks), strict=True):
            if isinstance(stored, InputError):
                report(stored)
                continue
            found, palette = stored
            ids = [index for index in found if index != IGNORE_INDEX]
            if max(ids, default=0) > IGNORE_INDEX:
                told = f"{path}: holds id {max(ids)}; expected 0..255; merge classes or mend the mask"
                report(DataError(told, "mask-ids", [str(path)]))
                continue
            sound.append(path)
            highest, void = max(highest, *ids, 0), void or IGNORE_INDEX in found
            if palette is not None:
                colors = {index: tuple(palette[index].tolist()) for index in ids} | colors
    if not sound:
        return UNKNOWN
    if highest == 0:
        first = sound[0] if isinstance(sound[0], Path) else sound[0].path
        told = (
            f"{first.parent}: its masks hold id 0 alone (255 is void); expected at least two classes; "
            "a mask of two classes holds 0 and 1, not 0 and 255"
        )
        report(DataError(told, "mask-binary" if void else "one-class", [str(path) for path in sound]))
        highest = 1
    names = tuple(f"class_{index}" for index in range(highest + 1))
    picked: list[Color] = [colors.get(index, voc_color(index)) for index in range(highest + 1)]
    if len(set(picked)) < len(picked):
        return LabelSet.from_names(names)
    return LabelSet(names, tuple(picked))


def _stored_ids(path: MaskFile) -> tuple[list[int], np.ndarray | None] | InputError:
    if isinstance(path, MaskSource):
        told = f"{path}: nothing names its classes; expected a dataset.yaml, for example: {EXAMPLE}"
        return DataError(told, "no-classes", [str(path)])
    try:
        pixels, palette = read_stored(path)
    except InputError as error:
        return error
    if pixels.ndim == 3:
        return DataError(
            f"{path}: is colour-coded, and nothing says which colour is which class; expected a dataset.yaml "
            f"in the data set's folder, for example: {EXAMPLE}",
            "no-classes",
            [str(path)],
        )
    return np.flatnonzero(np.bincount(pixels.ravel())).tolist(), palette
