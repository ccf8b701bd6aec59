"""fullconv models"""

import click


@click.command()
@click.argument("name", required=False)
@click.option("--backbone", default="resnet18", show_default=True, help="A timm name, or torchvision/NAME.")
@click.option("--classes", type=click.IntRange(min=1), default=21, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def models(name: str | None, backbone: str, classes: int, as_json: bool) -> None:
    """List the architectures over a backbone, or describe the one called NAME.

    \b
    fullconv models
    fullconv models fcn8s --backbone torchvision/mobilenet_v2
    """
    from fullconv.cli.console import print_json
    from fullconv.models.build import STRIDE_OF
    from fullconv.models.describe import describe_model

    rows = [describe_model(each, backbone, classes) for each in ([name] if name else STRIDE_OF)]
    if as_json:
        print_json({"models": rows})
        return
    print(f"over {backbone}, {classes} classes\n")
    print("model    parameters  stride  receptive field")
    for row in rows:
        print(
            f"{row['name']:8} {row['parameters'] / 1e6:8.2f} M  {row['stride']:>6}  {row['receptive_field']:>12} px"
        )
    if name:
        print("\nstride  channels  first cell's centre  receptive field")
        for row in rows[0]["features"]:
            place = f"{row['offset']:>16} px  {row['receptive_field']:>12} px"
            print(f"{row['stride']:>6}  {row['channels']:>8}  {place}")
