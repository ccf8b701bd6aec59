"""Exact tiles: windows whose scores are those of the whole picture.

A score depends on a stretch of pixels that the network's arithmetic bounds. A window is read with a halo of that reach
around what is wanted of it, starts at a multiple of the coarsest stride so that all score cells fall where they do in the
whole picture, and ends at the picture's own border where it meets it, so that zero padding stands only where the whole
picture has it. What lies in the halo is thrown away; the rest is equal to the whole picture's up to float rounding.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fullconv.errors import InputError
from fullconv.inference.engines import Engine
from fullconv.inference.pixels import Box, PixelSource
from fullconv.models.fcn import FCN
from fullconv.ops.score_map import ScoreMap
from fullconv.ops.tracing import place_of, trace_steps
from fullconv.preprocessing import Preprocessing


@dataclass(frozen=True)
class Reach:
    """How far around a pixel its scores look.

    Attributes:
        halo_hw: pixels above and below, left and right; multiples of `multiple`.
        multiple: windows start at multiples of this, the network's coarsest stride.
    """

    halo_hw: tuple[int, int]
    multiple: int


def reach_of(model: nn.Module) -> Reach:
    """The reach that strides and receptive fields give.

    Raises:
        InputError: something in the network has no place on the picture.
    """
    if isinstance(model, FCN):
        multiple = max(model.strides)
        # A pixel lies between two cells of each grid, the finest of which lie between two of the next; a score looks at
        # its neighbours where a 3x3 convolution stands before it.
        between = sum(model.strides) + (multiple if model.hidden_channels else 0)
        halos = [
            max(
                max(-float(geometry.first), float(geometry.last))
                for geometry in (model.backbone.geometry_hw[stride][axis] for stride in model.strides)
            )
            + between
            for axis in (0, 1)
        ]
    else:
        multiple = 32
        output, _ = trace_steps(model, (256, 256))
        place = place_of(output)
        if place is None:
            raise InputError(
                f"how far {type(model).__name__} looks around a pixel is not known, so exact tiles cannot be cut; "
                "use overlap 'gaussian' or 'mean'"
            )
        halos = [
            max(-float(geometry.first), float(geometry.last)) + multiple for geometry in place.geometry_hw
        ]
    rows, columns = (round_up(halo, multiple) for halo in halos)
    return Reach((rows, columns), multiple)


def round_up(value: float, multiple: int) -> int:
    """
    >>> round_up(33.0, 32), round_up(32.0, 32)
    (64, 32)
    """
    return -int(-value // multiple) * multiple


def tiles(size_hw: tuple[int, int], core_hw: tuple[int, int], reach: Reach) -> Iterator[tuple[Box, Box]]:
    """The cores that make up a picture, row by row, and around each what is to be read.

    >>> list(tiles((64, 100), (64, 64), Reach((32, 32), 32)))
    [(Box(top=0, left=0, bottom=64, right=64), Box(top=0, left=0, bottom=64, right=96)), \
(Box(top=0, left=64, bottom=64, right=100), Box(top=0, left=32, bottom=64, right=100))]
    """
    height, width = size_hw
    for top in range(0, height, core_hw[0]):
        for left in range(0, width, core_hw[1]):
            core = Box(top, left, min(top + core_hw[0], height), min(left + core_hw[1], width))
            yield core, widened(core, reach.halo_hw, size_hw)


def widened(core: Box, halo_hw: tuple[int, int], size_hw: tuple[int, int]) -> Box:
    return Box(
        max(0, core.top - halo_hw[0]),
        max(0, core.left - halo_hw[1]),
        min(core.bottom + halo_hw[0], size_hw[0]),
        min(core.right + halo_hw[1], size_hw[1]),
    )


def exact_tiles(
    engine: Engine,
    source: PixelSource,
    preprocessing: Preprocessing,
    core_hw: tuple[int, int],
    reach: Reach,
    from_row: int = 0,
) -> Iterator[tuple[Box, ScoreMap]]:
    """Each core that ends below `from_row`, and its score map, which speaks of the core's pixels alone; row by row."""
    for core, read in tiles(source.size_hw, core_hw, reach):
        if core.bottom <= from_row:
            continue
        (score_map,) = engine(preprocessing.of_picture(source.read(read)))
        yield core, score_map.cropped(core.top - read.top, core.left - read.left, core.size_hw)


def joined(cores: Iterator[tuple[Box, ScoreMap]], size_hw: tuple[int, int]) -> ScoreMap:
    """The score map of the whole picture from those of its cores, row by row."""
    rows: list[list[Tensor]] = []
    part = None
    for core, part in cores:
        if core.left == 0:
            rows.append([])
        rows[-1].append(own_cells(core, part, size_hw))
    assert part is not None
    scores = torch.cat([torch.cat(row, dim=2) for row in rows], dim=1)
    return ScoreMap(scores, part.placement_hw, size_hw)


def own_cells(core: Box, part: ScoreMap, size_hw: tuple[int, int]) -> Tensor:
    """The score cells that fall to a core; to the last one of a row or column all that are left."""
    spans = []
    for axis in (0, 1):
        stride = int(part.placement_hw[axis].factor)
        first = part.first_hw[axis] // stride
        is_last = core[2 + axis] == size_hw[axis]
        spans.append(slice(first, None if is_last else first + part.size_hw[axis] // stride))
    return part.scores[:, spans[0], spans[1]]
