"""fullconv import"""

from pathlib import Path

import click


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--classes", default=None, metavar="NAME,NAME,...", help="The classes' names, in id order.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def import_model(file: Path, out: Path, classes: str | None, as_json: bool) -> None:
    """Make a MODEL folder OUT of the weights in FILE: an FCN of torchvision or MMSegmentation.

    FILE is a .pth or .safetensors of torchvision's fcn_resnet50 or fcn_resnet101, or of MMSegmentation's fcn_r50-d8 or
    fcn_r101-d8. The network computes what it computes there. Nothing in FILE is run: a .pth that holds Python objects besides
    its weights is refused.

    \b
    fullconv import fcn_resnet50_coco-1167a1af.pth models/coco
    fullconv predict models/coco photo.jpg --out predictions
    fullconv train photos --model torchvision_fcn --init models/coco --out runs/first
    """
    from fullconv.bundle import Architecture, save_bundle
    from fullconv.cli.console import print_json, say
    from fullconv.download import digest
    from fullconv.errors import ConfigError
    from fullconv.labels import LabelSet
    from fullconv.models.foreign import read_foreign

    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"{out} is there already; give a folder that is not, or an empty one")
    foreign = read_foreign(file)
    labels, names = foreign.labels, [name.strip() for name in classes.split(",")] if classes else None
    if names is not None and len(names) != labels.num_classes:
        raise ConfigError(f"--classes names {len(names)} classes; {file} has {labels.num_classes}")
    labels = labels if names is None else LabelSet.from_names(names)
    architecture = Architecture(
        model=foreign.model, backbone=foreign.backbone, num_classes=labels.num_classes
    )
    trained = {"imported_from": file.name, "sha256_of_that": digest(file)}
    save_bundle(out, foreign.network.state_dict(), architecture, labels, foreign.preprocessing, trained, {})
    if foreign.assumed:
        say(f"assumed: {foreign.assumed}")
    if names is None and not foreign.named:
        say(
            f"the file names no classes; taken to be {', '.join(labels.names[:3])}, ...; name others with --classes"
        )
    about = {
        "folder": str(out),
        "model": foreign.model,
        "backbone": foreign.backbone,
        "classes": list(labels.names),
    }
    if as_json:
        print_json(about)
    else:
        print(f"{foreign.model} over {foreign.backbone}, {labels.num_classes} classes: {out}")
