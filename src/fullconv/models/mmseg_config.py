"""The configuration that MMSegmentation's files carry as Python text: read as data, never run."""

import ast
from pathlib import Path
from typing import Any

from fullconv.errors import InputError
from fullconv.preprocessing import Preprocessing

LONGEST = 1 << 20
"""Characters of a configuration; real ones have some thousands."""

WANTED: dict[str, dict[str, tuple[list[Any], Any]]] = {
    "backbone": {
        "strides": ([[1, 2, 1, 1]], [1, 2, 2, 2]),
        "dilations": ([[1, 1, 2, 4]], [1, 1, 1, 1]),
        "contract_dilation": ([True], False),
        "style": (["pytorch"], "pytorch"),
        "multi_grid": ([None], None),
    },
    "decode_head": {
        "type": (["FCNHead"], "FCNHead"),
        "in_index": ([3, -1], -1),
        "dilation": ([1], 1),
        "kernel_size": ([3], 3),
        "concat_input": ([True], True),
        "align_corners": ([False], False),
    },
}
"""Part -> setting -> what this package computes, and what a configuration means that does not say it.

Source: configs/_base_/models/fcn_r50-d8.py and the defaults in mmseg/models, github.com/open-mmlab/mmsegmentation."""


def read_config(meta: dict[str, Any]) -> dict[str, Any] | None:
    """The settings in a checkpoint's `meta`, those that are plain values; None where there are none that can be read."""
    text = meta.get("cfg", meta.get("config"))
    if not isinstance(text, str) or len(text) > LONGEST:
        return None
    try:
        lines = ast.parse(text).body
        settings = {
            line.targets[0].id: value_of(line.value)
            for line in lines
            if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name)
        }
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    model = settings.get("model")
    named = isinstance(model, dict) and all(isinstance(model.get(part), dict) for part in WANTED)
    return settings if named else None


def value_of(node: ast.expr) -> Any:
    """A literal, or `dict(name=value, ...)`; sequences are lists; None for all else."""
    if isinstance(node, ast.Call):
        is_dict = isinstance(node.func, ast.Name) and node.func.id == "dict"
        return {word.arg: value_of(word.value) for word in node.keywords} if is_dict else None
    if isinstance(node, ast.Dict):
        keys = [key.value if isinstance(key, ast.Constant) else None for key in node.keys]
        return dict(zip(keys, map(value_of, node.values), strict=True))
    if isinstance(node, ast.List | ast.Tuple):
        return [value_of(item) for item in node.elts]
    return node.value if isinstance(node, ast.Constant) else None


def check_config(config: dict[str, Any], file: Path) -> None:
    """Refuses a network whose weights fit but which computes something else.

    Raises:
        InputError: naming the setting.
    """
    model = config["model"]
    for part, settings in WANTED.items():
        for name, (wanted, default) in settings.items():
            got = model[part].get(name, default)
            if got not in wanted:
                raise InputError(
                    f"{file}: its configuration has {part}.{name} = {got!r}, with which it computes something else; only "
                    f"{wanted[0]!r} can be imported"
                )


def mmseg_preprocessing(config: dict[str, Any], file: Path) -> Preprocessing:
    """The normalisation: that of `data_preprocessor`, or `img_norm_cfg` before version 1.0; ImageNet's where neither is there.

    Raises:
        InputError: it is not of three channels, red first.
    """
    about = (
        config["model"].get("data_preprocessor")
        or config.get("data_preprocessor")
        or config.get("img_norm_cfg")
    )
    if not isinstance(about, dict) or about.get("mean") is None or about.get("std") is None:
        return Preprocessing()
    mean, std = about["mean"], about["std"]
    numbers = [*mean, *std] if isinstance(mean, list) and isinstance(std, list) else []
    is_usable = (
        len(numbers) == 6 and all(isinstance(number, int | float) for number in numbers) and min(std) > 0
    )
    if not is_usable or not about.get("bgr_to_rgb", about.get("to_rgb", False)):
        raise InputError(
            f"{file}: its configuration normalises pictures by {about}; expected three means and deviations, red first"
        )
    return Preprocessing(tuple(value / 255 for value in mean), tuple(value / 255 for value in std))
