"""fullconv evaluate"""

from pathlib import Path
from typing import Any

import click

from fullconv.cli import options


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", default="val", show_default=True, help="Which of the data set's splits.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=None,
    help="Folder for evaluation.json and grids of a few, the best and the worst pictures.",
)
@click.option(
    "--refine",
    type=click.Choice(["none", "crf"]),
    default="none",
    show_default=True,
    help="Refine with a dense CRF, and say what it gains and costs.",
)
@options.tile
@options.overlap
@options.tta
@options.engine
@options.device
@options.precision
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def evaluate(
    model: str,
    data: Path,
    split: str,
    out: Path | None,
    refine: str,
    tile: Any,
    overlap: str,
    tta: str,
    engine: str,
    device: str,
    precision: str,
    as_json: bool,
) -> None:
    """Measure MODEL on the masks of DATA, every picture at its own size.

    MODEL is a run folder, a bundle folder or a built-in model; its classes are found among those of DATA by name. Figures are
    over the whole split: one confusion matrix, in which void pixels do not count. A class that neither the masks nor the
    predictions hold is n/a and left out of the mean. Beside the mean IU stands its ceiling: what the masks themselves would
    score if they were shrunk by the network's stride and enlarged again.
    The calibration error is how far the network's confidence is from the share of pixels that is right.

    The network is run as 'fullconv predict' runs it with the same options.
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.data.dataset import open_dataset
    from fullconv.evaluation import measure
    from fullconv.inference.pixels import ArrayPixels
    from fullconv.inference.segmenter import load
    from fullconv.reporting.tables import figures_table, write_evaluation

    segmenter = load(model, device, precision, tile, overlap, tta, engine=engine)
    dataset = open_dataset(data)
    samples = dataset.split(split)
    ids = ids_by_name(segmenter.labels.names, dataset.labels.names, model, data)
    num_further = int(segmenter.model.num_classes) - segmenter.labels.num_classes  # pyright: ignore[reportArgumentType]
    heads = scored_heads(num_further, dataset.heads, model, data)
    with progress_bar("pictures") as bar:
        task = bar.add_task("evaluating", total=len(samples), figures="")
        evaluation = measure(
            lambda picture: segmenter.tiler.score_map(ArrayPixels(picture)),
            samples,
            dataset.labels,  # the data set's own: it knows which ids are void there
            getattr(segmenter.model, "stride", None),
            seen=lambda *_: bar.advance(task),
            heads=heads,
            refine="crf" if refine == "crf" else "none",
            ids=ids,
        )
    figures = evaluation.summary(split) | {"pictures": evaluation.extremes()}
    if out is not None:
        write_evaluation(out, figures, evaluation.grids())
        say(f"written to {out}")
    if as_json:
        print_json(figures)
    else:
        print(figures_table(figures))


def ids_by_name(own: tuple[str, ...], found: tuple[str, ...], model: str, data: Path) -> Any:
    """(K,) uint8 the data set's id of each of the model's classes, by name; None where they are the same.

    Raises:
        DataError: the data set lacks one of them.
    """
    import numpy as np

    from fullconv.errors import DataError

    if own == found:
        return None
    missing = [name for name in own if name not in found]
    if missing:
        names = ", ".join(found[:8]) + (", ..." if len(found) > 8 else "")
        raise DataError(
            f"{model} knows the class {missing[0]!r}, which {data} does not have ({names}); expected data with at least the "
            "model's classes, under the same names"
        )
    return np.array([found.index(name) for name in own], dtype=np.uint8)


def scored_heads(num_further: int, heads: tuple[Any, ...], model: str, data: Path) -> tuple[Any, ...]:
    """The data set's further heads that the model has scores for: all of them, or none.

    Args:
        num_further: the model's classes beyond those of the first head.
        heads: the data set's further `Head`s.
    """
    from fullconv.errors import DataError

    found = sum(head.labels.num_classes for head in heads)
    if num_further not in (0, found):
        raise DataError(
            f"{model} has {num_further} classes in further heads, {data} has {found}; evaluate on data with the same heads"
        )
    return heads if num_further else ()
