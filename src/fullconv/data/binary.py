"""Masks of two classes in black and white, recognised where nothing else says what the masks hold.

255 means void everywhere else. Where every mask of a set is black and white all over, there would be one class only, from
which nothing can be learnt: there, and only there, white is taken for a class of its own.
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from fullconv.data.masks import MOST_UNCERTAIN, UNCERTAIN, Shades, read_brightness, read_stored
from fullconv.data.pictures import open_file, open_header
from fullconv.data.sources import MaskFile, MaskSource, Packed
from fullconv.errors import InputError, Report, fail
from fullconv.labels import LabelSet

BINARY = LabelSet(("background", "foreground"), ((0, 0, 0), (255, 255, 255)))

BINARY_SHADES = Shades(dark=0, light=1)

BINARY_NOTE = "black and white masks are background and foreground"


def are_binary(masks: Sequence[MaskFile], report: Report = fail) -> bool:
    """Whether each mask holds only 0 and 255, or is a JPEG of black and white, and both occur.

    Stops at the first mask that is not so; of most sets it reads one.

    Args:
        masks: all there are.
        report: told of those that cannot be read; the others decide.

    Raises:
        PictureError: as `report` does.
    """
    files = [mask for mask in masks if not isinstance(mask, MaskSource)]

    def shades(path: Path | Packed) -> frozenset[int] | InputError | None:
        try:
            return _shades(path)
        except InputError as error:
            return error

    if len(files) < len(masks) or not files or shades(files[0]) is None:
        return False
    found = []
    with ThreadPoolExecutor() as pool:
        for shade in pool.map(shades, files):
            if isinstance(shade, InputError):
                report(shade)
            else:
                found.append(shade)
    return None not in found and set().union(*filter(None, found)) == {0, 255}


def _shades(path: Path | Packed) -> frozenset[int] | None:
    """Those of 0 and 255 that a mask holds, or None if it holds anything else."""
    with open_file(path) as stream:
        lossy = open_header(stream, str(path)).format in ("JPEG", "MPO")
    if lossy:
        grey = read_brightness(path)
        uncertain = ((grey >= UNCERTAIN[0]) & (grey < UNCERTAIN[1])).mean()
        return frozenset(np.unique(grey >= 128) * 255) if uncertain <= MOST_UNCERTAIN else None
    pixels, palette = read_stored(path)
    if palette is not None:
        return None
    if pixels.ndim == 3:
        if (pixels != pixels[..., :1]).any():
            return None
        pixels = pixels[..., 0]
    values = frozenset(np.unique(pixels).tolist())
    return values if values <= {0, 255} else None
