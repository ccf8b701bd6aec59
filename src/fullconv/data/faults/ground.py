"""Where faults are planted: the sample scenes on disk, and small tools to change them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.masks import palette_of, read_mask
from fullconv.data.scenes import SCENES
from fullconv.labels import LabelSet

LISTS = Path("ImageSets", "Segmentation")


@dataclass(frozen=True)
class Ground:
    """The sample scenes, as `write_scenes` left them.

    Attributes:
        folder: of the data set.
        train, val: the names of the splits' samples.
    """

    folder: Path
    train: tuple[str, ...]
    val: tuple[str, ...]

    @property
    def root(self) -> Path:
        return self.folder / "VOCdevkit" / "VOC2012"

    @property
    def yaml(self) -> Path:
        return self.folder / "dataset.yaml"

    def picture(self, name: str) -> Path:
        return self.root / "JPEGImages" / f"{name}.jpg"

    def mask(self, name: str) -> Path:
        return self.root / "SegmentationClass" / f"{name}.png"

    def list(self, split: str) -> Path:
        return self.root / LISTS / f"{split}.txt"

    def label_map(self, name: str) -> np.ndarray:
        """(H, W) uint8."""
        return read_mask(self.mask(name), SCENES)

    def pixels(self, name: str) -> np.ndarray:
        """(H, W, 3) uint8 RGB."""
        return np.asarray(Image.open(self.picture(name)))

    def add(self, split: str, name: str, picture: Path | None = None, mask: Path | None = None) -> None:
        """Lists a further sample, with copies of these files."""
        if picture is not None:
            self.picture(name).write_bytes(picture.read_bytes())
        if mask is not None:
            self.mask(name).write_bytes(mask.read_bytes())
        with self.list(split).open("a") as file:
            file.write(f"{name}\n")

    def each_mask(
        self, change: Callable[[np.ndarray], np.ndarray], names: tuple[str, ...] | None = None
    ) -> None:
        """Writes masks anew as single-channel files without palette, of `change` of their label maps."""
        for name in names or self.train + self.val:
            save_ids(self.mask(name), change(self.label_map(name)))

    def describe(self, labels: LabelSet, further: str = "") -> None:
        """Writes another dataset.yaml."""
        classes = [
            f"  - {{name: {name}, color: {list(color)}}}"
            for name, color in zip(labels.names, labels.colors, strict=True)
        ]
        self.yaml.write_text("\n".join(["name: scenes", "classes:", *classes, further, ""]))


def save_ids(path: Path, label_map: np.ndarray) -> None:
    """Writes (H, W) uint8 as a grey PNG."""
    Image.fromarray(label_map).save(path, "PNG")


def painted(label_map: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: each class in its colour, void in cream."""
    return palette_of(SCENES)[label_map]


def save_jpeg(path: Path, picture: np.ndarray, orientation: int = 1, subsampling: int = 2) -> None:
    """Writes (H, W, 3) uint8 RGB, perhaps with an EXIF orientation; `subsampling` 0 keeps colours sharp."""
    exif = Image.Exif()
    if orientation != 1:
        exif[274] = orientation
    Image.fromarray(picture).save(path, "JPEG", quality=92, exif=exif, subsampling=subsampling)


TWO = LabelSet(names=("ground", "thing"), colors=((46, 52, 64), (236, 134, 74)))
"""The scenes' classes, taken for two."""


def two_classes(label_map: np.ndarray) -> np.ndarray:
    """(H, W) uint8: 0 where there is background or void, else 1."""
    return ((label_map > 0) & (label_map < 255)).astype(np.uint8)
