"""fullconv predict"""

import re
import time
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from fullconv.cli import options

OF_SEGMENTERS = ("save", "tile", "overlap", "tta", "engine", "refine", "extra", "batch_size", "shard", "on")
"""Options that mean nothing to a classifier."""

OF_MODELS = (
    "tile", "overlap", "tta", "engine", "refine", "extra", "batch_size", "backbone_weights", "device", "precision", "on",
)  # fmt: skip
"""Options of a model that is here."""

KINDS = ("mask", "overlay", "before-after", "confidence", "entropy", "scores", "json")


@click.command()
@click.argument("model")
@click.argument("source", nargs=-1)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--save", default="mask,overlay,json", show_default=True, help=f"Any of {','.join(KINDS)}.")
@options.tile
@options.overlap
@options.tta
@options.engine
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
@click.option(
    "--batch-size",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Pictures of one size that go through the network in one pass; more than 1 pays on a GPU.",
)
@click.option(
    "--shard",
    default="1/1",
    show_default=True,
    metavar="I/N",
    help="Only every N-th file from the I-th on, so that N processes share the work.",
)
@click.option(
    "--on",
    type=click.Choice(["local", "ray"]),
    default="local",
    show_default=True,
    help="ray: on all machines of a Ray cluster (RAY_ADDRESS), else on this one; OUT/predictions.parquet is written too.",
)
@options.device
@options.precision
@click.option(
    "--server",
    default=None,
    metavar="URL",
    help="Have a 'fullconv serve' do the work; MODEL may then be left out. A token is taken from FULLCONV_TOKEN.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture on stdout.")
@click.pass_context
def predict(
    ctx: click.Context,
    model: str,
    source: tuple[str, ...],
    out: Path,
    save: str,
    tile: Any,
    overlap: str,
    tta: str,
    engine: str,
    refine: str,
    extra: Path | None,
    backbone_weights: str,
    batch_size: int,
    shard: str,
    on: str,
    device: str,
    precision: str,
    server: str | None,
    as_json: bool,
) -> None:
    """Label every pixel of the pictures in SOURCE: files, folders, quoted globs, tar shards, or s3:// and gs:// addresses.

    Writes OUT/masks/NAME.png (class ids, exactly the picture's size), OUT/overlays/NAME.jpg and OUT/predictions.jsonl. A
    picture that cannot be read is listed and does not stop the others; the exit code is then 1. The same command goes on
    where it was interrupted.

    GeoTIFFs and TIFFs of any size become GeoTIFFs in OUT/masks. Videos become OUT/videos/NAME.mp4, NAME.jsonl and a mask
    per frame.

    MODEL may also be an ImageNet classifier, "torchvision/NAME" or a timm name: then OUT/heatmaps/NAME.jpg shows where in
    the picture it sees its five most probable classes.

    \b
    fullconv predict runs/first new/*.jpg --out predictions
    fullconv predict runs/first map.tif --out predictions
    fullconv predict torchvision/mobilenet_v2 photo.jpg --out heat
    fullconv predict new/*.jpg --out predictions --server http://127.0.0.1:8000
    """
    from fullconv.inference.classifiers import is_classifier_name
    from fullconv.inference.segmenter import load

    kinds, part = parse_kinds(save), parse_shard(shard)
    if server is not None:
        refuse_given(ctx, OF_MODELS, "a server, which has its own")
        by_server(server, (model, *source), out, kinds, part, as_json)
    elif not source:
        raise click.UsageError("Missing argument 'SOURCE...'.", ctx)
    elif is_classifier_name(model):
        refuse_given(ctx, OF_SEGMENTERS, "an ImageNet classifier")
        by_classifier(model, source, out, backbone_weights, device, precision, as_json)
    else:
        refuse_given(ctx, ("backbone_weights",), f"the model {model}")
        segmenter = partial(load, model, device, precision, tile, overlap, tta, refine, engine)
        label = by_segmenter if on == "local" else partial(by_ray, device)
        label(model, segmenter, source, out, kinds, extra, batch_size, part, as_json)


def by_segmenter(
    model: str,
    load: Callable[[], Any],
    source: tuple[str, ...],
    out: Path,
    kinds: set[str],
    extra: Path | None,
    batch_size: int,
    part: tuple[int, int],
    as_json: bool,
) -> None:
    from fullconv.inference.folder import find_sources, part_of, predict_files

    files = find_sources(source, but=out)
    label = partial(
        predict_files, load(), files, out, kinds, extra,
        batch_size=batch_size, shard=part, model_id=digest_of(model),
    )  # fmt: skip
    count = len(part_of(files, part))
    show(lambda progress: label(progress=progress), count, out, as_json)


