"""fullconv models"""

import click


@click.command()
@click.argument("name", required=False)
@click.option(
    "--backbone",
    default=None,
    help="A timm name, or torchvision/NAME, for fcn32s to fcn4s; default: resnet18, or the model's own.",
)
@click.option("--classes", type=click.IntRange(min=1), default=21, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def models(name: str | None, backbone: str | None, classes: int, as_json: bool) -> None:
    """List the architectures, or describe the one called NAME.

    \b
    fullconv models
    fullconv models fcn8s --backbone torchvision/mobilenet_v2
    """
    from fullconv.cli.console import print_json
    from fullconv.models.build import MODELS
    from fullconv.models.describe import describe_model

    names = [name] if name else [each for each in MODELS if MODELS[each].any_backbone or backbone is None]
    rows = [describe_model(each, backbone, classes) for each in names]
    if as_json:
        print_json({"models": rows})
        return
    print(f"{classes} classes\n")
    print(f"{'model':20}{'backbone':26}parameters  stride  receptive field")
    for row in rows:
        numbers = (
            f"{row['parameters'] / 1e6:8.2f} M  {row['stride']:>6}  {row['receptive_field'] or '?':>12} px"
        )
        print(f"{row['name']:20}{row['backbone']:26}{numbers}")
    if name:
        print(f"\n{'scores':14}stride  first cell's centre  receptive field")
        for row in rows[0]["scores"]:
            place = f"{row['offset']:>16} px  {row['receptive_field']:>12} px"
            print(f"{row['name'].replace('score.', ''):14}{row['stride']:>6g}  {place}")
    else:
        print(
            "\n'fullconv train --model NAME' trains one; 'fullconv explain geometry NAME' shows where its layers look."
        )
