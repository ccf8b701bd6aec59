"""The sample data set: painted scenes of a meadow camp, made from a seed, with nothing to download.

A scene is painted from back to front at three times its size and then reduced, so that edges are smooth;
the label map is the middle sample of each 3x3 block of a second, flat painting of the same shapes.
The task is small but not trivial. Cloth, wood and leaves share colours with each other, with the ground, the
sky and the hills, so that shape and texture tell the classes apart; things hide each other and throw shadows;
clouds, sun, stones and the path are background.
"""

import io
import shutil
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from fullconv.data.masks import write_mask
from fullconv.data.scene_things import (
    CLOTH,
    FINE,
    MOODS,
    STONE,
    Mood,
    Stamp,
    mix,
    noise,
    paint_ball,
    paint_balloon,
    paint_crate,
    paint_fence,
    paint_tent,
    paint_tree,
    pick,
    shade,
)
from fullconv.errors import ConfigError, DataError, StorageError
from fullconv.labels import IGNORE_INDEX, Color, LabelSet
from fullconv.storage import write_atomically, write_text_atomically

SCENES = LabelSet(
    names=("background", "tree", "tent", "crate", "ball", "fence", "balloon"),
    colors=(
        (46, 52, 64),
        (94, 168, 104),
        (236, 134, 74),
        (246, 200, 88),
        (226, 88, 118),
        (158, 120, 206),
        (88, 156, 222),
    ),
)
"""The classes of the sample scenes."""

SIZE_HW = (144, 192)
"""Height and width of a scene unless said otherwise."""

SMALLEST = 64
FIRST = {"train": 0, "val": 1_000_000, "pictures": 2_000_000}  # index of the first scene: splits never meet
PICTURE_SIZES_HW = ((233, 311), (311, 233), (181, 275), (250, 170))


@dataclass(frozen=True)
class _Kind:
    """How one class of things turns up in scenes; lengths in pixels at the usual size, depth from 0, the horizon, to 1."""

    name: str
    paint: Callable[[Stamp, Mood], None]
    chance: float
    most: int
    depth: tuple[float, float]
    height: tuple[float, float]
    aspect: tuple[float, float]


CAST = (
    _Kind("balloon", paint_balloon, 0.72, 2, (0.0, 0.0), (44, 66), (0.68, 0.78)),
    _Kind("tree", paint_tree, 0.85, 2, (0.05, 0.6), (64, 88), (0.68, 0.85)),
    _Kind("fence", paint_fence, 0.80, 1, (0.1, 0.6), (34, 42), (2.2, 3.4)),
    _Kind("tent", paint_tent, 0.80, 1, (0.15, 0.7), (40, 54), (1.3, 1.6)),
    _Kind("crate", paint_crate, 0.80, 2, (0.35, 0.95), (28, 38), (0.95, 1.2)),
    _Kind("ball", paint_ball, 0.82, 2, (0.4, 1.0), (22, 34), (1.0, 1.0)),
)


def draw_scene(seed: int, index: int, size_hw: tuple[int, int] = SIZE_HW) -> tuple[np.ndarray, np.ndarray]:
    """Paints one scene.

    A larger scene shows more things and somewhat larger ones.

    Args:
        seed: 0 or more; another seed gives another data set.
        index: 0 or more; which scene of that data set.
        size_hw: height and width in pixels, each at least 64.

    Returns:
        picture: (H, W, 3) uint8, RGB.
        label_map: (H, W) uint8, ids of `SCENES`; 255 on a band two pixels wide along every outline, as in VOC.

    Raises:
        ConfigError: a size below 64, or a negative seed.

    >>> picture, label_map = draw_scene(seed=0, index=0)
    >>> picture.shape, label_map.shape, int(label_map.max())
    ((144, 192, 3), (144, 192), 255)
    """
    _check(seed, size_hw)
    scene = _Scene(np.random.default_rng([seed, index]), size_hw)
    scene.paint_land()
    scene.paint_things()
    return scene.picture_in_light(), scene.label_map()


