"""Fully convolutional networks for semantic segmentation: train, measure, predict."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fullconv.errors import FullconvError as FullconvError
    from fullconv.inference.segmenter import Prediction as Prediction
    from fullconv.inference.segmenter import Segmenter as Segmenter
    from fullconv.inference.segmenter import load as load
    from fullconv.labels import IGNORE_INDEX as IGNORE_INDEX
    from fullconv.labels import LabelSet as LabelSet
    from fullconv.metrics import Confusion as Confusion
    from fullconv.models.build import build_model as build_model
    from fullconv.models.convolutionalize import convolutionalize as convolutionalize
    from fullconv.ops.bilinear import bilinear_kernel as bilinear_kernel

__version__ = "0.1.0"

HOMES = {
    "Confusion": "fullconv.metrics",
    "FullconvError": "fullconv.errors",
    "IGNORE_INDEX": "fullconv.labels",
    "LabelSet": "fullconv.labels",
    "Prediction": "fullconv.inference.segmenter",
    "Segmenter": "fullconv.inference.segmenter",
    "bilinear_kernel": "fullconv.ops.bilinear",
    "build_model": "fullconv.models.build",
    "convolutionalize": "fullconv.models.convolutionalize",
    "load": "fullconv.inference.segmenter",
}

__all__ = [  # pyright: ignore[reportUnsupportedDunderAll]
    "IGNORE_INDEX",
    "Confusion",
    "FullconvError",
    "LabelSet",
    "Prediction",
    "Segmenter",
    "bilinear_kernel",
    "build_model",
    "convolutionalize",
    "load",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is first asked for: `fullconv --help` must not wait for torch."""
    if name not in HOMES:
        raise AttributeError(f"module 'fullconv' has no attribute {name!r}")
    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
