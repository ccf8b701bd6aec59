"""GeoTIFFs and TIFFs too large for memory: read in windows, labelled from the top, written with their place on earth.

Labels go to a file of compressed bands first (see `bands`), from which an interrupted run goes on, and from there into a tiled
GeoTIFF. Memory grows with the raster's width, never with its height.
"""

import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fullconv.data.masks import palette_of
from fullconv.data.pictures import quiet
from fullconv.drawing import overlay, save_jpeg
from fullconv.errors import ConfigError, InputError
from fullconv.inference.bands import BandFile
from fullconv.inference.outputs import Job, Record, Task, into_place, storing
from fullconv.inference.pipeline import one_by_one
from fullconv.inference.pixels import Box
from fullconv.inference.raster_pixels import RasterPixels, import_rasterio, window_of
from fullconv.labels import IGNORE_INDEX, VOID_COLOR, Head, LabelSet, head_sizes

CACHE_BYTES = 64 << 20
"""What GDAL may keep of blocks that it has read or has still to write."""

BLOCK = 512
"""The side of the tiles that are written."""

OVERLAY_SIDE = 2000
"""The longest side of the overlay of a raster."""

NODATA: dict[Any, int] = {np.uint8: 255, np.uint16: 65535}
"""The label of pixels without data."""


def label_rasters(task: Task, jobs: Iterable[Job]) -> Iterator[Record]:
    """Labels rasters one after the other, and yields a record for each.

    `masks/NAME.tif` has the raster's size, coordinate system and transform, class ids in the class colours, and 255 (65535
    above 255 classes) as nodata. `overlays/NAME.jpg` is reduced to 2000 pixels a side. A record holds, besides what that of a
    picture does, "nodata", the share of pixels without data, if there are such; "classes" are shares of the others.
    """
    return one_by_one(task, jobs, label_raster)


def raster_files(name: str, kinds: frozenset[str], suffix: str = "") -> dict[str, str]:
    """Kind -> file, relative to the run's folder."""
    files = {"mask": f"masks{suffix}/{name}.tif", "overlay": f"overlays{suffix}/{name}.jpg"}
    return {kind: file for kind, file in files.items() if kind in kinds}


def label_raster(task: Task, job: Job) -> Record:
    """Writes the files of a raster and gives its record.

    Raises:
        InputError: the raster, or what is asked for, is refused.
        StorageError: the disk is full or may not be written.
    """
    check_task(task, job)
    began = time.perf_counter()
    segmenter = task.segmenter
    # Pixels without data become the mean colour: zero to the network, as beyond the picture's border.
    fill = [round(255 * mean) for mean in segmenter.preprocessing.mean]
    sizes = head_sizes(segmenter.labels, segmenter.heads)
    partial = task.out / "masks" / f".{job.name}.tif.partial"
    with (
        import_rasterio(job.path).Env(GDAL_CACHEMAX=CACHE_BYTES),
        RasterPixels(job.path, (fill[0], fill[1], fill[2])) as source,
    ):
        height, width = source.size_hw
        identity = task.identity_with(job.path)
        with BandFile(partial, len(sizes), width, label_type(max(sizes)), identity) as bands:
            try:
                add_bands(task, source, bands)
            except InputError:
                partial.unlink(missing_ok=True)
                raise
            told = write_heads(task, job, source, bands)
    partial.unlink(missing_ok=True)
    seconds = round(time.perf_counter() - began, 4)
    files = raster_files(job.name, task.kinds)
    return {**files, "height": height, "width": width, **told, "seconds": seconds}


def check_task(task: Task, job: Job) -> None:
    task.refuse_beyond(frozenset({"mask", "overlay"}), f"{job.path}: is a raster")
    if task.segmenter.refine != "none":
        raise ConfigError(f"{job.path}: is a raster, which cannot be refined; leave out --refine")


def add_bands(task: Task, source: RasterPixels, bands: BandFile) -> None:
    """Labels what is missing in a band file."""
    segmenter, (height, width) = task.segmenter, source.size_hw
    sizes = head_sizes(segmenter.labels, segmenter.heads)
    nodata = NODATA[bands.dtype]
    band = np.empty(0)
    if bands.rows == height:
        return
    for box, score_map in segmenter.tiler.parts(source, bands.rows):
        if box.left == 0:
            band = np.empty((len(sizes), box.size_hw[0], width), bands.dtype)
        part = band[:, :, box.left : box.right]
        for index, scores in enumerate(score_map.split(sizes)):
            part[index] = scores.labels().cpu().numpy()
        part[:, ~source.valid(box)] = nodata
        if box.right == width:
            bands.append(band[:, bands.rows - box.top :])
            task.progress(f"{source.path.name}: {bands.rows:,} of {height:,} rows")


