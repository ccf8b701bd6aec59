"""A sample: a picture and its mask."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.masks import read_mask
from fullconv.data.pictures import read_picture
from fullconv.errors import DataError
from fullconv.labels import LabelSet


@dataclass(frozen=True)
class Sample:
    """A picture file and the mask file that belongs to it; `name` is unique within a split."""

    name: str
    picture: Path
    mask: Path


def read_sample(sample: Sample, labels: LabelSet) -> tuple[np.ndarray, np.ndarray]:
    """Reads a picture and its mask, and makes sure that they fit.

    Returns:
        picture: (H, W, 3) uint8 RGB.
        label_map: (H, W) uint8, ids 0..K-1 or 255.

    Raises:
        PictureError: one of the files cannot be read.
        DataError: the mask has another size than the picture, or holds what is neither a class nor void.
    """
    picture, label_map = read_picture(sample.picture), read_mask(sample.mask, labels)
    if picture.shape[:2] == label_map.shape:
        return picture, label_map
    (height, width), (mask_height, mask_width) = picture.shape[:2], label_map.shape
    sizes = f"{mask_height} x {mask_width} (height x width), its picture {height} x {width}"
    if (mask_height, mask_width) == (width, height):
        raise DataError(
            f"{sample.mask}: is {sizes}: swapped, as when the mask was drawn without the picture's EXIF "
            f"orientation; rotate the mask or remove the orientation tag of {sample.picture}"
        )
    raise DataError(
        f"{sample.mask}: is {sizes}; expected equal sizes; export it at the size of {sample.picture}"
    )
