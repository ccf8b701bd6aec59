"""Faults of what masks hold."""

import numpy as np
from PIL import Image

from fullconv.data.doctor.outlines import outline_fit
from fullconv.data.faults.ground import TWO, Ground, painted, save_ids, save_jpeg, two_classes
from fullconv.data.scenes import SCENES
from fullconv.labels import IGNORE_INDEX, LabelSet

SHIFTED = 4
"""So much a colour is off that is still meant for the class's."""


def no_classes(ground: Ground, names: list[str]) -> None:
    """Colour-coded masks in flat folders, and no dataset.yaml."""
    for name in ground.train + ground.val:
        Image.fromarray(painted(ground.label_map(name))).save(ground.mask(name))
    ground.yaml.unlink()
    (ground.root / "JPEGImages").rename(ground.folder / "images")
    (ground.root / "SegmentationClass").rename(ground.folder / "masks")
    for split in ("train", "val"):
        ground.list(split).rename(ground.folder / f"{split}.txt")


def mask_ids(ground: Ground, names: list[str]) -> None:
    """Two masks with an area of an id that is no class."""
    for name in names[:2]:
        label_map = ground.label_map(name).copy()
        label_map[5:15, 7:30] = 77
        save_ids(ground.mask(name), label_map)


def mask_from_one(ground: Ground, names: list[str]) -> None:
    """All masks number the classes from 1."""
    ground.each_mask(lambda label_map: np.where(label_map == IGNORE_INDEX, label_map, label_map + 1))


def mask_zero_label(ground: Ground, names: list[str]) -> None:
    """0 means that there is no label, and dataset.yaml rightly leaves it out."""
    ground.each_mask(lambda label_map: label_map)
    ground.describe(LabelSet(SCENES.names[1:], SCENES.colors[1:]))


def mask_binary(ground: Ground, names: list[str]) -> None:
    """Two classes, written as 0 and 255."""
    ground.each_mask(lambda label_map: two_classes(label_map) * np.uint8(255))
    ground.describe(TWO)


def some_binary(ground: Ground, names: list[str]) -> None:
    """Two classes, and in some masks the second is written as 255."""
    ground.each_mask(two_classes)
    for name in names[:3]:
        save_ids(ground.mask(name), np.asarray(Image.open(ground.mask(name))) * np.uint8(255))
    ground.describe(TWO)