def write_heads(task: Task, job: Job, source: RasterPixels, bands: BandFile) -> Record:
    """The GeoTIFF and the overlay of each head, and what the record tells of them."""
    told: Record = {}
    for index, head in enumerate([Head("", task.segmenter.labels), *task.segmenter.heads]):
        files = raster_files(job.name, frozenset({"mask", "overlay"}), f"_{head.name}" if head.name else "")
        mask = task.out / files["mask"]
        partial = mask.with_name(f".{job.name}.partial.tif")
        try:
            counts = write_geotiff(partial, bands, index, source, head.labels)
            if "overlay" in task.kinds:
                image = reduced_overlay(partial, source, head.labels)
                save_jpeg(image, task.out / files["overlay"], quality=90)
            if "mask" in task.kinds:
                into_place(partial, mask)
        finally:
            partial.unlink(missing_ok=True)
        classes = {"classes": head.labels.shares(counts)}
        if head.name:
            told.setdefault("heads", {})[head.name] = classes
        else:
            told |= classes
            num_pixels = source.size_hw[0] * source.size_hw[1]
            if counts.sum() < num_pixels:
                told["nodata"] = 1 - float(counts.sum() / num_pixels)
    return told


def write_geotiff(
    path: Path, bands: BandFile, index: int, source: RasterPixels, labels: LabelSet
) -> np.ndarray:
    """Writes one head's labels; gives the (K,) int64 pixels of each class."""
    nodata, counts, top = NODATA[label_type(labels.num_classes)], np.zeros(labels.num_classes, np.int64), 0
    with storing(path), quiet():  # rasterio warns of a file without a place on earth
        path.parent.mkdir(parents=True, exist_ok=True)
        with created(path, source, labels) as target:
            for rows in in_strips((band[index] for band in bands), BLOCK):
                rows = np.where(rows == NODATA[bands.dtype], nodata, rows).astype(target.dtypes[0])
                counts += np.bincount(rows[rows != nodata], minlength=labels.num_classes)
                target.write(rows, 1, window=window_of(Box(top, 0, top + len(rows), rows.shape[1])))
                top += len(rows)
        # GDAL does not say what goes wrong when it closes a file, such as a disk that is full.
        with import_rasterio(path).open(path) as written:
            found = np.zeros_like(counts)
            for top in range(0, written.height, BLOCK):
                rows = written.read(
                    1, window=window_of(Box(top, 0, min(top + BLOCK, written.height), written.width))
                )
                found += np.bincount(rows[rows != nodata], minlength=labels.num_classes)
        if (found != counts).any():
            raise OSError("labels that were written cannot be read back")
    return counts


def created(path: Path, source: RasterPixels, labels: LabelSet) -> Any:
    """A GeoTIFF, opened for writing, of a raster's size and place, with the classes' colours."""
    given, dtype = source.dataset, label_type(labels.num_classes)
    height, width = source.size_hw
    points, points_crs = given.gcps
    target = import_rasterio(path).open(
        path, "w", driver="GTiff", height=height, width=width, count=1, dtype=np.dtype(dtype).name, nodata=NODATA[dtype],
        crs=given.crs, transform=None if points else given.transform, tiled=True, blockxsize=BLOCK, blockysize=BLOCK,
        compress="deflate", BIGTIFF="IF_SAFER",
    )  # fmt: skip
    if points:
        target.gcps = (points, points_crs)
    if given.rpcs is not None:
        target.rpcs = given.rpcs
    if "AREA_OR_POINT" in given.tags():
        target.update_tags(AREA_OR_POINT=given.tags()["AREA_OR_POINT"])
    colors = [*palette_of(labels)[: labels.num_classes].tolist(), VOID_COLOR]
    ids = [*range(labels.num_classes), NODATA[dtype]]
    target.write_colormap(1, dict(zip(ids, map(tuple, colors), strict=True)))
    return target


def in_strips(bands: Iterable[np.ndarray], rows: int) -> Iterator[np.ndarray]:
    """(h, W) bands of any height as such of `rows`, but for the last: whole rows of tiles, each written once.

    >>> [strip.shape for strip in in_strips([np.zeros((3, 5)), np.zeros((4, 5))], 2)]
    [(2, 5), (2, 5), (2, 5), (1, 5)]
    """
    kept: list[np.ndarray] = []
    for band in bands:
        kept.append(band)
        if sum(map(len, kept)) >= rows:
            joined = np.concatenate(kept)
            end = len(joined) // rows * rows
            for top in range(0, end, rows):
                yield joined[top : top + rows]
            kept = [joined[end:]] if end < len(joined) else []
    if kept:
        yield np.concatenate(kept)


def reduced_overlay(mask: Path, source: RasterPixels, labels: LabelSet) -> Image.Image:
    """The raster and its labels, no longer than `OVERLAY_SIDE`; pixels without data are hatched."""
    shrink = max(1.0, max(source.size_hw) / OVERLAY_SIDE)
    size_hw = (max(1, round(source.size_hw[0] / shrink)), max(1, round(source.size_hw[1] / shrink)))
    with quiet(), import_rasterio(mask).open(mask) as labelled:
        label_map = labelled.read(1, out_shape=size_hw)
    label_map[label_map == NODATA[label_type(labels.num_classes)]] = IGNORE_INDEX
    return overlay(source.reduced(size_hw), label_map, labels)


def label_type(num_classes: int) -> Any:
    """The type of label maps: uint8, or uint16 above 255 classes."""
    return np.uint16 if num_classes > IGNORE_INDEX else np.uint8
