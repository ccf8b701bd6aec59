"""YOLO's outlines: data.yaml, and for each picture in `images/` a text file in `labels/`.

A line is the number of a class and the vertices of a polygon in parts of the picture's width and height. A picture without
a text file shows nothing but background. The classes are the names in data.yaml, behind background. `path` counts where it
leads into the data set's folder; paths such as `../train/images` are taken from there.

Source: Ultralytics, Instance Segmentation Datasets, https://docs.ultralytics.com/datasets/segment/.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import BeforeValidator, ConfigDict

from fullconv.data.contents import Dataset
from fullconv.data.documents import Part, checked, inside, read_bytes, shortened
from fullconv.data.layouts.drawn import in_splits, pictures_in, sample_name
from fullconv.data.named_classes import id_elsewhere, id_of, named_labels
from fullconv.data.pictures import picture_size
from fullconv.data.samples import Sample
from fullconv.data.shapes.painting import Area, paint
from fullconv.data.shapes.polygons import fill_rings, near
from fullconv.errors import DataError
from fullconv.labels import LabelSet

NAME = "yolo"

FILES = ("data.yaml", "data.yml")


def _listed(value: Any) -> Any:
    if isinstance(value, dict) and all(isinstance(key, int) for key in value):
        if sorted(value) != list(range(len(value))):
            raise ValueError(
                f"got {shortened(value)} by other numbers than 0 to {len(value) - 1}; expected each once"
            )
        value = [value[key] for key in sorted(value)]
    if not isinstance(value, list):
        raise ValueError(
            f"got {shortened(value)}, expected a list of names, or names by their numbers from 0"
        )
    return [str(name) if isinstance(name, int | float) else name for name in value]


def _several(value: Any) -> Any:
    return [value] if isinstance(value, str) else value or []


Folders = Annotated[tuple[str, ...], BeforeValidator(_several)]


class Description(Part):
    """The content of data.yaml; any other key that names a folder of pictures is a split too."""

    model_config = ConfigDict(frozen=True, extra="allow")
    names: Annotated[list[str], BeforeValidator(_listed)]
    path: str = ""
    train: Folders = ()
    val: Folders = ()
    test: Folders = ()


@dataclass(frozen=True)
class YoloMask:
    """The polygons of one picture.

    Attributes:
        path: the text file; data.yaml, if there is none.
        picture: the picture's file.
        names: the classes' names by their numbers.
    """

    path: Path
    picture: Path
    names: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.path)

    @property
    def is_empty(self) -> bool:
        """Whether the picture has no text file."""
        return self.path.suffix != ".txt"

    def read(self, labels: LabelSet) -> np.ndarray:
        """The label map: (H, W) uint8, ids of `labels` or 255.

        Raises:
            DataError: the file is not as expected.
            PictureError: the picture cannot be read.
        """
        size_hw = picture_size(self.picture)
        content = b"" if self.is_empty else read_bytes(self.path)
        try:
            lines = content.decode().splitlines()
        except UnicodeDecodeError:
            raise DataError(
                f"{self.path}: is no text in UTF-8; expected lines of numbers; export it again"
            ) from None
        return paint(size_hw, self._areas(lines, labels, size_hw), id_elsewhere(labels))

    def _areas(self, lines: list[str], labels: LabelSet, size_hw: tuple[int, int]) -> Iterator[Area]:
        for number, line in enumerate(lines, start=1):
            if line.strip():
                where = f"{self.path}: line {number}"
                index, points = _polygon(line, size_hw, where)
                if not 0 <= index < len(self.names):
                    raise DataError(
                        f"{where}: got class {index}, expected 0 to {len(self.names) - 1} as in data.yaml"
                    )
                yield Area(fill_rings([points], size_hw), id_of(self.names[index], labels, where))


def _polygon(line: str, size_hw: tuple[int, int], where: str) -> tuple[int, np.ndarray]:
    """A line's class and vertices: (n, 2) in pixels."""
    first, *rest = line.split()
    try:
        index, numbers = float(first), np.array(rest, np.float64)
    except ValueError:
        raise DataError(f"{where}: got {shortened(line.strip())}, expected a class and numbers") from None
    if not np.isfinite([index, *numbers]).all() or index != index // 1:
        raise DataError(f"{where}: got {shortened(line.strip())}, expected a class and finite numbers")
    if len(numbers) == 4:
        raise DataError(
            f"{where}: got 4 numbers, which is a box; expected x and y of at least 3 points; export outlines"
        )
    if len(numbers) < 6 or len(numbers) % 2:
        raise DataError(f"{where}: got {len(numbers)} numbers, expected x and y of at least 3 points")
    if np.abs(numbers).max() > 2:
        raise DataError(
            f"{where}: got {np.abs(numbers).max():g}, expected parts of the picture's width and height, 0 to 1; "
            "divide pixels by them"
        )
    return int(index), near(numbers.reshape(-1, 2) * size_hw[::-1], size_hw, where)