def mask_shades(ground: Ground, names: list[str]) -> None:
    """Masks in black and white, one of which has gone grey."""
    ground.each_mask(lambda label_map: two_classes(label_map) * np.uint8(255))
    ground.describe(TWO, "masks: {dark: ground, light: thing}")
    faded = two_classes(np.asarray(Image.open(ground.mask(names[0]))) // 255) * np.uint8(50) + np.uint8(90)
    save_ids(ground.mask(names[0]), faded)


def mask_jpeg(ground: Ground, names: list[str]) -> None:
    """Masks that are JPEGs, and one that was, saved as PNG afterwards."""
    for name in names[:2]:
        path = ground.mask(name)
        save_jpeg(path.with_suffix(".jpg"), painted(ground.label_map(name)), subsampling=0)
        path.unlink()
    spoilt = ground.mask(names[2]).with_suffix(".jpg")
    save_jpeg(spoilt, painted(ground.label_map(names[2])), subsampling=0)
    Image.open(spoilt).save(ground.mask(names[2]))
    spoilt.unlink()


def mask_interpolated(ground: Ground, names: list[str]) -> None:
    """Masks that were scaled as if they were photographs."""
    for name in names[:2]:
        label_map = ground.label_map(name)
        height, width = label_map.shape
        small = Image.fromarray(label_map).resize((width * 3 // 4, height * 3 // 4), Image.Resampling.NEAREST)
        small.resize((width, height), Image.Resampling.BILINEAR).save(ground.mask(name))


def mask_blended(ground: Ground, names: list[str]) -> None:
    """Colour-coded masks with smooth outlines."""
    for name in names[:2]:
        colors = Image.fromarray(painted(ground.label_map(name)))
        width, height = colors.size
        small = colors.resize((width * 3 // 4, height * 3 // 4), Image.Resampling.NEAREST)
        small.resize((width, height), Image.Resampling.BILINEAR).save(ground.mask(name))


def mask_colours(ground: Ground, names: list[str]) -> None:
    """Colour-coded masks whose colours are a little off, and one with a colour that is no class's."""
    for name in names[:2]:
        colors = painted(ground.label_map(name)).astype(np.int32) + SHIFTED
        Image.fromarray(np.minimum(colors, 255).astype(np.uint8)).save(ground.mask(name))
    colors = painted(ground.label_map(names[2])).copy()
    colors[:40, :50] = (255, 0, 255)
    Image.fromarray(colors).save(ground.mask(names[2]))


def mask_palette(ground: Ground, names: list[str]) -> None:
    """Palette masks from a program that numbers the colours as it likes, each time anew."""
    for turn, name in enumerate(names[:3], start=1):
        _renumber(ground, name, np.roll(np.arange(SCENES.num_classes), turn), SCENES.colors)


def palettes_differ(ground: Ground, names: list[str]) -> None:
    """The same, in colours that dataset.yaml does not know."""
    others = tuple((red ^ 96, green ^ 96, blue ^ 96) for red, green, blue in SCENES.colors)
    for turn, name in enumerate(ground.train + ground.val):
        ids = np.roll(np.arange(SCENES.num_classes), turn if name in names[:3] else 0)
        _renumber(ground, name, ids, others)


def _renumber(ground: Ground, name: str, ids: np.ndarray, colors: tuple[tuple[int, int, int], ...]) -> None:
    """Writes a mask with other ids (K,) for the classes, and a palette that gives each its class's colour."""
    table = np.full(256, IGNORE_INDEX, np.uint8)
    table[: len(ids)] = ids
    palette = np.full((256, 3), (224, 224, 192), np.uint8)
    palette[ids] = colors
    mask = Image.fromarray(table[ground.label_map(name)])
    mask.putpalette(palette.tobytes())
    mask.save(ground.mask(name))


def one_class(ground: Ground, names: list[str]) -> None:
    """All masks for training were exported empty."""
    ground.each_mask(np.zeros_like, ground.train)


def mask_constant(ground: Ground, names: list[str]) -> None:
    """One mask is empty."""
    ground.each_mask(np.zeros_like, (names[0],))


def mask_void(ground: Ground, names: list[str]) -> None:
    """One mask is void all over."""
    ground.each_mask(lambda label_map: np.full_like(label_map, IGNORE_INDEX), (names[0],))


def much_void(ground: Ground, names: list[str]) -> None:
    """Most of each mask is void."""

    def change(label_map: np.ndarray) -> np.ndarray:
        label_map = label_map.copy()
        label_map[: int(0.7 * len(label_map))] = IGNORE_INDEX
        return label_map

    ground.each_mask(change)


def misplaced(ground: Ground, names: list[str]) -> None:
    """Each mask for training belongs to the next picture."""
    contents = [ground.mask(name).read_bytes() for name in ground.train]
    for name, content in zip(ground.train, contents[1:] + contents[:1], strict=True):
        ground.mask(name).write_bytes(content)


def fits_poorly(ground: Ground, names: list[str]) -> None:
    """One mask is mirrored or upside down: whichever shows most in the first picture."""
    grey, label_map = Image.open(ground.picture(names[0])).convert("L"), ground.label_map(names[0])
    turned = [label_map[:, ::-1], label_map[::-1], label_map[::-1, ::-1]]
    worst = min(turned, key=lambda ids: outline_fit(grey, ids.copy()) or 9.0)
    save_ids(ground.mask(names[0]), worst.copy())


def mask_copied(ground: Ground, names: list[str]) -> None:
    """A mask was saved under another picture's name too."""
    ground.mask(names[1]).write_bytes(ground.mask(names[0]).read_bytes())


def mask_shared(ground: Ground, names: list[str]) -> None:
    """Two pictures of the same outlines share a mask."""
    ground.add("train", "composite", mask=ground.mask(names[0]))
    save_jpeg(ground.picture("composite"), 255 - ground.pixels(names[0]))
