"""Small data sets with known contents."""

from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.descriptions import description_text
from fullconv.labels import LabelSet

COLORS = [(0, 0, 0), (200, 30, 30), (30, 200, 30), (30, 30, 200)]


def write_set(
    root: Path, splits: dict[str, list[np.ndarray]], names: list[str], suffix: str = ".jpg"
) -> Path:
    """Twin trees: a picture and a mask for each label map, named SPLIT_0, SPLIT_1, ..."""
    for split, label_maps in splits.items():
        for number, label_map in enumerate(label_maps):
            for folder in ("images", "masks"):
                (root / folder / split).mkdir(parents=True, exist_ok=True)
            height, width = label_map.shape
            picture = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
            Image.fromarray(picture).save(root / "images" / split / f"{split}_{number}{suffix}")
            Image.fromarray(label_map.astype(np.uint8)).save(root / "masks" / split / f"{split}_{number}.png")
    labels = LabelSet(tuple(names), tuple(COLORS[: len(names)]))
    (root / "dataset.yaml").write_text(description_text(root.name, labels), "utf-8")
    return root


def stripes(height: int, width: int, ids: list[int]) -> np.ndarray:
    """Vertical stripes of equal width."""
    return np.repeat(np.array(ids), -(-width // len(ids)))[None, :width].repeat(height, 0)
