"""A sample: a picture and its mask, and what else belongs to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullconv.data.extra import ExtraFormat, read_extra
from fullconv.data.masks import Shades, read_mask
from fullconv.data.pictures import read_picture
from fullconv.data.sources import MaskFile, PictureFile
from fullconv.errors import DataError, InputError, Report, fail
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
    extra: PictureFile | None = None
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
    parts = read_parts(sample, labels)
    return _with_extra(parts), _whole(parts.label_maps[0])


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
    parts = read_parts(sample, labels, heads)
    return _with_extra(parts), np.stack([_whole(label_map) for label_map in parts.label_maps])


@dataclass(frozen=True)
class Parts:
    """What could be read of a sample; None stands for what could not.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        label_maps: (H, W) uint8 each, of the first labelling and of each further head.
        extra: (H, W, m) uint8; None too where the sample has none.
    """

    picture: np.ndarray | None
    label_maps: tuple[np.ndarray | None, ...]
    extra: np.ndarray | None = None


def read_parts(sample: Sample, labels: LabelSet, heads: Sequence[Head] = (), report: Report = fail) -> Parts:
    """Reads each file of a sample for itself, and compares their sizes.

    Args:
        sample: with a mask for each of `heads`, unless none are wanted.
        labels: the classes of `sample.mask`.
        heads: the further heads.
        report: called with each fault, in the order in which `read_heads` looks for them.

    Returns:
        All that could be read; what has another size than the picture too.
    """

    def attempt(read: Callable[[], np.ndarray]) -> np.ndarray | None:
        try:
            return read()
        except InputError as error:
            report(error)
        return None

    picture = attempt(lambda: read_picture(sample.picture))

    def fits(path: MaskFile, pixels: np.ndarray | None, how: str) -> None:
        if (
            picture is not None
            and pixels is not None
            and (fault := _sizes(sample, picture, path, pixels, how))
        ):
            report(fault)

    label_maps = [attempt(lambda: read_mask(sample.mask, labels, sample.shades))]
    fits(sample.mask, label_maps[0], "the mask was drawn")
    extra, form = None, sample.extra_format or ExtraFormat()
    if (path := sample.extra) is not None:
        extra = attempt(lambda: read_extra(path, form))
        fits(path, extra, "its channels were saved")
    for head, mask in zip(heads, sample.head_masks, strict=False):  # no heads: none are read
        label_maps.append(attempt(lambda mask=mask, head=head: read_mask(mask, head.labels)))
        fits(mask, label_maps[-1], "the mask was drawn")
    return Parts(picture, tuple(label_maps), extra)


def _whole(array: np.ndarray | None) -> np.ndarray:
    assert array is not None, "whoever lets faults pass must look at the parts"
    return array


def _with_extra(parts: Parts) -> np.ndarray:
    picture = _whole(parts.picture)
    return picture if parts.extra is None else np.concatenate([picture, parts.extra], axis=2)


def _sizes(
    sample: Sample, picture: np.ndarray, path: MaskFile, pixels: np.ndarray, how: str
) -> DataError | None:
    """What is wrong with the size of a file that belongs to the picture, if anything is."""
    (height, width), (own_height, own_width) = picture.shape[:2], pixels.shape[:2]
    if (own_height, own_width) == (height, width):
        return None
    sizes = f"{own_height} x {own_width} (height x width), its picture {height} x {width}"
    if (own_height, own_width) == (width, height):
        return DataError(
            f"{path}: is {sizes}: swapped, as when {how} without the picture's EXIF orientation; rotate "
            f"{'the mask' if 'mask' in how else 'it'} or remove the orientation tag of {sample.picture}",
            "mask-turned" if "mask" in how else "extra-size",
        )
    return DataError(
        f"{path}: is {sizes}; expected equal sizes; export it at the size of {sample.picture}",
        "mask-size" if "mask" in how else "extra-size",
    )
