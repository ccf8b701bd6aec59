"""A trained run as a model of the package: its weights in half precision, its recipe written down, its figures measured anew.

    python recipes/ship.py RUN NAME [--average MODEL] [--measure DATA]

RUN: a run folder; NAME: what the model will be called, and of the recipe beside this file, which states licence and limits;
MODEL: what RUN began from, where the mean of both's weights is to be shipped; DATA: a data set whose val split the run has not
learnt from. Matrices and kernels are rounded to float16; normalisation and biases, a few thousand numbers whose range float16
may not hold, stay float32. The bundle is written to src/fullconv/builtin/NAME.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from fullconv.bundle import BUILT_IN, Bundle, load_bundle, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.evaluation import evaluate
from fullconv.training.config import make_config, read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("--average", help="a run, a bundle or a built-in model")
    parser.add_argument("--measure", type=Path, help="the data set")
    a = parser.parse_args()
    bundle = load_bundle(a.run)
    state = bundle.model.state_dict()
    if a.average:
        other = load_bundle(a.average).model.state_dict()
        # What is no float counts the batches that normalisation has seen.
        state = {
            name: (tensor + other[name]) / 2 if tensor.is_floating_point() else tensor
            for name, tensor in state.items()
        }
    state = {name: tensor.half() if tensor.ndim > 1 else tensor for name, tensor in state.items()}
    bundle.model.load_state_dict(state)
    written = read_config(Path(__file__).with_name(f"{a.name}.yaml"))
    config = make_config(read_config(a.run / "config.yaml"), a.run.name)
    save_bundle(
        BUILT_IN / a.name,
        state,
        bundle.manifest.architecture,
        bundle.labels,
        bundle.preprocessing,
        trained=bundle.manifest.trained
        | ({"averaged_with": Path(a.average).name} if a.average else {})
        | {"recipe": config.recipe, "licence": written["licence"], "limits": written["limits"]},
        metrics=measured(bundle, a.measure) if a.measure else {},
    )
    print(BUILT_IN / a.name)


def measured(bundle: Bundle, data: Path) -> dict[str, Any]:
    dataset = open_dataset(data)
    evaluation = evaluate(
        bundle.model, dataset.split("val"), bundle.labels, bundle.preprocessing, torch.device("cpu"), "fp32"
    )
    figures = evaluation.summary("val")
    print(f"{dataset.name} val: mean IU {100 * figures['mean_iou']:.1f}")
    return figures


if __name__ == "__main__":
    main()
