"""fullconv models"""

from textwrap import fill
from typing import Any

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--backbone",
    default=None,
    help="A timm name, or torchvision/NAME, for fcn32s to fcn4s; default: resnet18, or the model's own.",
)
@click.option(
    "--classes", type=click.IntRange(min=1), default=None, help="Of an architecture; 21 unless said."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def models(name: str | None, backbone: str | None, classes: int | None, as_json: bool) -> None:
    """List architectures and trained models, or describe the one called NAME.

    NAME: an architecture, a model that comes with the package, a run folder or a bundle folder.

    \b
    fullconv models
    fullconv models camvid
    fullconv models fcn8s --backbone torchvision/mobilenet_v2
    """
    from fullconv.bundle import built_in_names
    from fullconv.cli.console import print_json
    from fullconv.models.build import MODELS
    from fullconv.models.describe import describe_model

    if name is not None and name not in MODELS:
        show_trained(name, backbone, classes, as_json)
        return
    num_classes = classes or 21
    names = [name] if name else [each for each in MODELS if MODELS[each].any_backbone or backbone is None]
    rows = [describe_model(each, backbone, num_classes) for each in names]
    trained = [] if name else [describe_trained(each) for each in built_in_names()]
    if as_json:
        print_json({"models": rows, "trained": trained})
        return
    print(f"{num_classes} classes\n")
    print_heading("model")
    for row in rows:
        print_row(row)
    if name:
        print_scores(rows[0])
        return
    print_heading("\ntrained, comes with the package")
    for row in trained:
        print_row(row)
    print(
        "\n'fullconv train --model NAME' trains one; 'fullconv predict camvid photo.jpg' uses one; "
        "'fullconv explain geometry NAME'\nshows where its layers look."
    )


def show_trained(name: str, backbone: str | None, classes: int | None, as_json: bool) -> None:
    """Describes a built-in model, a run or a bundle."""
    from fullconv.bundle import built_in_names, find_bundle
    from fullconv.cli.console import print_json
    from fullconv.errors import BundleError, ConfigError, UnknownNameError
    from fullconv.models.build import MODELS

    try:
        find_bundle(name)
    except BundleError:
        if "/" in name:
            raise
        raise UnknownNameError("model", name, [*MODELS, *built_in_names()]) from None
    if backbone or classes:
        option = "--backbone" if backbone else "--classes"
        raise ConfigError(f"{name} is a trained model and has its own; leave {option} away")
    row = describe_trained(name)
    if as_json:
        print_json({"trained": [row]})
        return
    print_heading("trained model")
    print_row(row)
    print_scores(row)
    print()
    print(fill(f"classes  {', '.join(row['classes'])}", 110, subsequent_indent=" " * 9))
    for key in ("data", "mean_iou", "licence", "limits"):
        if row[key] is not None:
            shown = f"{100 * row[key]:.1f} on {row['split']}" if key == "mean_iou" else row[key]
            print(fill(f"{key.replace('mean_iou', 'mean IU'):8} {shown}", 110, subsequent_indent=" " * 9))


def describe_trained(name: str) -> dict[str, Any]:
    """What `describe_network` says of a bundle's network, and what the bundle says of itself."""
    from fullconv.bundle import load_bundle
    from fullconv.models.build import MODELS
    from fullconv.models.describe import describe_network

    bundle = load_bundle(name)
    manifest, architecture = bundle.manifest, bundle.manifest.architecture
    about = {
        "name": name,
        "model": architecture.model,
        "backbone": architecture.backbone,
        "stride": MODELS[architecture.model].stride,
        "classes": manifest.labels.names,
        "mean_iou": manifest.metrics.get("mean_iou"),
        "split": manifest.metrics.get("split"),
    }
    words = {key: manifest.trained.get(key) for key in ("data", "licence", "limits")}
    return about | words | describe_network(bundle.model, architecture.num_classes)


def print_heading(what: str) -> None:
    print(f"{what:34}{'backbone':26}parameters  stride  receptive field")


def print_row(row: dict[str, Any]) -> None:
    title = (
        f"{row['name']} ({row['model']}, {len(row['classes'])} classes)" if "model" in row else row["name"]
    )
    field = f"{row['receptive_field'] or '?':>12} px"
    print(f"{title:34}{row['backbone']:26}{row['parameters'] / 1e6:8.2f} M  {row['stride']:>6}  {field}")


def print_scores(row: dict[str, Any]) -> None:
    print(f"\n{'scores':14}stride  first cell's centre  receptive field")
    for score in row["scores"]:
        place = f"{score['offset']:>16} px  {score['receptive_field']:>12} px"
        print(f"{score['name'].removeprefix('score.').split('.')[0]:14}{score['stride']:>6g}  {place}")
