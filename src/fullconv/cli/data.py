"""fullconv data"""

from pathlib import Path

import click

from fullconv.cli.data_describe import describe


@click.group()
def data() -> None:
    """Make, and later inspect, data sets."""


data.add_command(describe)


@data.command()
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--train", "num_train", type=click.IntRange(min=1), default=160, show_default=True)
@click.option("--val", "num_val", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--depth", is_flag=True, help="Add a depth map to each scene, as an extra channel.")
@click.option("--geometry", is_flag=True, help="Add a second head: sky, horizontal, vertical.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def sample(
    dst: Path, num_train: int, num_val: int, seed: int, depth: bool, geometry: bool, as_json: bool
) -> None:
    """Write the sample set, small drawn scenes in VOCdevkit layout, to DST."""
    from fullconv.cli.console import print_json
    from fullconv.data.scenes import write_scenes

    folder = write_scenes(
        dst, num_train=num_train, num_val=num_val, seed=seed, depth=depth, geometry=geometry
    )
    if as_json:
        print_json(
            {
                "data": str(folder),
                "train": num_train,
                "val": num_val,
                "seed": seed,
                "depth": depth,
                "geometry": geometry,
            }
        )
    else:
        print(
            f"{folder}: {num_train} training and {num_val} validation scenes; try 'fullconv train {dst} --out runs/sample'"
        )
