"""fullconv predict"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

KINDS = ("mask", "overlay", "scores", "json")


@click.command()
@click.argument("model")
@click.argument("source", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--save", default="mask,overlay,json", show_default=True, help=f"Any of {','.join(KINDS)}.")
@click.option(
    "--tile",
    default="auto",
    show_default=True,
    metavar="auto|whole|N|HxW",
    help="Tiles, multiples of 32; auto: the whole picture in one pass where memory suffices.",
)
@click.option(
    "--overlap",
    type=click.Choice(["exact", "mean", "gaussian"]),
    default="exact",
    show_default=True,
    help="exact: tiles with a halo, equal to one pass; else windows' logits are averaged where they overlap.",
)
@click.option(
    "--tta",
    type=click.Choice(["none", "flip", "flip+scales"]),
    default="none",
    show_default=True,
    help="Test-time augmentation: the mean over mirrored and resized copies, 2 or 6 times the work.",
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "torch", "openvino", "onnxruntime"]),
    default="auto",
    show_default=True,
    help="What runs the network.",
)
@click.option(
    "--refine",
    type=click.Choice(["none", "crf"]),
    default="none",
    show_default=True,
    help="crf: sharper borders along the picture's own; thin things may suffer.",
)
@click.option(
    "--extra",
    type=click.Path(path_type=Path),
    default=None,
    metavar="FOLDER",
    help="Files of further channels, such as depth, named like the pictures.",
)
@click.option(
    "--backbone-weights",
    default="pretrained",
    show_default=True,
    metavar="none|pretrained|FILE",
    help="Of an ImageNet classifier.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture on stdout.")
@click.pass_context
def predict(
    ctx: click.Context,
    model: str,
    source: tuple[str, ...],
    out: Path,
    save: str,
    tile: str,
    overlap: str,
    tta: str,
    engine: str,
    refine: str,
    extra: Path | None,
    backbone_weights: str,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Label every pixel of the pictures in SOURCE: files, folders, or quoted globs.

    Writes OUT/masks/NAME.png (class ids, exactly the picture's size), OUT/overlays/NAME.jpg and OUT/predictions.jsonl. A
    picture that cannot be read is listed and does not stop the others; the exit code is then 1.

    MODEL may also be an ImageNet classifier, "torchvision/NAME" or a timm name: then OUT/heatmaps/NAME.jpg shows where in
    the picture it sees its five most probable classes.

    \b
    fullconv predict runs/first new/*.jpg --out predictions
    fullconv predict torchvision/mobilenet_v2 photo.jpg --out heat
    """
    from fullconv.inference.classifiers import is_classifier_name, load_named_classifier
    from fullconv.inference.folder import find_pictures, predict_files
    from fullconv.inference.heatmaps import HeatMapper, heat_map_files
    from fullconv.inference.segmenter import load

    kinds, sides = parse_kinds(save), parse_tile(tile)
    if is_classifier_name(model):
        refuse_given(
            ctx, ("save", "tile", "overlap", "tta", "engine", "refine", "extra"), "an ImageNet classifier"
        )
        pictures = find_pictures(source)
        mapper = HeatMapper(load_named_classifier(model, backbone_weights), device, precision)
        show(heat_map_files(mapper, pictures, out), len(pictures), out, as_json)
    else:
        refuse_given(ctx, ("backbone_weights",), f"the model {model}")
        pictures = find_pictures(source)
        segmenter = load(model, device, precision, sides, overlap, tta, refine, engine)
        show(predict_files(segmenter, pictures, out, kinds, extra), len(pictures), out, as_json)


def show(records: Iterable[dict[str, Any]], count: int, out: Path, as_json: bool) -> None:
    """Shows the work as it goes, and at the end what became of it.

    Raises:
        FullconvError: a picture could not be labelled.
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.errors import FullconvError

    failed = 0
    with progress_bar("pictures") as bar:
        task = bar.add_task("predicting", total=count, figures="")
        for record in records:
            bar.advance(task)
            if "error" in record:
                failed += 1
                bar.console.print(f"error: {record['error']}", highlight=False, markup=False, soft_wrap=True)
            if as_json:
                print_json(record)
    say(f"{count - failed} of {count} pictures labelled, in {out}")
    if failed:
        raise FullconvError(f"{failed} of {count} pictures could not be labelled; they are listed above")


def parse_kinds(save: str) -> set[str]:
    kinds = {kind.strip() for kind in save.split(",") if kind.strip()}
    unknown = sorted(kinds - set(KINDS))
    if unknown or not kinds:
        raise click.BadParameter(f"{save!r}; expected any of {','.join(KINDS)}", param_hint="--save")
    return kinds


def parse_tile(tile: str) -> Any:
    """What `Segmenter` takes as `tile`.

    >>> parse_tile("320x480"), parse_tile("256"), parse_tile("auto")
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


def refuse_given(ctx: click.Context, names: tuple[str, ...], what: str) -> None:
    """Options that would be silently without effect are refused."""
    for name in names:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.BadParameter(f"has no meaning for {what}", param_hint=f"--{name.replace('_', '-')}")
