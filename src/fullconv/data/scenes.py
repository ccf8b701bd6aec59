"""The sample data set: painted scenes of a meadow camp, made from a seed, with nothing to download.

A scene is painted from back to front at three times its size and then reduced, so that edges are smooth;
the label map is the middle sample of each 3x3 block of a second, flat painting of the same shapes.
The task is small but not trivial. Cloth, wood and leaves share colours with each other, with the ground, the
sky and the hills, so that shape and texture tell the classes apart; things hide each other and throw shadows;
clouds, sun, stones and the path are background.

On request each scene comes with a depth map and with a second labelling, its geometry.
"""

import shutil
import uuid
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.masks import write_mask
from fullconv.data.scene_painting import FARTHEST_MM, SIZE_HW, Scene
from fullconv.errors import ConfigError, DataError, StorageError
from fullconv.labels import LabelSet
from fullconv.storage import write_text_atomically

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

GEOMETRY = LabelSet(
    names=("sky", "horizontal", "vertical"), colors=((118, 186, 232), (176, 196, 108), (206, 112, 84))
)
"""The classes of their geometry. Source: the three of SIFT Flow; Tighe & Lazebnik 2010."""

SMALLEST = 64
FIRST = {"train": 0, "val": 1_000_000, "pictures": 12_000_000}
"""The index of each split's first scene: so far apart that the splits never share a scene."""

PICTURE_SIZES_HW = ((233, 311), (311, 233), (181, 275), (250, 170))
"""The pictures without masks are upright and wide, and no multiple of a network's stride."""


def draw_scene(seed: int, index: int, size_hw: tuple[int, int] = SIZE_HW) -> tuple[np.ndarray, np.ndarray]:
    """Paints one scene.

    A larger scene shows more things and somewhat larger ones.

    Args:
        seed: 0 or more; another seed gives another data set.
        index: 0 or more; which scene of that data set.
        size_hw: height and width in pixels, each at least 64.

    Returns:
        picture: (H, W, 3) uint8, RGB.
        label_map: (H, W) uint8, ids of `SCENES`; 255 on a band two pixels wide along every
            outline, as in VOC.

    Raises:
        ConfigError: a size below 64, or a negative seed.

    >>> picture, label_map = draw_scene(seed=0, index=0)
    >>> picture.shape, label_map.shape, int(label_map.max())
    ((144, 192, 3), (144, 192), 255)
    """
    scene = _paint(seed, index, size_hw)
    return scene.picture_in_light(), scene.label_map()


def _paint(seed: int, index: int, size_hw: tuple[int, int]) -> Scene:
    _check(seed, size_hw)
    scene = Scene(np.random.default_rng([seed, index]), size_hw)
    scene.paint_land()
    scene.paint_things()
    return scene


def write_scenes(
    folder: Path | str,
    num_train: int = 240,
    num_val: int = 60,
    seed: int = 0,
    size_hw: tuple[int, int] = SIZE_HW,
    depth: bool = False,
    geometry: bool = False,
) -> Path:
    """Writes the sample data set: a VOCdevkit, its dataset.yaml, and a few pictures without masks.

    The folder appears whole or not at all. A split's scenes do not depend on the other's length.

    Args:
        folder: must not exist, or be empty.
        num_train: scenes in split "train", at least 1.
        num_val: scenes in split "val", at least 1.
        seed: another seed gives another data set.
        size_hw: height and width of the scenes; the pictures without masks have odd sizes of their own.
        depth: adds 16-bit depth maps as an extra channel: in the splits' folder `Depth`, and in
            `folder/pictures_depth` those of the pictures without masks.
        geometry: adds a second head, whose masks are in `SegmentationGeometry`.

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
            root, lengths = partial / "VOCdevkit" / "VOC2012", {"train": num_train, "val": num_val}
            _write_voc(root, lengths, seed, size_hw, depth, geometry)
            _write_pictures(partial, seed, depth)
            write_text_atomically(partial / "dataset.yaml", _description(depth, geometry))
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


def _write_voc(
    root: Path, lengths: dict[str, int], seed: int, size_hw: tuple[int, int], depth: bool, geometry: bool
) -> None:
    for split, length in lengths.items():
        names = [f"{split}_{number:04d}" for number in range(length)]
        for number, name in enumerate(names):
            index = FIRST[split] + number
            scene = _paint(seed, index, size_hw)
            _write_jpeg(root / "JPEGImages" / f"{name}.jpg", scene.picture_in_light())
            write_mask(root / "SegmentationClass" / f"{name}.png", scene.label_map(), SCENES)
            if depth:
                _write_depth(root / "Depth" / f"{name}.png", scene, seed, index)
            if geometry:
                write_mask(root / "SegmentationGeometry" / f"{name}.png", scene.geometry(), GEOMETRY)
        write_text_atomically(root / "ImageSets" / "Segmentation" / f"{split}.txt", "\n".join(names) + "\n")


def _write_pictures(folder: Path, seed: int, depth: bool) -> None:
    for number, odd_hw in enumerate(PICTURE_SIZES_HW):
        name, index = f"scene_{odd_hw[1]}x{odd_hw[0]}", FIRST["pictures"] + number
        scene = _paint(seed, index, odd_hw)
        _write_jpeg(folder / "pictures" / f"{name}.jpg", scene.picture_in_light())
        if depth:
            _write_depth(folder / "pictures_depth" / f"{name}.png", scene, seed, index)


def _write_depth(path: Path, scene: Scene, seed: int, index: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # noise from a stream of its own: that of the scene decides what is drawn
    depth = scene.depth_mm(np.random.default_rng([seed, index, 1]))
    Image.fromarray(depth).save(path, "PNG")


def _write_jpeg(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, "JPEG", quality=92)


def _description(depth: bool, geometry: bool) -> str:
    """The text of dataset.yaml."""
    lines = ["name: scenes", "classes:", *_class_lines(SCENES, "  "), "ignore: []"]
    if depth:
        lines.append(f"extra: {{folder: Depth, range: [0, {FARTHEST_MM}], channels: 1}}")
    if geometry:
        lines += ["heads:", "  - name: geometry", "    masks: SegmentationGeometry", "    classes:"]
        lines += _class_lines(GEOMETRY, "      ")
    return "\n".join([*lines, ""])


def _class_lines(labels: LabelSet, indent: str) -> list[str]:
    classes = zip(labels.names, labels.colors, strict=True)
    return [f"{indent}- {{name: {name}, color: {list(color)}}}" for name, color in classes]


def _check(seed: int, size_hw: tuple[int, int]) -> None:
    if min(size_hw) < SMALLEST:
        raise ConfigError(
            f"got scenes of {size_hw[0]} x {size_hw[1]} pixels (height x width); "
            f"expected at least {SMALLEST} x {SMALLEST}"
        )
    if seed < 0:
        raise ConfigError(f"got seed {seed}; expected a whole number from 0")
