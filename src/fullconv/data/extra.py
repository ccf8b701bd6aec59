"""Extra channels of a picture, such as depth or HHA, from a file of their own beside it.

They become 8-bit channels behind red, green and blue, so that everything after the reading sees one array.
Source: Gupta et al. 2014 (HHA: horizontal disparity, height above ground, angle with gravity, as an RGB file).
"""

from dataclasses import dataclass

import numpy as np

from fullconv.data.pictures import load_upright, open_file, open_header
from fullconv.data.sources import PictureFile
from fullconv.errors import DataError


@dataclass(frozen=True)
class ExtraFormat:
    """What the extra files of a data set hold.

    Attributes:
        channels: 1 (grey, such as depth) or 3 (RGB, such as HHA).
        range: the stored values that become 0 and 255; what lies beyond is clipped. None: the files have 8
            bits, which are kept.
    """

    channels: int = 1
    range: tuple[float, float] | None = None


def read_extra(path: PictureFile | str, form: ExtraFormat) -> np.ndarray:
    """Reads a file of extra channels.

    Args:
        path: a picture of 8 or 16 bits, of one channel or RGB.
        form: what is expected in it.

    Returns:
        (H, W, m) uint8 with m = `form.channels`, EXIF orientation applied.

    Raises:
        PictureError: the file cannot be read.
        DataError: it has another number of channels, or 16 bits where no range is given.
    """
    with open_file(path) as stream:
        image = load_upright(open_header(stream, str(path)), str(path))
    if image.mode in ("P", "CMYK", "RGBA", "RGBX"):
        image = image.convert("RGB")
    values = np.asarray(image)[..., None] if len(image.getbands()) == 1 else np.asarray(image)
    if values.shape[2] != form.channels or values.dtype.kind == "f":
        got = f"{values.shape[2]} channels" if values.dtype.kind != "f" else "floating-point values"
        raise DataError(
            f"{path}: has {got} (mode {image.mode}); expected {form.channels} of 8 or 16 bits; convert it, "
            "or change channels under extra: in dataset.yaml"
        )
    if form.range is None:
        if values.dtype != np.uint8 or image.mode == "1":
            raise DataError(
                f"{path}: has mode {image.mode}, and nothing says which values become 0 and 255; expected 8 "
                "bits; add, for example, range: [0, 10000] under extra: in dataset.yaml"
            )
        return values
    low, high = form.range
    shares = (values.astype(np.float32) - np.float32(low)) / np.float32(high - low)
    return (np.clip(shares, 0, 1) * 255 + 0.5).astype(np.uint8)
