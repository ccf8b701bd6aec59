"""fullconv data split"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fullconv.data.dataset import Dataset
    from fullconv.data.resplit import Division, Resplit


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--val", type=float, default=0.1, show_default=True, help="The part of the pictures for val.")
@click.option(
    "--test", type=float, default=0.0, help="The part for test; without, a test split stays as it is."
)
@click.option(
    "--folds", type=int, default=None, metavar="K", help="K folds instead, in DST/fold0, DST/fold1, ..."
)
@click.option(
    "--by",
    default="",
    metavar="sequence|folder|FILE.csv|REGEX",
    help="What stays together: frames of a sequence, by names that differ in their last number; pictures of a folder; lines "
    "NAME,GROUP; or names in which REGEX finds the same.",
)
@click.option("--stratify", is_flag=True, help="Spread the pixels of each class evenly.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--copy", is_flag=True, help="Copy pictures and masks instead of linking them.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def split(
    data: Path,
    dst: Path,
    val: float,
    test: float,
    folds: int | None,
    by: str,
    stratify: bool,
    seed: int,
    copy: bool,
    as_json: bool,
) -> None:
    """Divide DATA anew, into the folder DST of lists and links.

    All pictures are divided, but those of test, which stay there. Frames of one sequence, patients, places: what is alike
    belongs together, or the scores of val are too good.

    \b
    fullconv data split data/camvid data/camvid-by-sequence --by sequence --stratify
    fullconv data split photos photos-folds --folds 5 --by '^[a-z]+'
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.data.dataset import open_dataset
    from fullconv.data.resplit import Division, resplit

    division = Division(val, test, folds, by, stratify, seed)
    dataset = open_dataset(data)
    with progress_bar("masks") as bar:
        task = bar.add_task("reading", total=None, figures="")
        made = resplit(
            dataset,
            dst,
            division,
            copy=copy,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    if as_json:
        print_json(facts_json(made, dataset.labels.names, division))
        return
    print(shares_text(made, dataset.labels.names, division))
    for line in warnings_of(made, dataset, division):
        say(f"note   {line}")
    say(f"next   fullconv train {dst}{'/fold0' if folds else ''} --out runs/{dst.name}")


def named(split: str, division: "Division") -> str:
    return f"fold{split}" if division.folds and split.isdecimal() else split


def shares_text(made: "Resplit", names: tuple[str, ...], division: "Division") -> str:
    """How many pictures each split has, and how its pixels are divided among the classes."""
    from fullconv.reporting.data_text import percent, shorten

    splits = list(made.splits)
    head = "".join(f"{named(split, division):>9}" for split in splits)
    lines = [f"{'':20}{head}"]
    lines.append(f"{'pictures':20}" + "".join(f"{len(made.splits[split]):>9,}" for split in splits))
    for index, name in enumerate(names):
        figures = "".join(f"{percent(made.shares[split][index]):>9}" for split in splits)
        lines.append(f"{shorten(name, 19):20}{figures}")
    groups = (
        f"{made.num_groups:,} groups, the largest of {made.largest:,}"
        if division.by
        else "each picture by itself"
    )
    kept = "; test as it was" if made.kept else ""
    return "\n".join([*lines, "", f"{made.folder}: {groups}{kept}"])


def warnings_of(made: "Resplit", dataset: "Dataset", division: "Division") -> list[str]:
    """What the user should know about the division."""
    from fullconv.data.splitting import num_sequences

    lines = []
    divided = {split: names for split, names in made.splits.items() if split != made.kept}
    total = sum(map(len, divided.values()))
    for split, part in division.fractions.items():
        got = len(divided[split]) / total
        if abs(got - part) > 0.25 * part + 1 / total:
            lines.append(
                f"{named(split, division)} has {got:.1%} of the pictures, {part:.1%} were asked for: groups are whole, and the "
                f"largest has {made.largest:,}"
            )
    for split, shares in made.shares.items():
        absent = [name for name, share in zip(dataset.labels.names, shares, strict=True) if not share]
        if absent and len(absent) < len(shares):
            more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
            lines.append(f"{named(split, division)} has no pixel of {', '.join(absent[:5])}{more}")
    sequences = num_sequences([name for names in divided.values() for name in names])
    if not division.by and sequences:
        lines.append(f"the names look like frames of {sequences} sequences; --by sequence keeps each whole")
    return lines


def facts_json(made: "Resplit", names: tuple[str, ...], division: "Division") -> dict[str, Any]:
    return {
        "data": str(made.folder),
        "splits": {named(split, division): len(members) for split, members in made.splits.items()},
        "groups": made.num_groups,
        "largest_group": made.largest,
        "kept": made.kept,
        "shares": {
            named(split, division): dict(zip(names, shares, strict=True))
            for split, shares in made.shares.items()
        },
    }
