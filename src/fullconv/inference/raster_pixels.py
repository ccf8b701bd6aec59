"""GeoTIFFs and TIFFs too large for memory, read in windows."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from fullconv.data.pictures import quiet
from fullconv.errors import ConfigError, PictureError
from fullconv.inference.pixels import Box


class RasterPixels:
    """A raster that is read in windows as RGB in 8 bits.

    Red, green and blue are the bands that say they are, else the first three; a single band is grey, or looked up in its
    palette. 16-bit values are scaled as those of pictures, by 1/257; a file that says it uses fewer bits (NBITS) by as many.

    Args:
        path: a TIFF.
        fill: RGB of pixels that the file's nodata value, its mask or its alpha channel says hold no data.

    Attributes:
        size_hw: its height and width.

    Raises:
        ConfigError: rasterio is not installed.
        PictureError: the file cannot be read, or holds other values than 8 or 16 bits of grey or colour.
    """

    def __init__(self, path: Path, fill: tuple[int, int, int] = (0, 0, 0)) -> None:
        self.path = path
        rasterio = import_rasterio(path)
        with damage_said(path), quiet():  # rasterio warns of a file without a place on earth
            self.dataset = rasterio.open(path)
        try:
            self.size_hw = (self.dataset.height, self.dataset.width)
            self.bands = color_bands(self.dataset, path)
            self.table = level_table(self.dataset, self.bands)
        except BaseException:
            self.dataset.close()
            raise
        self.fill = np.array(fill, np.uint8)
        flags = [flag.name for band in self.bands for flag in self.dataset.mask_flag_enums[band - 1]]
        self.is_full = set(flags) == {"all_valid"}

    def __enter__(self) -> "RasterPixels":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.dataset.close()

    def read(self, box: Box) -> np.ndarray:
        """(h, w, 3) uint8 RGB."""
        with damage_said(self.path):
            pixels = self.as_rgb(self.dataset.read(self.bands, window=window_of(box)))
        if not self.is_full:
            pixels[~self.valid(box)] = self.fill
        return pixels

    def valid(self, box: Box) -> np.ndarray:
        """(h, w) bool: where there is data."""
        if self.is_full:
            return np.ones(box.size_hw, bool)
        with damage_said(self.path):
            return self.dataset.read_masks(self.bands, window=window_of(box)).any(axis=0)

    def reduced(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The whole raster as (h, w, 3) uint8 RGB of a smaller size."""
        from rasterio.enums import ColorInterp, Resampling

        is_palette = self.dataset.colorinterp[self.bands[0] - 1] == ColorInterp.palette
        method = Resampling.nearest if is_palette else Resampling.average
        shape = (len(self.bands), *size_hw)
        with damage_said(self.path):
            return self.as_rgb(self.dataset.read(self.bands, out_shape=shape, resampling=method))

    def as_rgb(self, values: np.ndarray) -> np.ndarray:
        """(1 or 3, h, w) stored values to (h, w, 3) uint8."""
        levels = values if self.table is None else self.table[values]
        if levels.ndim == 4:  # a palette gives three levels at once
            return levels[0]
        picture = np.empty((*levels.shape[1:], 3), np.uint8)
        picture[:] = levels.transpose(1, 2, 0)  # grey goes to all three
        return picture


def import_rasterio(path: Path) -> Any:
    try:
        import rasterio
    except ImportError:
        raise ConfigError(
            f"{path}: is a raster, and rasterio, which reads it, is not installed; pip install 'fullconv[geo]'"
        ) from None
    return rasterio


def window_of(box: Box) -> Any:
    from rasterio.windows import Window

    return Window(box.left, box.top, box.right - box.left, box.bottom - box.top)  # pyright: ignore[reportCallIssue]


@contextmanager
def damage_said(path: Path) -> Iterator[None]:
    """Turns what GDAL says of a file into one line."""
    from rasterio.errors import RasterioError

    try:
        yield
    except RasterioError as error:
        said = " ".join(str(error.__cause__ or error).split())
        raise PictureError(f"{path}: is damaged or cut short ({said}); copy or export it again") from None


def color_bands(dataset: Any, path: Path) -> list[int]:
    """The bands to read, counted from 1: red, green and blue, or one."""
    from rasterio.enums import ColorInterp

    meanings = list(dataset.colorinterp)
    colors = [ColorInterp.red, ColorInterp.green, ColorInterp.blue]
    if all(color in meanings for color in colors):
        bands = [meanings.index(color) + 1 for color in colors]
    else:
        visible = [band for band, meaning in enumerate(meanings, 1) if meaning != ColorInterp.alpha]
        if len(visible) == 2:
            raise PictureError(
                f"{path}: holds 2 bands; expected 1 (grey), or 3 and more (RGB first); convert it"
            )
        bands = visible[: 3 if len(visible) > 2 else 1]
    types = {dataset.dtypes[band - 1] for band in bands}
    if not types <= {"uint8", "uint16"} or len(types) != 1:
        raise PictureError(
            f"{path}: holds {' and '.join(sorted(types))} values; expected uint8 or uint16; convert it, for example with "
            "gdal_translate -ot Byte -scale"
        )
    return bands


def level_table(dataset: Any, bands: list[int]) -> np.ndarray | None:
    """What each stored value becomes: (n,) uint8, or (n, 3) of a palette; None: itself."""
    from rasterio.enums import ColorInterp

    size = 256 if dataset.dtypes[bands[0] - 1] == "uint8" else 65536
    if dataset.colorinterp[bands[0] - 1] == ColorInterp.palette:
        table = np.zeros((size, 3), np.uint8)
        for value, color in dataset.colormap(bands[0]).items():
            table[value] = color[:3]
        return table
    tags = dataset.tags(bands[0], ns="IMAGE_STRUCTURE")
    most = 2 ** int(tags.get("NBITS", 8 if size == 256 else 16)) - 1
    levels = np.minimum((np.arange(size) * 255 + most // 2) // most, 255).astype(np.uint8)
    if dataset.tags(ns="IMAGE_STRUCTURE").get("MINISWHITE") == "YES":
        return 255 - levels
    return None if most == 255 else levels
