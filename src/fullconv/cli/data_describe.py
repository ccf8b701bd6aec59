"""fullconv data describe"""

import click


@click.command()
@click.argument("data")
@click.option(
    "--write", is_flag=True, help="Write it into the data set's folder, unless there is one already."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def describe(data: str, write: bool, as_json: bool) -> None:
    """Print a dataset.yaml for DATA, from what its files tell.

    Give the classes their names in it, and everything else can stay. DATA is a folder, or NAME:FOLDER with the name of its
    layout.
    """
    from fullconv.cli.console import print_json, say
    from fullconv.data.dataset import open_dataset, split_name
    from fullconv.data.describing import describe as described
    from fullconv.data.describing import write_description

    dataset = open_dataset(data)
    folder = split_name(data)[1]
    path = write_description(dataset, folder) if write else None
    if path is not None:
        say(f"written to {path}")
    if as_json:
        layout = {"layout": dataset.layout_name, "found": dataset.layout}
        counts = {split: len(samples) for split, samples in dataset.splits.items()}
        names = list(dataset.labels.names)
        print_json(
            {
                "data": str(dataset.root),
                **layout,
                "splits": counts,
                "classes": names,
                "written": path and str(path),
            }
        )
    elif path is None:
        print(described(dataset, folder), end="")
