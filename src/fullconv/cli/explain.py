"""fullconv explain"""

from pathlib import Path
from typing import Any

import click

from fullconv.cli.train import CropSize

OUT = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also draw it, as a PNG file in this folder.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")


def even(ctx: click.Context, param: click.Parameter, value: int) -> int:
    if value % 2:
        raise click.BadParameter(
            f"{value} is odd; kernel 2s, padding s/2 need an even stride, for example 32"
        )
    return value


@click.group()
def explain() -> None:
    """Show where a network looks, and what upsampling and convolution do."""


@explain.command()
@click.argument("model")
@click.option("--size", type=CropSize(), help="Height and width of the picture.  [default: 375x500]")
@click.option(
    "--backbone", help="For fcn32s to fcn4s: a timm name, or torchvision/NAME.  [default: resnet18]"
)
@click.option(
    "--picture",
    type=click.Path(path_type=Path),
    help="Draw on this picture, at its size, not on a painted scene.",
)
@OUT
@JSON
def geometry(
    model: str,
    size: tuple[int, int] | None,
    backbone: str | None,
    picture: Path | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Each layer's stride, offset and receptive field, and where the score maps lie on the picture.

    MODEL is an architecture, a run or bundle folder, torchvision/NAME, or a timm name.

    \b
    fullconv explain geometry fcn8s --backbone torchvision/vgg16
    fullconv explain geometry caffe_fcn8s --out explained
    """
    if picture is not None and size is not None:
        raise click.UsageError("--picture has a size of its own; leave --size away")
    from fullconv.data.pictures import read_picture
    from fullconv.data.scenes import draw_scene
    from fullconv.reporting.explain.geometry import geometry_facts
    from fullconv.reporting.explain.geometry_picture import geometry_figure
    from fullconv.reporting.explain.geometry_text import geometry_text
    from fullconv.reporting.explain.models import find_model

    drawn = None if picture is None else read_picture(picture)
    size_hw = size or (375, 500) if drawn is None else (drawn.shape[0], drawn.shape[1])
    found = find_model(model, backbone)
    facts = geometry_facts(found.model, found.title, size_hw, found.num_classes, found.channels)
    if drawn is None and out is not None:
        drawn = draw_scene(0, 3, size_hw)[0]
    figure = None
    if drawn is not None and out is not None and facts["maps"]:
        figure = geometry_figure(facts, drawn)
    show(facts, geometry_text(facts), figure, out, "geometry.png", as_json)


@explain.command()
@click.option("--stride", type=click.IntRange(2, 64), callback=even, default=32, show_default=True)
@OUT
@JSON
def upsampling(stride: int, out: Path | None, as_json: bool) -> None:
    """The bilinear kernel, the sizes, and the border that fades in a transposed convolution."""
    from fullconv.data.scenes import draw_scene
    from fullconv.reporting.explain.upsampling import TEXTBOOK_HW, upsampling_facts, upsampling_text
    from fullconv.reporting.explain.upsampling_picture import upsampling_figure

    facts = upsampling_facts(stride)
    figure = None if out is None else upsampling_figure(facts, draw_scene(0, 7, TEXTBOOK_HW)[0])
    show(facts, upsampling_text(facts), figure, out, "upsampling.png", as_json)


@explain.command()
@OUT
@JSON
def convolution(out: Path | None, as_json: bool) -> None:
    """Convolution as a matrix product, and transposed convolution as the transposed matrix."""
    from fullconv.reporting.explain.convolution import convolution_facts, convolution_text
    from fullconv.reporting.explain.convolution_picture import convolution_figure

    facts = convolution_facts()
    figure = None if out is None else convolution_figure(facts)
    show(facts, convolution_text(facts), figure, out, "convolution.png", as_json)


def show(facts: dict[str, Any], text: str, figure: Any, out: Path | None, name: str, as_json: bool) -> None:
    """Prints the facts and writes the figure into `out`."""
    from fullconv.cli.console import print_json
    from fullconv.reporting.explain.style import save_png

    picture = None if figure is None or out is None else save_png(figure, out / name)
    if as_json:
        print_json({**facts, "picture": None if picture is None else str(picture)})
        return
    print(text)
    if picture is not None:
        print(f"\ndrawn in {picture}")