def _description_file(folder: Path) -> Path | None:
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def detect(folder: Path) -> bool:
    return _description_file(folder) is not None


def read(folder: Path) -> Dataset:
    path = _description_file(folder)
    if path is None:
        raise DataError(f"{folder}: holds no data.yaml; expected one with names:, train: and val:")
    try:
        content = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(
            f"{path}: is not YAML ({' '.join(str(error).split())[:200]}); expected names:, train: and val:"
        ) from None
    description = checked(content, Description, path, joint=": ")
    names = tuple(description.names)
    root = folder
    if description.path and (inner := _within(folder, description.path)) and inner.is_dir():
        root = inner
    found = []
    for split, places in _places(folder, description).items():
        for place in places:
            for picture in _pictures(folder, root, place, f"{path}: {split}"):
                lines = _label_file(picture, folder)
                mask = YoloMask(lines if lines.is_file() else path, picture, names)
                found.append((split, Sample(sample_name(picture, folder, split), picture, mask)))
    note, splits = in_splits(found, path)
    if all(sample.mask.path == path for _, sample in found):
        expected = _label_file(found[0][1].picture, folder)
        raise DataError(
            f"{path}: none of its {len(found)} pictures has a text file; expected e.g. {expected}; add them"
        )
    labels = named_labels(folder, names, path)
    return Dataset(folder.resolve().name, folder, f"YOLO outlines by {path.name}{note}", labels, splits)


def _places(folder: Path, description: Description) -> dict[str, tuple[str, ...]]:
    """The folders or lists of each split."""
    extra = (description.model_extra or {}).items()
    further = {key: (value,) for key, value in extra if _is_folder(folder, value)}
    test = tuple(
        place for place in description.test if _is_folder(folder, place)
    )  # many an export names one that it lacks
    return {"train": description.train, "val": description.val, "test": test, **further}


def _is_folder(folder: Path, value: Any) -> bool:
    path = _within(folder, value) if isinstance(value, str) and value else None
    return path is not None and path != folder and path.is_dir()


def _within(folder: Path, name: str) -> Path | None:
    """A path in data.yaml, if it leads into the folder; steps up at its beginning are passed over."""
    steps = name.replace("\\", "/").split("/")
    while steps and steps[0] in ("..", "."):
        steps = steps[1:]
    try:
        return inside(folder, "/".join(steps), folder) if steps else folder
    except DataError:
        return None


def _pictures(folder: Path, root: Path, place: str, where: str) -> list[Path]:
    """The pictures of a folder, or of a list of files."""
    for base in dict.fromkeys((root, folder)):
        path = _within(base, place)
        if path is not None and path.is_dir():
            return list(pictures_in(path))
        if path is not None and path.is_file() and path.suffix == ".txt":
            lines = [line.strip() for line in read_bytes(path).decode("utf-8", "replace").splitlines()]
            return [inside(folder, line, path, path.parent) for line in lines if line]
    raise DataError(f"{where}: got {shortened(place)}, expected a folder of pictures in {folder}; correct it")


def _label_file(picture: Path, folder: Path) -> Path:
    """The text file of a picture: in its path the last `images` becomes `labels`."""
    parts = list(picture.relative_to(folder).parts)
    if "images" in parts[:-1]:
        parts[len(parts) - 2 - parts[:-1][::-1].index("images")] = "labels"
    return folder.joinpath(*parts).with_suffix(".txt")
