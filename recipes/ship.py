"""A trained run as a model of the package: its weights in half precision, its figures measured anew, its recipe written down.

    python recipes/ship.py RUN NAME DATA --terms "..." [--figures "..."]

RUN: a run folder; NAME: what the model will be called; DATA: the data set whose val split is measured. Matrices and kernels are
rounded to float16; normalisation and biases, a few thousand numbers whose range float16 may not hold, stay float32. The bundle
is written to src/fullconv/builtin/NAME.
"""

import argparse
from pathlib import Path

import torch
import yaml

from fullconv.bundle import BUILT_IN, load_bundle, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.evaluation import evaluate

OF_THE_MACHINE = ("data", "out", "device", "precision", "workers", "log_every", "save_minutes")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("name")
    parser.add_argument("data", type=Path)
    parser.add_argument("--terms", required=True, help="what the data's owners allow")
    parser.add_argument("--note", default="", help="how the figures are to be read")
    a = parser.parse_args()
    bundle = load_bundle(a.run)
    state = {
        name: tensor.half() if tensor.ndim > 1 else tensor
        for name, tensor in bundle.model.state_dict().items()
    }
    bundle.model.load_state_dict(state)
    dataset = open_dataset(a.data)
    measured = evaluate(
        bundle.model,
        dataset.split("val"),
        bundle.labels,
        bundle.preprocessing,
        torch.device("cpu"),
        "fp32",
    ).summary("val")
    options = yaml.safe_load((a.run / "config.yaml").read_text())
    recipe = {name: value for name, value in options.items() if name not in OF_THE_MACHINE}
    recipe["backbone_weights"] = Path(str(recipe["backbone_weights"])).name
    trained = bundle.manifest.trained | {"terms": a.terms, "note": a.note, "recipe": recipe}
    save_bundle(
        BUILT_IN / a.name,
        state,
        bundle.manifest.architecture,
        bundle.labels,
        bundle.preprocessing,
        trained=trained,
        metrics=measured,
    )
    print(f"{BUILT_IN / a.name}: mean IU {100 * measured['mean_iou']:.1f} on {dataset.name} val")


if __name__ == "__main__":
    main()
