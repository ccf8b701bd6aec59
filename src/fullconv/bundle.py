"""A trained model as a folder: `model.safetensors`, the weights, and `model.json`, all there is to know about them.

`model.json` holds the architecture, the classes, the preprocessing, the figures of the last evaluation and the SHA-256 of the
weights, and ends with a digest of itself: a bundle that was changed by accident does not load. Nothing in it is code.
`README.md` says the same to people; nothing reads it.
"""

import contextlib
import hashlib
import json
import math
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from fullconv import hub
from fullconv.data.extra import ExtraFormat
from fullconv.errors import BundleError, DataError, FullconvError
from fullconv.labels import Head, LabelSet, head_sizes
from fullconv.model_card import CARD, model_card
from fullconv.models.build import build_for_prediction, build_with
from fullconv.models.fcn import FcnOptions
from fullconv.preprocessing import Preprocessing
from fullconv.storage import old_name, replaced_folder

MANIFEST, WEIGHTS = "model.json", "model.safetensors"

BUILT_IN = Path(__file__).with_name("builtin")
"""Where the models that come with the package lie, each a bundle."""


class Architecture(FcnOptions):
    """The arguments of `build_model` that make this network."""

    model_config = ConfigDict(protected_namespaces=())

    model: str
    backbone: str
    num_classes: int = Field(ge=1, le=65535)
    in_channels: int = Field(default=3, ge=3, le=1024)
    fusion: Literal["early", "late"] = "early"

    def build_for_prediction(self) -> torch.nn.Module:
        """As `build`, but quicker where the network's recording is at hand; its weights are to be loaded."""
        network = build_for_prediction(
            self.model, self.num_classes, self.backbone, self.in_channels, self.fcn_options
        )
        return self.build() if network is None else network

    def build(self, backbone_weights: str | Path = "none") -> torch.nn.Module:
        return build_with(
            self.model,
            self.num_classes,
            self.backbone,
            backbone_weights,
            self.in_channels,
            self.fusion,
            self.fcn_options,
        )


class ClassEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    color: tuple[int, int, int]


class HeadEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    classes: list[ClassEntry]


