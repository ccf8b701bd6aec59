"""What is written: the model in its format, and beside it NAME.json, all there is to know about it."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict

from fullconv.bundle import Architecture, Bundle, ClassEntry, HeadEntry
from fullconv.download import digest
from fullconv.errors import ConfigError

SUFFIXES = {"onnx": ".onnx", "openvino": ".xml", "torch": ".pt2"}
"""Format -> that of the file that is named; OpenVINO's weights lie beside it in a .bin."""

PACKAGES = ("fullconv", "torch", "onnx", "onnxruntime", "openvino")


class Value(BaseModel):
    """An input or output; an axis is a number, or the name of a size that is free."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    dtype: str
    shape: list[str | int]


class Check(BaseModel):
    """What the exported model said of noise.

    Attributes:
        difference: the largest, as a share of the largest logit; None of a model that gives labels.
        agreement: the share of pixels that got the original's label.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    size_hw: tuple[int, int]
    difference: float | None
    agreement: float


class ExportManifest(BaseModel):
    """What NAME.json holds.

    Attributes:
        file: the model.
        files: name -> SHA-256.
        mean, std: a picture's values in 0..1 are normalised by them before they go in.
        weights_sha256: of the bundle that was exported.
        checked: against the same precision here.
        measured: what bf16 or int8 costs, on pictures; figures of `quantize.compare`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["fullconv-export-1"] = "fullconv-export-1"
    file: str
    kind: Literal["onnx", "openvino", "torch"]
    precision: Literal["fp32", "bf16", "int8"]
    input: Value
    outputs: list[Value]
    classes: list[ClassEntry]
    heads: list[HeadEntry]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    stride: int
    architecture: Architecture
    weights_sha256: str
    checked: list[Check]
    measured: dict[str, Any] = {}
    versions: dict[str, str]
    files: dict[str, str]


def about(bundle: Bundle) -> dict[str, Any]:
    """What goes into the model's own file too: how pictures are normalised, and what the outputs mean."""
    content = bundle.manifest.model_dump(mode="json")
    fields = ("classes", "heads", "mean", "std", "architecture", "weights_sha256")
    return {"stride": bundle.model.stride, **{name: content[name] for name in fields}}


def metadata(about: dict[str, Any]) -> dict[str, str]:
    """`about` as text values, for formats that hold nothing else; JSON but for plain text."""
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in about.items()
    }


def versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # optional ones
            continue
    return found


def target_of(out: Path, kind: str) -> Path:
    """The file to write: `out` where it has the format's suffix, else `out/model.SUFFIX`.

    Raises:
        ConfigError: it has another format's suffix; what lies there is not an export.

    >>> target_of(Path("a/b.onnx"), "onnx"), target_of(Path("a"), "openvino")
    (PosixPath('a/b.onnx'), PosixPath('a/model.xml'))
    """
    suffix = SUFFIXES[kind]
    if out.suffix in (*SUFFIXES.values(), ".bin", ".json") and out.suffix != suffix:
        raise ConfigError(
            f"{out} does not end in {suffix}, as files for {kind} do; give another name, or --format"
        )
    target = out if out.suffix == suffix else out / f"model{suffix}"
    if target.parent.exists() and not target.parent.is_dir():
        raise ConfigError(f"{target.parent} is a file; give a folder, or a name that ends in {suffix}")
    note = target.with_suffix(".json")
    if target.is_dir() or (note.exists() and not is_export(note)):
        raise ConfigError(
            f"{note if note.exists() else target} is there already and no export; give another name"
        )
    return target


def is_export(note: Path) -> bool:
    try:
        ExportManifest.model_validate_json(note.read_bytes())
    except (OSError, pydantic.ValidationError):
        return False
    return True


def digests(folder: Path) -> dict[str, str]:
    return {file.name: digest(file) for file in sorted(folder.iterdir())}