def write_scenes(
    folder: Path | str,
    num_train: int = 240,
    num_val: int = 60,
    seed: int = 0,
    size_hw: tuple[int, int] = SIZE_HW,
) -> Path:
    """Writes the sample data set: a VOCdevkit, its dataset.yaml, and a few more pictures to try predictions on.

    The folder appears whole or not at all. A split's scenes do not depend on the other's length.

    Args:
        folder: must not exist, or be empty.
        num_train: scenes in split "train", at least 1.
        num_val: scenes in split "val", at least 1.
        seed: another seed gives another data set.
        size_hw: height and width of the scenes; the pictures without masks have odd sizes of their own.

    Returns:
        The folder; `folder/VOCdevkit/VOC2012` holds the splits, `folder/pictures` the pictures without masks.

    Raises:
        ConfigError: a number that makes no data set.
        DataError: the folder holds something.
        StorageError: the disk is full or may not be written.
    """
    folder = Path(folder).absolute()
    _check(seed, size_hw)
    if min(num_train, num_val) < 1:
        raise ConfigError(
            f"got {num_train} training and {num_val} validation scenes; expected at least 1 of each"
        )
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(
            f"{folder}: exists and is not empty; expected a new folder; choose another or remove it"
        )
    partial = folder.with_name(f".{uuid.uuid4().hex[:12]}.partial")
    try:
        try:
            _write_voc(partial / "VOCdevkit" / "VOC2012", {"train": num_train, "val": num_val}, seed, size_hw)
            for number, odd_hw in enumerate(PICTURE_SIZES_HW):
                picture, _ = draw_scene(seed, FIRST["pictures"] + number, odd_hw)
                _write_jpeg(partial / "pictures" / f"scene_{odd_hw[1]}x{odd_hw[0]}.jpg", picture)
            write_text_atomically(partial / "dataset.yaml", _description())
            if folder.exists():
                folder.rmdir()
            partial.rename(folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    except OSError as error:
        raise StorageError(
            f"cannot write {folder}: {error.strerror}; choose a folder that may be written"
        ) from error
    return folder


def _write_voc(root: Path, lengths: dict[str, int], seed: int, size_hw: tuple[int, int]) -> None:
    for split, length in lengths.items():
        names = [f"{split}_{number:04d}" for number in range(length)]
        for number, name in enumerate(names):
            picture, label_map = draw_scene(seed, FIRST[split] + number, size_hw)
            _write_jpeg(root / "JPEGImages" / f"{name}.jpg", picture)
            write_mask(root / "SegmentationClass" / f"{name}.png", label_map, SCENES)
        write_text_atomically(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names) + "\n")


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "JPEG", quality=92)
    write_atomically(path, stream.getvalue())


def _description() -> str:
    """The text of dataset.yaml."""
    classes = zip(SCENES.names, SCENES.colors, strict=True)
    lines = [f"  - {{name: {name}, color: {list(color)}}}" for name, color in classes]
    return "\n".join(["name: scenes", "classes:", *lines, "ignore: []", ""])


def _check(seed: int, size_hw: tuple[int, int]) -> None:
    if min(size_hw) < SMALLEST:
        raise ConfigError(
            f"got scenes of {size_hw[0]}x{size_hw[1]} pixels; expected at least {SMALLEST}x{SMALLEST}"
        )
    if seed < 0:
        raise ConfigError(f"got seed {seed}; expected 0 or more")


