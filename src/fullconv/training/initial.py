"""The weights that a network starts from: a backbone's, or those of another model, class by class."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from fullconv.bundle import Architecture, Bundle, load_bundle
from fullconv.download import answers
from fullconv.errors import ConfigError, RunError
from fullconv.labels import Head, LabelSet
from fullconv.models.backbones import pretrained_host
from fullconv.models.build import WITHOUT_PRETRAINED
from fullconv.training.config import TrainConfig

RANDOM_START = (
    "the backbone starts from random weights; --backbone-weights pretrained, or a file, learns faster"
)

OF_CLASSES = re.compile(r"(^|\.)((up)?score(?!\.\d+\.[012]\.)|classifier\.4\.|conv_seg\.)")
"""Names of weights that are one per class; the layers before a hidden score layer are not. The last two are torchvision's and
MMSegmentation's."""


@dataclass(frozen=True)
class Start:
    """A network before its first step.

    Attributes:
        model: with its initial weights.
        backbone_weights: where the backbone's are from; what "auto" turned out to be.
        warnings: what the user might not expect of them.
    """

    model: nn.Module
    backbone_weights: str
    warnings: tuple[str, ...] = ()


def build_network(
    architecture: Architecture, config: TrainConfig, labels: LabelSet, heads: Sequence[Head]
) -> Start:
    """The network with the weights that the configuration names.

    Raises:
        BundleError, ConfigError: see `initialised`.
        RunError: weights that cannot be had.
    """
    if config.init_from is not None:
        return initialised(architecture, config.init_from, class_names(labels, heads))
    if config.backbone_weights not in ("auto", "none"):
        return Start(architecture.build(config.backbone_weights), config.backbone_weights)
    # Asked first, because libraries retry for half a minute.
    host = pretrained_host(architecture.backbone)
    if config.backbone_weights == "auto" and architecture.model not in WITHOUT_PRETRAINED and answers(host):
        try:
            return Start(architecture.build("pretrained"), "pretrained")
        except RunError:
            torch.manual_seed(config.seed)
    return Start(architecture.build(), "none", (RANDOM_START,) if architecture.backbone != "none" else ())


def class_names(labels: LabelSet, heads: Sequence[Head]) -> list[tuple[str, str]]:
    """(head, class) of each of the network's score channels; the first labelling has no name."""
    return [(head.name, name) for head in (Head("", labels), *heads) for name in head.labels.names]


def initialised(architecture: Architecture, init_from: str, names: list[tuple[str, str]]) -> Start:
    """A network that takes from another model every tensor that fits, and what scores a class from the class of its name.

    Args:
        names: of the new network's score channels, as `class_names` gives them.

    Raises:
        BundleError: `init_from` is no model.
        ConfigError: it has another backbone, or no layer of it fits.
    """
    source = load_bundle(init_from)
    found = source.manifest.architecture.backbone
    if found != architecture.backbone:
        raise ConfigError(
            f"--init {init_from} has the backbone {found}, not {architecture.backbone}; give --backbone {found}"
        )
    model, places = architecture.build(), class_names(source.labels, source.heads)
    fitting = fitting_tensors(model, names, source.model, places)
    if not fitting:
        raise ConfigError(
            f"--init {init_from} is a {source.manifest.architecture.model}, of which no layer fits {architecture.model}; "
            "start from a model of the same family"
        )
    model.load_state_dict(fitting, strict=False)
    new = [name for head, name in names if (head, name) not in places]
    there = ", ".join(name for _, name in places)
    told = f"--init {init_from} has no class {', '.join(new)}: learnt from the start; it has {there}"
    return Start(model, "none", (told,) if new else ())


def fitting_tensors(
    model: nn.Module, names: list[tuple[str, str]], source: nn.Module, places: list[tuple[str, str]]
) -> dict[str, Tensor]:
    """The state of `model` as far as `source` has it; `names` and `places` are the two networks' score channels."""
    place_of = {name: place for place, name in enumerate(places)}
    pairs = [(place, place_of[name]) for place, name in enumerate(names) if name in place_of]
    own, theirs = model.state_dict(), source.state_dict()
    fitting = {}
    for name in own.keys() & theirs.keys():
        if OF_CLASSES.search(name) and own[name].dim() > 0:
            fitting[name] = by_class(own[name], theirs[name], pairs, (len(names), len(places)))
        elif own[name].shape == theirs[name].shape:
            fitting[name] = theirs[name]
    return fitting


def unlearnt(source: Bundle, labels: LabelSet) -> nn.Module:
    """Another model's network for classes of one's own, before it has learnt them: they score 0 everywhere, and classes that it
    has by name what they scored.
    """
    number, names = labels.num_classes, class_names(labels, ())
    model = source.manifest.architecture.model_copy(update={"num_classes": number}).build()
    places = class_names(source.labels, source.heads)
    model.load_state_dict(fitting_tensors(model, names, source.model, places), strict=False)
    new = [place for place, name in enumerate(names) if name not in places]
    for name, tensor in model.state_dict().items():
        if OF_CLASSES.search(name) and tensor.dim() > 0 and tensor.shape[0] == number:
            tensor[new] = 0
    return model


def by_class(own: Tensor, theirs: Tensor, pairs: list[tuple[int, int]], numbers: tuple[int, int]) -> Tensor:
    """A tensor of one row per class, its rows those of the other's where (place here, place there) pair them.

    Axes that count classes, here and there in these numbers, are both taken by class: a learned upsampling has two.

    >>> by_class(torch.zeros(2, 1), torch.tensor([[1.0], [2.0], [3.0]]), [(0, 2)], (2, 3))
    tensor([[3.],
            [0.]])
    """
    shapes = list(zip(own.shape, theirs.shape, strict=False))
    axes = [axis for axis, sizes in enumerate(shapes) if sizes == numbers][:2]
    rest_fits = all(a == b or axis in axes for axis, (a, b) in enumerate(shapes))
    if not pairs or 0 not in axes or not rest_fits or own.dim() != theirs.dim():
        return own
    to, of = (torch.tensor(places) for places in zip(*pairs, strict=True))
    merged = own.clone()
    if axes == [0]:
        merged[to] = theirs[of]
    else:
        merged[to[:, None], to] = theirs[of[:, None], of]
    return merged
