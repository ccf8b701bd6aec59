"""The int8 version of a model, with the figures of what it costs and gains: a folder in its bundle.

    int8/model.xml, int8/model.bin   the quantised convolutions, as OpenVINO reads them
    int8/int8.json                   which weights they were made from, and what was measured

Where the weights change, it has to be made anew.
"""

import hashlib
from pathlib import Path
from typing import Any, Literal

import pydantic
from pydantic import BaseModel, ConfigDict
from torch import nn

from fullconv.bundle import MANIFEST, WEIGHTS, read_manifest
from fullconv.errors import BundleError, ConfigError
from fullconv.inference.engines.convolutions import the_fcn
from fullconv.inference.engines.openvino_engine import OpenVinoEngine, core
from fullconv.inference.engines.packages import imported
from fullconv.storage import replaced_folder

FOLDER, RECORD = "int8", "int8.json"
XML, BIN = "model.xml", "model.bin"


class Record(BaseModel):
    """What `int8.json` holds.

    Attributes:
        weights_sha256: of the weights that were quantised.
        files: name -> SHA-256.
        measured: the figures of `quantize.compare`, and how they came about.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["fullconv-int8-1"] = "fullconv-int8-1"
    weights_sha256: str
    files: dict[str, str]
    measured: dict[str, Any] = {}


def save_int8(folder: Path, network: Any, measured: dict[str, Any]) -> Path:
    """Writes the int8 version of the bundle in `folder` beside and then puts it in its place.

    Args:
        network: an openvino.Model, quantised.

    Returns:
        The folder `int8`.

    Raises:
        StorageError: the disk is full or may not be written; what was there before is still there.
    """
    serialize = imported("openvino").serialize
    weights_sha256 = read_manifest(folder / MANIFEST).weights_sha256
    with replaced_folder(folder / FOLDER) as fresh:
        try:
            serialize(network, str(fresh / XML), str(fresh / BIN))
        except RuntimeError as error:  # what OpenVINO raises where it cannot write
            raise OSError(str(error).splitlines()[0]) from None
        record = Record(
            weights_sha256=weights_sha256,
            files={name: digest(fresh / name) for name in (XML, BIN)},
            measured=measured,
        )
        (fresh / RECORD).write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return folder / FOLDER


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def int8_engine(model: nn.Module, folder: Path | None) -> OpenVinoEngine:
    """The engine that runs a bundle's int8 version.

    Args:
        model: the bundle's network, for what stays in float32.
        folder: the bundle.

    Raises:
        ConfigError: there is no int8 version, it is of other weights, the model is no FCN, or OpenVINO is not installed.
        BundleError: it is damaged.
    """
    network = the_fcn(model, OpenVinoEngine.name)
    if folder is None:
        raise ConfigError(
            "precision is 'int8', but the model is in memory only; save it, run 'fullconv quantize', and load the folder"
        )
    return OpenVinoEngine(network, "int8", read_int8(folder)[0])


def read_int8(folder: Path) -> tuple[Any, dict[str, Any]]:
    """A bundle's quantised convolutions, an openvino.Model, and what was measured of them.

    Raises:
        ConfigError: there is no int8 version, it is of other weights, or OpenVINO is not installed.
        BundleError: it is damaged.
    """
    record = read_record(folder)
    if record.weights_sha256 != read_manifest(folder / MANIFEST).weights_sha256:
        raise ConfigError(
            f"{folder / FOLDER} was made from other weights than {folder / WEIGHTS}; "
            f"run 'fullconv quantize {folder} DATA' again"
        )
    xml, weights = (checked(folder, name, record) for name in (XML, BIN))
    return core().read_model(xml, weights), record.measured


def read_record(folder: Path) -> Record:
    """Reads a bundle's `int8.json`."""
    file = folder / FOLDER / RECORD
    if not file.parent.is_dir():
        raise ConfigError(
            f"{folder} has no int8 version; make one: fullconv quantize {folder} DATA; or use precision fp32"
        )
    try:
        return Record.model_validate_json(file.read_bytes())
    except (OSError, pydantic.ValidationError):
        raise damaged(folder, RECORD) from None


def checked(folder: Path, name: str, record: Record) -> bytes:
    """The content of a file, if it is what was written."""
    try:
        content = (folder / FOLDER / name).read_bytes()
    except OSError:
        raise damaged(folder, name) from None
    if hashlib.sha256(content).hexdigest() != record.files.get(name):
        raise damaged(folder, name)
    return content


def damaged(folder: Path, name: str) -> BundleError:
    return BundleError(
        f"{folder / FOLDER / name} is missing or damaged; run 'fullconv quantize {folder} DATA' again"
    )
