"""How a network is run: the options that predict, evaluate and serve have in common."""

import re
from typing import Any

import click


def parse_tile(ctx: click.Context | None, param: click.Parameter | None, tile: str) -> Any:
    """What `Segmenter` takes as `tile`.

    >>> parse_tile(None, None, "320x480"), parse_tile(None, None, "256"), parse_tile(None, None, "auto")
    ((320, 480), (256, 256), 'auto')
    """
    if tile in ("auto", "whole"):
        return tile
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", tile)
    sides = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
    if any(side < 1 or side % 32 for side in sides):
        raise click.BadParameter(
            f"{tile!r}; expected auto, whole, or a multiple of 32 (or HEIGHTxWIDTH of such)",
            param_hint="--tile",
        )
    return sides


tile = click.option(
    "--tile",
    default="auto",
    show_default=True,
    metavar="auto|whole|N|HxW",
    callback=parse_tile,
    help="Tiles, multiples of 32; auto: the whole picture in one pass where memory suffices.",
)
overlap = click.option(
    "--overlap",
    type=click.Choice(["exact", "mean", "gaussian"]),
    default="exact",
    show_default=True,
    help="exact: tiles with a halo, equal to one pass; else windows' logits are averaged where they overlap.",
)
tta = click.option(
    "--tta",
    type=click.Choice(["none", "flip", "flip+scales"]),
    default="none",
    show_default=True,
    help="Test-time augmentation: the mean over mirrored and resized copies, 2 or 6 times the work.",
)
engine = click.option(
    "--engine",
    type=click.Choice(["auto", "torch", "openvino", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="What runs the network.",
)
device = click.option("--device", default="auto", show_default=True)
precision = click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "int8"]),
    default="auto",
    show_default=True,
    help="int8: the version that 'fullconv quantize' makes.",
)
