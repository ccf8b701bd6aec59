"""fullconv evaluate"""

from pathlib import Path

import click


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Which of the data set's splits.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for evaluation.json and a sample grid.",
)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def evaluate(
    model: str, data: Path, split: str, out: Path | None, device: str, precision: str, as_json: bool
) -> None:
    """Measure MODEL on the masks of DATA, every picture at its own size.

    MODEL is a run folder or a bundle folder. Figures are over the whole split: one confusion matrix, in which void pixels do
    not count. A class that neither the masks nor the predictions hold is n/a and left out of the mean.
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.data.dataset import open_dataset
    from fullconv.evaluation import evaluate as run_evaluation
    from fullconv.inference.segmenter import load
    from fullconv.reporting.tables import figures_table, write_evaluation

    segmenter = load(model, device, precision)
    dataset = open_dataset(data)
    samples = dataset.split(split)
    same_classes(segmenter.labels.names, dataset.labels.names, model, data)
    shown = []
    chosen = {round(i * (len(samples) - 1) / 5) for i in range(6)}
    with progress_bar("pictures") as bar:
        task = bar.add_task("evaluating", total=len(samples), figures="")

        def seen(index: int, picture: object, label_map: object, truth: object) -> None:
            bar.advance(task)
            if index in chosen:
                shown.append((picture, label_map, truth))

        confusion = run_evaluation(
            segmenter.model,
            samples,
            dataset.labels,  # the data set's own: it knows which ids are void there
            segmenter.preprocessing,
            segmenter.device,
            segmenter.precision,
            seen,
        )
    figures = confusion.summary(segmenter.labels.names, len(samples), split)
    if out is not None:
        write_evaluation(out, figures, shown, segmenter.labels)
        say(f"written to {out}")
    if as_json:
        print_json(figures)
    else:
        print(figures_table(figures))


def same_classes(own: tuple[str, ...], found: tuple[str, ...], model: str, data: Path) -> None:
    from fullconv.errors import DataError

    if own == found:
        return
    if len(own) != len(found):
        raise DataError(
            f"{model} knows {len(own)} classes, {data} has {len(found)}; evaluate on data with the same classes"
        )
    first = next(i for i, names in enumerate(zip(own, found, strict=True)) if names[0] != names[1])
    raise DataError(
        f"class {first} is {own[first]!r} in {model} and {found[first]!r} in {data}; give both the same class list"
    )
