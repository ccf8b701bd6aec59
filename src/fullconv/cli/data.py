"""fullconv data"""

import textwrap
from pathlib import Path

import click

from fullconv.cli.data_check import check
from fullconv.cli.data_convert import convert
from fullconv.cli.data_describe import describe
from fullconv.cli.data_download import download
from fullconv.cli.data_info import info
from fullconv.cli.data_split import split
from fullconv.data.doctor.kinds import KINDS


@click.group()
def data() -> None:
    """Fetch, make and inspect data sets."""


for command in (check, convert, describe, download, info, split):
    data.add_command(command)


FAULT_NAMES = textwrap.wrap(
    ", ".join(code for code in KINDS if code != "model-disagrees"), 76, break_on_hyphens=False
)
SAMPLE_HELP = "\n".join(
    [
        "Write the sample set, small drawn scenes in VOCdevkit layout, to DST.",
        "",
        "\b",
        "Faults:",
        *FAULT_NAMES,
    ]
)


@data.command(help=SAMPLE_HELP)
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--train", "num_train", type=click.IntRange(min=1), default=160, show_default=True)
@click.option("--val", "num_val", type=click.IntRange(min=1), default=40, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--depth", is_flag=True, help="Add a depth map to each scene, as an extra channel.")
@click.option("--geometry", is_flag=True, help="Add a second head: sky, horizontal, vertical.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="NAME",
    help="Plant a fault for 'data check' to find; may be repeated. all: those that can stand side by side.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def sample(
    dst: Path,
    num_train: int,
    num_val: int,
    seed: int,
    depth: bool,
    geometry: bool,
    faults: tuple[str, ...],
    as_json: bool,
) -> None:
    from fullconv.cli.console import print_json
    from fullconv.data.faults.planting import chosen_faults, write_faulty_scenes
    from fullconv.data.scenes import write_scenes
    from fullconv.errors import ConfigError

    codes: list[str] = []
    if faults and (depth or geometry):
        raise ConfigError("--fault is planted in plain scenes; leave --depth and --geometry away")
    if faults:
        codes = chosen_faults(faults)
        folder = write_faulty_scenes(dst, codes, num_train, num_val, seed)
    else:
        folder = write_scenes(dst, num_train, num_val, seed, depth=depth, geometry=geometry)
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
            | ({"faults": codes} if codes else {})
        )
    elif codes:
        print(f"{folder}: scenes with planted faults: {', '.join(codes)}; try 'fullconv data check {dst}'")
    else:
        print(
            f"{folder}: {num_train} training and {num_val} validation scenes; try 'fullconv train {dst} --out runs/sample'"
        )
