"""A sample: a picture and its mask, and what else belongs to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.masks import Shades, read_mask
from fullconv.data.pictures import read_picture
from fullconv.data.sources import MaskFile, PictureFile
from fullconv.errors import DataError
from fullconv.labels import Head, LabelSet


@dataclass(frozen=True)
class Sample:
    """The files of one sample, and how they are to be read.

    Attributes:
        name: unique within a split.
        picture: the picture file, of its own or packed in another.
        mask: the mask file that belongs to it, or what draws the mask.
        extra: the file of its extra channels, such as depth.
        head_masks: the mask files of the data set's further heads, in their order.
        shades: the mask is a grey picture; None: it holds ids or class colours.
        extra_format: what `extra` holds; one channel of 8 bits unless said.
    """

    name: str
    picture: PictureFile
    mask: MaskFile
    extra: Path | None = None
    head_masks: tuple[MaskFile, ...] = ()
    shades: Shades | None = None
    extra_format: ExtraFormat | None = None


def read_sample(sample: Sample, labels: LabelSet) -> tuple[np.ndarray, np.ndarray]:
    """Reads a picture and its mask, and makes sure that they fit.

    Returns:
        picture: (H, W, 3 + m) uint8: RGB, and behind it the m extra channels where the sample has some.
        label_map: (H, W) uint8, ids 0..K-1 or 255.

    Raises:
        PictureError: one of the files cannot be read.
        DataError: a file has another size than the picture, or holds what is not expected in it.
    """
    picture, label_map = read_picture(sample.picture), read_mask(sample.mask, labels, sample.shades)
    _same_size(sample.mask, label_map, sample.picture, picture, "the mask was drawn")
    if sample.extra is None:
        return picture, label_map
    extra = read_extra(sample.extra, sample.extra_format or ExtraFormat())
    _same_size(sample.extra, extra, sample.picture, picture, "its channels were saved")
    return np.concatenate([picture, extra], axis=2), label_map


def read_heads(sample: Sample, labels: LabelSet, heads: Sequence[Head]) -> tuple[np.ndarray, np.ndarray]:
    """`read_sample` with the label maps of all heads.

    Args:
        sample: with a mask for each of `heads`.
        labels: the classes of `sample.mask`, the first head.
        heads: the further heads, in the order of `sample.head_masks`.

    Returns:
        picture: (H, W, 3 + m) uint8.
        label_maps: (1 + len(heads), H, W) uint8, each with ids of its own head's classes or 255.

    Raises:
        PictureError, DataError: as `read_sample`; and where the sample has masks of more or fewer heads.
    """
    if len(heads) != len(sample.head_masks):
        raise DataError(
            f"{sample.picture}: has masks of {len(sample.head_masks)} further heads; expected {len(heads)} "
            f"({', '.join(head.name for head in heads) or 'none'}); give both the same heads in dataset.yaml"
        )
    picture, label_map = read_sample(sample, labels)
    label_maps = [label_map]
    for head, path in zip(heads, sample.head_masks, strict=True):
        label_maps.append(read_mask(path, head.labels))
        _same_size(path, label_maps[-1], sample.picture, picture, "the mask was drawn")
    return picture, np.stack(label_maps)


def _same_size(
    path: MaskFile, pixels: np.ndarray, picture_path: PictureFile, picture: np.ndarray, how: str
) -> None:
    (height, width), (own_height, own_width) = picture.shape[:2], pixels.shape[:2]
    if (own_height, own_width) == (height, width):
        return
    sizes = f"{own_height} x {own_width} (height x width), its picture {height} x {width}"
    if (own_height, own_width) == (width, height):
        raise DataError(
            f"{path}: is {sizes}: swapped, as when {how} without the picture's EXIF orientation; rotate "
            f"{'the mask' if 'mask' in how else 'it'} or remove the orientation tag of {picture_path}"
        )
    raise DataError(f"{path}: is {sizes}; expected equal sizes; export it at the size of {picture_path}")
