"""Classes that shapes are labelled with by name, and what their names mean.

A class called background (`_background_` in LabelMe) is what no shape covers; where there is none, it is added as id 0.
Shapes called ignore or void (`__ignore__` in LabelMe) are void. A dataset.yaml says otherwise: then the classes are those in
it and no others, what no shape covers is its background or else void, and any name in it is a class.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from fullconv.data.classes import (
    CLASS_LISTS,
    ClassEntry,
    Classes,
    existing,
    find_description,
    read_class_list,
)
from fullconv.data.documents import shortened
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet, voc_color

BACKGROUND = "background"
VOID_NAMES = ("ignore", "void")


def is_background(name: str) -> bool:
    return name.strip("_ ").casefold() == BACKGROUND


def is_void(name: str) -> bool:
    return name.strip("_ ").casefold() in VOID_NAMES


def named_labels(
    folder: Path,
    names: Iterable[str],
    where: object,
    colors: Mapping[str, Color] | None = None,
    *,
    with_background: bool = True,
) -> LabelSet:
    """The classes of a data set whose shapes have names.

    Args:
        folder: of the data set: its dataset.yaml, or a list of names such as labels.txt, goes first.
        names: those in the file, in id order.
        where: what errors call the file.
        colors: of some of the names; of two with the same colour the later gets another.
        with_background: whether what no shape covers is a class.

    Raises:
        DataError: a name is there twice, or there are more than 255 classes or none.
    """
    described = find_description(folder)
    if described is not None and described[1].classes:
        return described[1].labels()
    listed = next(existing([folder], CLASS_LISTS), None)
    names = read_class_list(listed).names if listed else names
    kept = [name for name in names if not is_void(name)]
    if with_background and not any(map(is_background, kept)):
        kept.insert(0, BACKGROUND)
    twice = sorted({name for name in kept if kept.count(name) > 1})
    if twice:
        raise DataError(
            f"{listed or where}: class name {shortened(twice[0])} is given twice; expected each once; rename one"
        )
    if not 1 <= len(kept) <= IGNORE_INDEX or "" in kept:
        got = f"{len(kept)} classes" if "" not in kept else "a class without name"
        raise DataError(
            f"{listed or where}: got {got}; expected 1 to {IGNORE_INDEX} with names; merge some of them"
        )
    return Classes(classes=tuple(_entries(kept, colors or {}))).labels()


def _entries(names: list[str], colors: Mapping[str, Color]) -> Iterable[ClassEntry]:
    taken: set[Color] = {voc_color(0)} if is_background(names[0]) else set()
    for name in names:
        color = colors.get(name)
        yield ClassEntry(name=name, color=color if color not in taken else None)
        if color is not None:
            taken.add(color)


def hex_color(text: str | None) -> Color | None:
    """The colour in a text such as `#ff8000`, or None.

    >>> hex_color("#FF8000"), hex_color("red")
    ((255, 128, 0), None)
    """
    if not text or not re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return None
    return int(text[1:3], 16), int(text[3:5], 16), int(text[5:7], 16)


def id_of(name: str, labels: LabelSet, where: object) -> int:
    """The id of a shape's class, or 255.

    Raises:
        DataError: there is no such class.

    >>> id_of("bag", LabelSet.from_names(["background", "bag"]), "a.json"), id_of("__ignore__", LabelSet.from_names(["a"]), "a")
    (1, 255)
    """
    if name in labels.names:
        index = labels.names.index(name)
        return IGNORE_INDEX if index in labels.ignore_ids else index
    if is_void(name):
        return IGNORE_INDEX
    if is_background(name):
        return id_elsewhere(labels)
    known = ", ".join(name[:30] for name in labels.names[:8]) + (", ..." if labels.num_classes > 8 else "")
    raise DataError(
        f"{where}: got class {shortened(name)}, expected one of {known}; correct the name, or add it to dataset.yaml"
    )


def id_elsewhere(labels: LabelSet) -> int:
    """The id of what no shape covers: that of the background, or 255 where there is none.

    >>> id_elsewhere(LabelSet.from_names(["road", "_background_"])), id_elsewhere(LabelSet.from_names(["road"]))
    (1, 255)
    """
    return next(
        (i for i, name in enumerate(labels.names) if is_background(name) and i not in labels.ignore_ids),
        IGNORE_INDEX,
    )
