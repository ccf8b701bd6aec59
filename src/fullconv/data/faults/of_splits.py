"""Faults that splits have with each other."""

import numpy as np
from PIL import Image, ImageEnhance

from fullconv.data.faults.ground import Ground, save_ids, save_jpeg
from fullconv.data.scenes import SCENES, draw_scene
from fullconv.labels import IGNORE_INDEX, LabelSet

MISSED = SCENES.names.index("tree")
"""The class that is taken out of one split."""


def split_missing(ground: Ground, names: list[str]) -> None:
    """There is no list to measure on."""
    ground.list("val").unlink()


def in_two_splits(ground: Ground, names: list[str]) -> None:
    """Two pictures are in both lists."""
    for name in names[:2]:
        ground.add("val", name)


def same_across(ground: Ground, names: list[str]) -> None:
    """Pictures of val lie in train too, under other names."""
    for name in ground.val[:2]:
        ground.add("train", f"{name}_copy", ground.picture(name), ground.mask(name))


def near_same_across(ground: Ground, names: list[str]) -> None:
    """Pictures of val lie in train too: brighter, smaller, or mirrored."""
    first, second, third = ground.val[:3]
    bright = ImageEnhance.Brightness(Image.fromarray(ground.pixels(first))).enhance(1.15)
    ground.add("train", "brighter", mask=ground.mask(first))
    bright.save(ground.picture("brighter"), "JPEG", quality=75)
    ground.add("train", "smaller")
    half = Image.fromarray(ground.pixels(second)).reduce(2)
    half.save(ground.picture("smaller"), "JPEG", quality=75)
    save_ids(
        ground.mask("smaller"), np.asarray(Image.fromarray(ground.label_map(second)).resize(half.size, 0))
    )
    ground.add("train", "mirrored")
    save_jpeg(ground.picture("mirrored"), ground.pixels(third)[:, ::-1].copy())
    save_ids(ground.mask("mirrored"), ground.label_map(third)[:, ::-1].copy())


def same_within(ground: Ground, names: list[str]) -> None:
    """A picture is in train twice."""
    ground.add("train", f"{names[0]}_again", ground.picture(names[0]), ground.mask(names[0]))


def contradictory(ground: Ground, names: list[str]) -> None:
    """A picture is in train twice, and the second time somebody else drew the mask."""
    ground.add("train", f"{names[0]}_again", ground.picture(names[0]))
    label_map = ground.label_map(names[0])
    save_ids(
        ground.mask(f"{names[0]}_again"), np.where(label_map == IGNORE_INDEX, 0, label_map).astype(np.uint8)
    )


def class_unlearnt(ground: Ground, names: list[str]) -> None:
    """A class is in val alone."""
    ground.each_mask(_without_class, ground.train)


def class_unmeasured(ground: Ground, names: list[str]) -> None:
    """A class is in train alone."""
    ground.each_mask(_without_class, ground.val)


def _without_class(label_map: np.ndarray) -> np.ndarray:
    return np.where(label_map == MISSED, IGNORE_INDEX, label_map).astype(np.uint8)


def class_rare(ground: Ground, names: list[str]) -> None:
    """Of a class only a few pixels are left in training."""
    name = max(ground.train, key=lambda name: int((ground.label_map(name) == MISSED).sum()))

    def change(label_map: np.ndarray) -> np.ndarray:
        few = np.flatnonzero(label_map == MISSED)[5:]
        label_map = label_map.copy()
        label_map.ravel()[few] = IGNORE_INDEX
        return label_map

    ground.each_mask(_without_class, tuple(other for other in ground.train if other != name))
    ground.each_mask(change, (name,))


def class_absent(ground: Ground, names: list[str]) -> None:
    """dataset.yaml has a class that nobody drew."""
    ground.describe(LabelSet((*SCENES.names, "dragon"), (*SCENES.colors, (1, 2, 3))))


def sequence_shared(ground: Ground, names: list[str]) -> None:
    """A film, of which the beginning is in train and the end in val."""
    _film(ground, {"train": range(8), "val": range(14, 22)})


def one_sequence(ground: Ground, names: list[str]) -> None:
    """Val is nothing but one film."""
    ground.list("val").write_text("")
    _film(ground, {"val": range(8)})


def _film(ground: Ground, frames: dict[str, range]) -> None:
    """The view wanders over a wide scene; frames far from each other do not look alike."""
    height, width = ground.label_map(ground.train[0]).shape
    picture, label_map = draw_scene(0, 30_000_000, (height, 2 * width))
    for split, numbers in frames.items():
        for number in numbers:
            name, left = f"walk_{number:04d}", number * width // 64
            ground.add(split, name)
            save_jpeg(ground.picture(name), picture[:, left : left + width].copy())
            save_ids(ground.mask(name), label_map[:, left : left + width].copy())