class _Scene:
    """A scene under the brush.

    `picture` (RGB) and `owners` (which thing is seen: its place in `classes`) are FINE times the scene's size;
    lengths are in pixels of the scene, and `unit` stands for one pixel of a scene of the usual size.
    """

    def __init__(self, rng: np.random.Generator, size_hw: tuple[int, int]) -> None:
        self.rng, (self.height, self.width) = rng, size_hw
        self.unit = float(np.sqrt(min(size_hw) / min(SIZE_HW)))
        self.mood = MOODS[rng.integers(len(MOODS))]
        self.light = 1 if rng.random() < 0.5 else -1  # 1: the sun stands on the right
        self.horizon = self.height * rng.uniform(0.4, 0.52)
        self.owners = Image.new("I", (self.width * FINE, self.height * FINE))
        self.classes = [0]
        self.picture = Image.fromarray(self._sky_and_ground()).resize(
            self.owners.size, Image.Resampling.NEAREST
        )

    def _sky_and_ground(self) -> np.ndarray:
        """The backdrop (H, W, 3) uint8: two gradients, the sun's glow, and rough ground."""
        rows = np.arange(self.height, dtype=np.float32)
        stops = [0, self.horizon, self.horizon + 1, self.height]
        tones = (self.mood.sky_high, self.mood.sky_low, self.mood.ground_far, self.mood.ground_near)
        backdrop = np.stack([np.interp(rows, stops, channel) for channel in zip(*tones, strict=True)], -1)[
            :, None
        ]
        near = np.clip((rows - self.horizon) / (self.height - self.horizon), 0, 1)[:, None]
        rough = 0.035 * noise(self.rng, self.height, self.width, (9 * self.unit, 40 * self.unit))
        rough = rough + near**0.5 * (
            0.06 * noise(self.rng, self.height, self.width, (5 * self.unit, 16 * self.unit))
            + 0.06 * noise(self.rng, self.height, self.width, (1.3, 2.6))
        )
        down, across = np.ogrid[: self.height, : self.width]
        sun_y, sun_x = 0.35 * self.horizon, self.width * (0.5 + 0.36 * self.light)
        glow = 42 * np.exp(-((down - sun_y) ** 2 + (across - sun_x) ** 2) / (38 * self.unit) ** 2)
        return np.clip(backdrop * (1 + rough)[..., None] + glow[..., None], 0, 255).astype(np.uint8)

    def paint_land(self) -> None:
        """Sun, clouds, birds, hills, path, stones, flowers: all of it background."""
        rng, pen = self.rng, ImageDraw.Draw(self.picture)
        if rng.random() < 0.6:
            sun = self.width * (0.5 + 0.36 * self.light), 0.35 * self.horizon
            self._ellipse(pen, *sun, 9, 9, mix(self.mood.sky_low, (255, 250, 228), 0.75))
        for _ in range(rng.integers(1, 4)):
            self._paint_cloud()
        self._paint_hill(14, mix(self.mood.sky_low, shade(self.mood.ground_far, 0.7), 0.4))
        self._paint_hill(8, mix(self.mood.sky_low, shade(self.mood.ground_far, 0.72), 0.72))
        if rng.random() < 0.6:
            self._paint_path()
        self._paint_litter(pen)

    def _ellipse(
        self, pen: ImageDraw.ImageDraw, x: float, y: float, rx: float, ry: float, color: Color | int
    ) -> None:
        """Fills an ellipse about (x, y); its radii are in units."""
        rx, ry = rx * self.unit, ry * self.unit
        pen.ellipse([FINE * v for v in (x - rx, y - ry, x + rx, y + ry)], fill=color)

    def _paint_cloud(self) -> None:
        rng, veil = self.rng, Image.new("L", self.picture.size)
        pen = ImageDraw.Draw(veil)
        x, y = rng.uniform(0, self.width), rng.uniform(0.15, 0.75) * self.horizon
        for step in np.linspace(-1, 1, 5):
            puff = rng.uniform(5, 8) + 4 * (1 - abs(step))
            self._ellipse(pen, x + 19 * step * self.unit, y - 0.4 * puff * self.unit, puff, 0.8 * puff, 190)
        pen.rectangle([0, FINE * (y + self.unit), veil.width, veil.height], fill=0)
        self.picture.paste(mix(self.mood.sky_low, (255, 255, 255), 0.6), mask=veil)

    def _paint_hill(self, rise: float, color: Color) -> None:
        across = np.arange(0, self.width + 4, 3)
        waves = self.rng.uniform(0, 7, 2)[:, None] + across * self.rng.uniform(0.02, 0.05, (2, 1)) / self.unit
        crest = self.horizon - rise * self.unit * (
            0.55 + 0.3 * np.sin(waves[0]) + 0.2 * np.sin(1.7 * waves[1])
        )
        ground = FINE * (self.horizon + 1)
        ridge = list(zip((FINE * across).tolist(), (FINE * crest).tolist(), strict=True))
        outline = [(0, ground), *ridge, (FINE * self.width + 9, ground)]
        ImageDraw.Draw(self.picture).polygon(outline, fill=color)

    def _paint_path(self) -> None:
        near = np.linspace(0, 1, 24)
        down = self.horizon + 1 + near * (self.height - self.horizon + 2)
        bend = self.rng.uniform(0.1, 0.3) * np.sin(self.rng.uniform(0, 6) + 4.5 * near**0.6)
        middle = self.width * (self.rng.uniform(0.25, 0.75) + bend * (0.3 + near))
        half = self.unit * (1 + 17 * near**1.3)
        banks = [zip(x, down, strict=True) for x in (middle - half, middle + half)]
        outline = [(FINE * x, FINE * y) for x, y in [*banks[0], *reversed(list(banks[1]))]]
        veil = Image.new("L", self.picture.size)
        ImageDraw.Draw(veil).polygon(outline, fill=150)
        self.picture.paste(mix(self.mood.ground_near, (228, 206, 168), 0.7), mask=veil)

    def _paint_litter(self, pen: ImageDraw.ImageDraw) -> None:
        """Grass, flowers and stones on the ground, birds in the sky."""
        rng, unit = self.rng, self.unit
        share = self.width * self.height / (SIZE_HW[0] * SIZE_HW[1] * unit**2)
        for near in np.sort(rng.uniform(0.03, 1, round(46 * share))):
            x, y = rng.uniform(0, self.width), self.horizon + near * (self.height - self.horizon)
            size, roll = 0.5 + near, rng.random()
            ground = mix(self.mood.ground_far, self.mood.ground_near, near)
            if roll < 0.15:
                stone = pick(rng, STONE)
                self._ellipse(pen, x - self.light, y + 0.8, 4.6 * size, 2.2 * size, shade(ground, 0.66))
                self._ellipse(pen, x, y - size, 4 * size, 2.8 * size, shade(stone, 0.78))
                self._ellipse(
                    pen, x + 0.8 * self.light, y - 1.6 * size, 2.8 * size, 1.7 * size, shade(stone, 1.08)
                )
            elif roll < 0.35:
                self._ellipse(pen, x, y, 0.9 * size, 0.8 * size, pick(rng, CLOTH))
            else:
                tone = shade(ground, rng.choice([0.74, 1.16]))
                for tilt in (-1.4, 0.2, 1.6):
                    tip = FINE * (x + tilt * size * unit), FINE * (y - 3.2 * size * unit)
                    pen.line([(FINE * x, FINE * y), tip], fill=tone, width=FINE - 1)
        for _ in range(rng.integers(0, 4)):
            x, y, wing = (
                rng.uniform(0, self.width),
                rng.uniform(0.1, 0.7) * self.horizon,
                rng.uniform(2, 3.5) * unit,
            )
            points = [(x - wing, y - 0.6 * wing), (x, y), (x + wing, y - 0.6 * wing)]
            pen.line(
                [(FINE * u, FINE * v) for u, v in points], fill=shade(self.mood.sky_high, 0.55), width=FINE
            )

    def paint_things(self) -> None:
        """Chooses the things of the scene and paints them from far to near, each in its own part of the width."""
        rng, kinds = self.rng, []
        for _ in range(max(1, round(self.width / self.unit / SIZE_HW[1]))):
            for kind in CAST:
                count = rng.integers(1, kind.most + 1) if rng.random() < kind.chance else 0
                kinds += [(rng.uniform(*kind.depth), kind) for _ in range(count)]
        places = (rng.permutation(len(kinds)) + rng.uniform(0.2, 0.8, len(kinds))) / max(1, len(kinds))
        for (depth, kind), place in sorted(zip(kinds, places, strict=True), key=lambda item: item[0][0]):
            scale = self.unit * (0.78 + 0.34 * depth)
            height = rng.uniform(*kind.height) * scale
            width = height * rng.uniform(*kind.aspect)
            x = float(np.clip(place * self.width, 0.35 * width, self.width - 0.35 * width))
            base = self.horizon + (0.08 + 0.88 * depth) * (self.height - self.horizon)
            if kind.name == "balloon":
                base = rng.uniform(min(height, self.horizon), self.horizon)
            else:
                self._paint_shadow(x, base, width)
            self._put(kind, x, base, height, width, depth)
            if kind.name == "crate" and rng.random() < 0.3:
                self._put(
                    kind,
                    x + rng.uniform(-0.1, 0.1) * width,
                    base - 0.82 * height,
                    0.8 * height,
                    0.8 * width,
                    depth,
                )

    def _paint_shadow(self, x: float, base: float, width: float) -> None:
        half, thick = 0.56 * width, 2 + 0.05 * width
        veil = Image.new("L", (round(2 * half) + 12, round(2 * thick) + 12))
        ImageDraw.Draw(veil).ellipse([6, 6, 6 + 2 * half, 6 + 2 * thick], fill=110)
        veil = veil.filter(ImageFilter.GaussianBlur(1.5))
        veil = veil.resize((veil.width * FINE, veil.height * FINE), Image.Resampling.BILINEAR)
        corner = round(FINE * (x - 0.22 * self.light * width - half - 6)), round(FINE * (base - thick - 7))
        self.picture.paste(shade(self.mood.ground_near, 0.25), corner, veil)

    def _put(self, kind: _Kind, x: float, base: float, height: float, width: float, depth: float) -> None:
        stamp = Stamp(self.rng, height, width, self.light)
        kind.paint(stamp, self.mood)
        air = Image.new("RGB", stamp.picture.size, self.mood.sky_low)
        corner = round(FINE * (x - stamp.width / 2)), round(FINE * (base - stamp.height))
        self.picture.paste(Image.blend(stamp.picture, air, 0.2 * (1 - depth)), corner, stamp.shape)
        self.owners.paste(len(self.classes), corner, stamp.shape)
        self.classes.append(SCENES.names.index(kind.name))

    def picture_in_light(self) -> np.ndarray:
        """The picture (H, W, 3) uint8: reduced, in the colour of the sunlight, with a camera's grain."""
        colors = np.asarray(self.picture.reduce(FINE), np.float32)
        exposure = self.rng.uniform(0.95, 1.15) / 255
        colors = colors * (np.array(self.mood.sunlight, np.float32) * np.float32(exposure))
        colors += 2.5 * self.rng.standard_normal(colors.shape, np.float32)
        return np.clip(colors, 0, 255).astype(np.uint8)

    def label_map(self) -> np.ndarray:
        """The label map (H, W) uint8: void wherever one of the four neighbours belongs to another thing."""
        owners = np.asarray(self.owners)[FINE // 2 :: FINE, FINE // 2 :: FINE]
        edge = np.zeros(owners.shape, bool)
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
            differs = owners[here] != owners[there]
            edge[here] |= differs
            edge[there] |= differs
        return np.where(edge, IGNORE_INDEX, np.array(self.classes)[owners]).astype(np.uint8)
