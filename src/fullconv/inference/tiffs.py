"""Which TIFF files are read in windows: a look at the header, with no library needed.

Source: Adobe, "TIFF Revision 6.0", 1992; OGC 19-008r4, "OGC GeoTIFF Standard", annex B; the BigTIFF design at
https://www.awaresystems.be/imaging/tiff/bigtiff.html.
"""

import struct
from pathlib import Path

from fullconv.data.pictures import MAX_BYTES, MAX_PIXELS, MAX_SIDE

WIDTH, LENGTH, TILE_WIDTH = 256, 257, 322
PLACED = {33550, 33922, 34264, 34735, 50844, 42113}
"""The tags by which a TIFF is a map: its pixel scale, tie points, matrix, keys, polynomials, and its nodata value."""

WORLD_FILES = (".tfw", ".tifw", ".tiffw", ".wld")
MOST_TAGS = 4096

FORMATS = {3: "H", 4: "I", 16: "Q"}
"""The types of whole numbers."""


def is_raster(path: Path) -> bool:
    """Whether a file is a TIFF that says where on earth it lies or what its nodata value is, or is larger than pictures may be.

    A file that cannot be read is none: as a picture it is refused in one line.
    """
    if path.suffix.lower() not in (".tif", ".tiff"):
        return False
    try:
        tags, is_big = read_tags(path)
        num_bytes = path.stat().st_size
    except (OSError, struct.error, KeyError):
        return False
    height, width = tags.get(LENGTH, 0), tags.get(WIDTH, 0)
    return (
        not PLACED.isdisjoint(tags)
        or num_bytes > MAX_BYTES
        or height * width > MAX_PIXELS
        or max(height, width) > MAX_SIDE
        or (is_big and TILE_WIDTH in tags)
        or any(path.with_suffix(ending).exists() for ending in WORLD_FILES)
    )


def read_tags(path: Path) -> tuple[dict[int, int], bool]:
    """The tags of the first picture, with the values of those that are single whole numbers, and whether it is a BigTIFF.

    Raises:
        OSError, struct.error, KeyError: no TIFF, or a damaged one.
    """
    with path.open("rb") as file:
        order = {b"II": "<", b"MM": ">"}[file.read(2)]
        (version,) = struct.unpack(f"{order}H", file.read(2))
        offset, number, entry = {42: ("I", "H", "HHI4s"), 43: ("4xQ", "Q", "HHQ8s")}[version]
        file.seek(*struct.unpack(order + offset, file.read(struct.calcsize(order + offset))))
        (count,) = struct.unpack(order + number, file.read(struct.calcsize(order + number)))
        data = file.read(min(count, MOST_TAGS) * struct.calcsize(order + entry))
    tags = {}
    for tag, kind, length, value in struct.iter_unpack(order + entry, data):
        single = length == 1 and kind in FORMATS
        tags[tag] = struct.unpack_from(order + FORMATS[kind], value)[0] if single else 0
    return tags, version == 43