def by_ray(
    device: str,
    model: str,
    load: Callable[[], Any],
    source: tuple[str, ...],
    out: Path,
    kinds: set[str],
    extra: Path | None,
    batch_size: int,
    part: tuple[int, int],
    as_json: bool,
) -> None:
    from fullconv.inference.folder import find_sources, part_of
    from fullconv.inference.on_ray import predict_on_ray

    files = find_sources(source, but=out)
    label = partial(
        predict_on_ray, load, files, out, kinds, extra,
        model_id=digest_of(model), device=device, batch_size=batch_size, shard=part,
    )  # fmt: skip
    show(lambda progress: label(), len(part_of(files, part)), out, as_json)


def by_classifier(
    model: str,
    source: tuple[str, ...],
    out: Path,
    weights: str,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    from fullconv.inference.classifiers import load_named_classifier
    from fullconv.inference.folder import find_pictures
    from fullconv.inference.heatmaps import HeatMapper, heat_map_files

    pictures = find_pictures(source)
    mapper = HeatMapper(load_named_classifier(model, weights), device, precision)
    show(lambda progress: heat_map_files(mapper, pictures, out), len(pictures), out, as_json)


def by_server(
    url: str, words: tuple[str, ...], out: Path, kinds: set[str], part: tuple[int, int], as_json: bool
) -> None:
    """`words`: sources, and before them perhaps the name of the model that is served."""
    import os

    from fullconv.errors import ConfigError, InputError
    from fullconv.inference.folder import LABELLED, find_pictures, part_of
    from fullconv.serving.client import Server, predict_remotely

    with Server(url, os.environ.get("FULLCONV_TOKEN")) as server:
        served = server.served()
        sources = words[1:] if len(words) > 1 and words[0] == served.name else words
        try:
            files = find_pictures(sources, LABELLED, but=out)
        except InputError as error:
            raise ConfigError(f"{error}; the model at {url} is {served.name!r}") from None
        count = len(part_of(files, part))
        show(lambda progress: predict_remotely(server, served, files, out, kinds, part), count, out, as_json)


def digest_of(model: str) -> str:
    """Tells one model from another: by the file that holds the digest of its weights and all else there is to know of it."""
    import hashlib

    from fullconv.bundle import MANIFEST, find_bundle

    return hashlib.sha256((find_bundle(model) / MANIFEST).read_bytes()).hexdigest()


def show(
    label: Callable[[Callable[[str], None]], Iterable[dict[str, Any]]], count: int, out: Path, as_json: bool
) -> None:
    """Shows the work as it goes, and at the end what became of it.

    Args:
        label: takes what is to be told how far a large file is; yields the records.
        count: how many there will be.
        out: where the results are.
        as_json: prints the records.

    Raises:
        FullconvError: a picture could not be labelled.
    """
    from fullconv.cli.console import PLAIN_SECONDS, print_json, progress_bar, say
    from fullconv.errors import FullconvError

    failed = skipped = 0
    spoke = time.monotonic()
    with progress_bar("pictures") as bar:
        task = bar.add_task("predicting", total=count, figures="")

        def progress(text: str) -> None:
            nonlocal spoke
            bar.update(task, figures=text)
            if not bar.console.is_terminal and time.monotonic() - spoke > PLAIN_SECONDS:
                say(text)
                spoke = time.monotonic()

        for record in label(progress):
            bar.update(task, advance=1, figures="")
            skipped += "skipped" in record
            if "error" in record:
                failed += 1
                bar.console.print(f"error: {record['error']}", highlight=False, markup=False, soft_wrap=True)
            if as_json:
                print_json(record)
    earlier = f", {skipped} of them in an earlier run and skipped now" if skipped else ""
    say(f"{count - failed} of {count} pictures labelled{earlier}, in {out}")
    if failed:
        raise FullconvError(f"{failed} of {count} pictures could not be labelled; they are listed above")


def parse_shard(shard: str) -> tuple[int, int]:
    """
    >>> parse_shard("2/8")
    (2, 8)
    """
    found = re.fullmatch(r"(\d+)/(\d+)", shard)
    number, count = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= count:
        raise click.BadParameter(
            f"{shard!r}; expected I/N with I from 1 to N, for example 2/8", param_hint="--shard"
        )
    return number, count


def parse_kinds(save: str) -> set[str]:
    kinds = {kind.strip() for kind in save.split(",") if kind.strip()}
    unknown = sorted(kinds - set(KINDS))
    if unknown or not kinds:
        raise click.BadParameter(f"{save!r}; expected any of {','.join(KINDS)}", param_hint="--save")
    return kinds


def refuse_given(ctx: click.Context, names: tuple[str, ...], what: str) -> None:
    """Options that would be silently without effect are refused."""
    for name in names:
        if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.BadParameter(f"has no meaning for {what}", param_hint=f"--{name.replace('_', '-')}")
