"""A faulty mask's label map, as it was meant."""

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.data.doctor.examination import Examined, turned_by
from fullconv.data.doctor.refusals import snapped_mask
from fullconv.data.doctor.solid import snap_ids
from fullconv.data.masks import MIDDLE, ids_of_stored, read_brightness, read_mask, read_stored, write_mask
from fullconv.data.samples import Sample
from fullconv.data.sources import MaskSource
from fullconv.errors import DataError
from fullconv.labels import IGNORE_INDEX, LabelSet
from fullconv.storage import write_atomically

SAME_SHAPE = 0.02
"""Proportions that differ by no more than this are the same, but for rounding."""


def mended_mask(each: Examined, codes: Collection[str], labels: LabelSet) -> np.ndarray | None:
    """What a mask was meant to be.

    Args:
        each: its sample.
        codes: what is wrong with it.
        labels: the classes.

    Returns:
        (H, W) uint8 of the picture's size, ids 0..K-1 or 255; None where it cannot be mended with certainty.

    Raises:
        PictureError, DataError: it cannot be read.
    """
    label_map = _ids(each, codes, labels)
    if label_map is None or each.size_hw is None:
        return None
    if "mask-turned" in codes and each.picture_header is not None:
        label_map = turned_by(label_map, each.picture_header.orientation)
    if "mask-size" in codes and label_map.shape != each.size_hw:
        label_map = _scaled(label_map, each.size_hw)
    return label_map if label_map is not None and label_map.shape == each.size_hw else None


def _ids(each: Examined, codes: Collection[str], labels: LabelSet) -> np.ndarray | None:
    mask = each.sample.mask
    if isinstance(mask, MaskSource):
        return None
    if "mask-jpeg" in codes or "mask-blended" in codes or "mask-colours" in codes:
        snapped = snapped_mask(each, _refused_as(each), labels)
        if snapped is not None:
            return snapped.ids if snapped.sure else None
        return _two_shades(each) if labels.num_classes == 2 else None
    if "mask-binary" in codes:
        return _two_shades(each)
    if "mask-palette" in codes:
        pixels, palette = read_stored(mask)
        return None if palette is None else ids_of_stored(palette[pixels], None, labels, mask)
    if "mask-from-one" in codes or "mask-zero-label" in codes:
        return _one_less(read_stored(mask)[0], labels)
    if "mask-interpolated" in codes:
        refused = snapped_mask(each, "mask-ids", labels) if each.faults else None
        snapped = refused or snap_ids(read_mask(mask, labels, each.sample.shades), labels)
        return snapped.ids if snapped.sure else None
    return read_mask(mask, labels, each.sample.shades)


def _refused_as(each: Examined) -> str:
    return next((fault.code for fault in each.faults if fault.file == str(each.sample.mask)), "")


def _two_shades(each: Examined) -> np.ndarray | None:
    """Dark as 0 and light as 1."""
    mask = each.sample.mask
    return None if isinstance(mask, MaskSource) else (read_brightness(mask) >= MIDDLE).astype(np.uint8)


def _one_less(stored: np.ndarray, labels: LabelSet) -> np.ndarray:
    """Ids 1..K as 0..K-1, and all else as void."""
    void = [IGNORE_INDEX, *labels.ignore_ids]
    keep = (stored >= 1) & (stored <= labels.num_classes) & ~np.isin(stored, void)
    return np.where(keep, stored.astype(np.int32) - 1, IGNORE_INDEX).astype(np.uint8)


def _scaled(label_map: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray | None:
    """Each pixel as the nearest one's; None where the proportions are others."""
    rows, columns = size_hw[0] / label_map.shape[0], size_hw[1] / label_map.shape[1]
    if abs(rows / columns - 1) > SAME_SHAPE:
        return None
    return np.asarray(Image.fromarray(label_map).resize((size_hw[1], size_hw[0]), Image.Resampling.NEAREST))


def write_mended(path: Path, label_map: np.ndarray, sample: Sample, labels: LabelSet) -> None:
    """Writes a mask as PNG, in the way the data set's masks are read.

    Args:
        path: where.
        label_map: (H, W) uint8.
        sample: whose mask it is; where brightness tells its classes apart, it is written so.
        labels: the classes.

    Raises:
        DataError: there is void, which black and white cannot say.
    """
    if sample.shades is None:
        write_mask(path, label_map, labels)
        return
    if (label_map == IGNORE_INDEX).any():
        raise DataError(
            f"{path}: has void pixels, and black and white cannot say so; expected two classes alone"
        )
    grey = np.where(label_map == sample.shades.light, np.uint8(255), np.uint8(0))
    stream = io.BytesIO()
    Image.fromarray(grey).save(stream, "PNG")
    write_atomically(path, stream.getvalue())
