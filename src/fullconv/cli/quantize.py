"""fullconv quantize"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from fullconv.bundle import Bundle
    from fullconv.data.dataset import Dataset
    from fullconv.inference.engines import Engine


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path))
@click.option(
    "--pictures",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="How many training pictures to measure activations on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def quantize(model: str, data: Path, pictures: int, as_json: bool) -> None:
    """Make an int8 version of MODEL, for --precision int8, and measure what it costs.

    MODEL is a run folder or a bundle folder of an FCN; the int8 version is written into it. Weights and activations are
    rounded to 8 bits; in what range is measured on training pictures of DATA. Where too many of their pixels would change
    their label, the first convolutions stay in fp32. Then every picture of the val split is labelled in fp32 and in int8,
    both with OpenVINO: mean IU and seconds of each, and the share of pixels that keep their label.

    \b
    fullconv quantize runs/first photos
    fullconv predict runs/first new/*.jpg --out predictions --precision int8
    """
    from fullconv.bundle import load_bundle
    from fullconv.cli.console import print_json, say
    from fullconv.inference.engines.int8 import save_int8

    bundle = load_bundle(model, for_prediction=True)
    network, figures = int8_of(bundle, data, pictures)
    folder = save_int8(bundle.folder, network, figures)
    if as_json:
        print_json({"folder": str(folder), **figures})
    else:
        print(precisions_table(figures))
        say(f"written to {folder}; use it with --precision int8")


def int8_of(bundle: "Bundle", data: Path, pictures: int = 64) -> tuple[Any, dict[str, Any]]:
    """A model's convolutions in int8, an openvino.Model, and what that costs, on `data`.

    Raises:
        ConfigError: the model is no FCN, or a package is not installed.
        DataError: other classes than the model's.
    """
    from fullconv.cli.console import say
    from fullconv.inference.engines.openvino_engine import OpenVinoEngine
    from fullconv.inference.engines.quantize import Calibration, quantized, spread
    from fullconv.labels import head_sizes

    dataset = same_classes(bundle, data)
    calibration = spread(dataset.split("train"), pictures)
    fp32 = OpenVinoEngine(bundle.model, "fp32")
    say(f"calibrating on {len(calibration)} training pictures")
    sizes = head_sizes(bundle.labels, bundle.heads)
    network, num_float = quantized(
        Calibration(fp32, calibration, dataset.labels, bundle.preprocessing, sizes), say
    )
    figures = compared(bundle, data, (fp32, OpenVinoEngine(bundle.model, "int8", network)))
    return network, {
        "calibration_pictures": len(calibration),
        "float_convolutions": num_float,
        **figures,
    }


def compared(bundle: "Bundle", data: Path, engines: tuple["Engine", "Engine"]) -> dict[str, Any]:
    """What two precisions say of the val split; see `engines.quantize.compare`.

    Raises:
        DataError: other classes than the model's.
    """
    from fullconv.cli.console import progress_bar
    from fullconv.inference.engines.quantize import compare
    from fullconv.labels import head_sizes

    dataset = same_classes(bundle, data)
    samples = dataset.split("val")
    with progress_bar("pictures") as bar:
        task = bar.add_task("comparing", total=len(samples), figures="")
        return compare(
            engines,
            samples,
            dataset.labels,
            bundle.preprocessing,
            head_sizes(bundle.labels, bundle.heads),
            seen=lambda: bar.advance(task),
        )


def same_classes(bundle: "Bundle", data: Path) -> "Dataset":
    """The data set, if its classes are the model's.

    Raises:
        DataError: they are not.
    """
    from fullconv.cli.evaluate import ids_by_name
    from fullconv.data.dataset import open_dataset
    from fullconv.errors import DataError

    dataset, folder = open_dataset(data), str(bundle.folder)
    if ids_by_name(bundle.labels.names, dataset.labels.names, folder, data) is not None:
        raise DataError(
            f"{data} has more classes than {folder}, or in another order; expected the model's own"
        )
    return dataset


def precisions_table(figures: dict[str, Any]) -> str:
    """What `compare` measured, for people.

    >>> print(precisions_table({"mean_iou": {"fp32": 0.801, "int8": 0.795}, "label_agreement": 0.98712, \
"seconds_per_image": {"fp32": 0.0222, "int8": 0.0131}, "num_images": 40, "float_convolutions": 1}))
    precision  mean IU  ms a picture
    fp32          80.1          22.2
    int8          79.5          13.1
    <BLANKLINE>
    98.71 % of the pixels of 40 pictures keep their label
    the first 1 convolutions stay in fp32
    """
    from fullconv.reporting.tables import percent

    lines = ["precision  mean IU  ms a picture"]
    for name, seconds in figures["seconds_per_image"].items():
        lines.append(f"{name:9}  {percent(figures['mean_iou'][name]):>7}  {1000 * seconds:12.1f}")
    kept = 100 * figures["label_agreement"]
    lines += ["", f"{kept:.2f} % of the pixels of {figures['num_images']} pictures keep their label"]
    if figures.get("float_convolutions"):
        lines.append(f"the first {figures['float_convolutions']} convolutions stay in fp32")
    return "\n".join(lines)