class Manifest(BaseModel):
    """What `model.json` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["fullconv-model-1"] = "fullconv-model-1"
    architecture: Architecture
    classes: list[ClassEntry]
    heads: list[HeadEntry] = []
    extra: ExtraFormat | None = None
    mean: tuple[FiniteFloat, ...]
    std: tuple[Annotated[FiniteFloat, Field(gt=0)], ...]
    trained: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    weights_sha256: str

    @property
    def labels(self) -> LabelSet:
        return label_set(self.classes)

    @property
    def further_heads(self) -> tuple[Head, ...]:
        return tuple(Head(entry.name, label_set(entry.classes)) for entry in self.heads)


def label_set(entries: list[ClassEntry]) -> LabelSet:
    return LabelSet(tuple(entry.name for entry in entries), tuple(entry.color for entry in entries))


def class_entries(labels: LabelSet) -> list[ClassEntry]:
    return [ClassEntry(name=n, color=c) for n, c in zip(labels.names, labels.colors, strict=True)]


class Bundle:
    """A loaded model and what belongs to it.

    Attributes:
        model: (N, 3, H, W) normalised pictures to logits (N, K, H, W); in eval mode.
        labels: the classes; of the first head, where there are several.
        heads: the further heads, whose logits follow.
        extra: how files of further channels are read; None where the model takes RGB alone.
        preprocessing: what turns uint8 pictures into the model's input.
        manifest: everything `model.json` says.
        folder: where it was read from.
    """

    def __init__(self, model: torch.nn.Module, manifest: Manifest, folder: Path) -> None:
        self.model = model
        self.manifest = manifest
        self.labels = manifest.labels
        self.heads = manifest.further_heads
        self.extra = manifest.extra
        self.preprocessing = Preprocessing(manifest.mean, manifest.std)
        self.folder = folder


def save_bundle(
    folder: Path,
    state: dict[str, torch.Tensor],
    architecture: Architecture,
    labels: LabelSet,
    preprocessing: Preprocessing,
    trained: dict[str, Any],
    metrics: dict[str, Any],
    heads: Sequence[Head] = (),
    extra: ExtraFormat | None = None,
) -> None:
    """Writes a bundle beside `folder` and then puts it in its place, so that it is never seen half-written.

    Args:
        trained: how, for people; a value may be a mapping, such as a `recipe`. `licence` and `limits` are the author's words.
        metrics: of `Evaluation.summary`; empty where nothing was measured.

    Raises:
        StorageError: the disk is full or may not be written; what was there before is still there.
    """
    weights = safetensors.torch.save({name: tensor.contiguous() for name, tensor in state.items()})
    manifest = Manifest(
        architecture=architecture,
        classes=class_entries(labels),
        heads=[HeadEntry(name=head.name, classes=class_entries(head.labels)) for head in heads],
        extra=extra,
        mean=preprocessing.mean,
        std=preprocessing.std,
        trained=trained,
        metrics=metrics,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
    )
    content = manifest.model_dump(mode="json")
    content["manifest_sha256"] = digest(content)
    card = model_card(content, sum(tensor.numel() for tensor in state.values()))
    with replaced_folder(folder) as fresh:  # `find_bundle` finds the old one in between
        (fresh / WEIGHTS).write_bytes(weights)
        (fresh / MANIFEST).write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        (fresh / CARD).write_text(card, encoding="utf-8")


def digest(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def find_bundle(model: str | Path) -> Path:
    """The bundle folder that `model` names: itself; of a run folder the best checkpoint, else the last; a built-in model; or
    one of the Hub, "hf:owner/name", which is downloaded once.

    Raises:
        BundleError: there is none.
        InputError: an address of the Hub that is none.
    """
    folder = Path(model)
    best, last = folder / "checkpoints" / "best", folder / "checkpoints" / "last"
    for place in (folder, best, old_name(best), last, old_name(last)):
        if (place / MANIFEST).is_file():
            return place
    if str(model) in built_in_names():
        return BUILT_IN / model
    if hub.is_address(model) and not folder.exists():
        return hub.fetch(str(model), (MANIFEST, WEIGHTS))
    if not folder.exists():
        near = get_close_matches(str(model), built_in_names(), n=1)
        hint = f"; did you mean the built-in {near[0]!r}?" if near else ""
        raise BundleError(
            f"no model at {model}{hint}; expected a run folder, a bundle folder, hf:owner/name, or one of "
            f"{', '.join(built_in_names())}"
        )
    raise BundleError(
        f"{model} holds no model: neither {MANIFEST} nor checkpoints/best; train one with 'fullconv train'"
    )


def built_in_names() -> list[str]:
    """The models that come with the package."""
    return sorted(manifest.parent.name for manifest in BUILT_IN.glob(f"*/{MANIFEST}"))


def load_bundle(model: str | Path, for_prediction: bool = False) -> Bundle:
    """Reads and checks a bundle, and builds its network on the CPU.

    Args:
        model: a run folder, a bundle folder, the name of a built-in model, or "hf:owner/name".
        for_prediction: the network starts quicker, but has no modules of the backbone's library and cannot be trained.

    Raises:
        BundleError: nothing there, incomplete, damaged, or not of this format.
    """
    folder = find_bundle(model)
    manifest = read_manifest(folder / MANIFEST)
    try:
        weights = (folder / WEIGHTS).read_bytes()
    except OSError as error:
        raise BundleError(
            f"{folder / WEIGHTS} cannot be read: {error.strerror}; copy the whole folder again"
        ) from None
    if hashlib.sha256(weights).hexdigest() != manifest.weights_sha256:
        raise BundleError(
            f"{folder / WEIGHTS} is damaged: its SHA-256 is not the one in {MANIFEST}; copy the folder again"
        )
    try:
        architecture = manifest.architecture
        network = architecture.build_for_prediction() if for_prediction else architecture.build()
        network.load_state_dict(safetensors.torch.load(weights))
    except (FullconvError, RuntimeError, safetensors.SafetensorError) as error:
        raise BundleError(
            f"{folder} does not load: {str(error).splitlines()[0]}; was it made by another version?"
        ) from None
    return Bundle(network.eval(), manifest, folder)


def card_of(folder: Path) -> str:
    """The card in a bundle's folder, or where it lacks one, as `save_bundle` would write it.

    Raises:
        BundleError: the bundle is damaged.
    """
    with contextlib.suppress(OSError, UnicodeDecodeError):
        return (folder / CARD).read_text(encoding="utf-8")
    manifest = read_manifest(folder / MANIFEST)
    try:
        with safetensors.safe_open(folder / WEIGHTS, "pt") as weights:
            num_values = sum(math.prod(weights.get_slice(name).get_shape()) for name in weights.keys())  # noqa: SIM118
    except (OSError, safetensors.SafetensorError):
        raise BundleError(f"{folder / WEIGHTS} cannot be read; copy the whole folder again") from None
    return model_card(manifest.model_dump(mode="json"), num_values)


def read_manifest(file: Path) -> Manifest:
    """Reads and checks `model.json`.

    Raises:
        BundleError: unreadable, changed since it was written, or not of this format.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(content, dict) or content.pop("manifest_sha256", None) != digest(content):
            raise BundleError(f"{file} is damaged or was edited: its digest is wrong; copy the folder again")
        manifest = Manifest.model_validate(content)
        if sum(head_sizes(manifest.labels, manifest.further_heads)) != manifest.architecture.num_classes:
            raise DataError("the class list and the network disagree about the number of classes")
        if not len(manifest.mean) == len(manifest.std) == manifest.architecture.in_channels:
            raise DataError("the normalisation and the network disagree about the number of channels")
        return manifest
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise BundleError(f"{file} cannot be read ({error}); copy the folder again") from None
    except (pydantic.ValidationError, FullconvError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(f"{file} is not a model of this format: {str(error).splitlines()[0]}") from None
