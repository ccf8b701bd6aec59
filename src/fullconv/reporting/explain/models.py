"""The network that a name on the command line means."""

import warnings
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from fullconv.bundle import built_in_names, load_bundle
from fullconv.errors import ConfigError, UnknownNameError
from fullconv.models.backbones import TORCHVISION
from fullconv.models.build import MODELS, build_model

NUM_CLASSES = 21
"""Of networks that are built to be looked at: VOC's. No position depends on it."""


@dataclass(frozen=True)
class NamedModel:
    """A network to look at.

    Attributes:
        model: takes (1, channels, H, W) float32.
        title: what to call it.
        num_classes: K; None for a classifier.
        channels: of its pictures.
    """

    model: nn.Module
    title: str
    num_classes: int | None
    channels: int = 3


def find_model(name: str, backbone: str | None = None) -> NamedModel:
    """The network called `name`.

    Args:
        name: an architecture (see `models.build.MODELS`), a built-in model, a run or bundle folder, "torchvision/NAME", or a timm
            name.
        backbone: for the architectures that take one.

    Raises:
        UnknownNameError: nothing has this name; the nearest is suggested.
        ConfigError: a backbone for what has its own.
        BundleError: the folder holds no model.
    """
    if name in MODELS:
        model = build_model(name, num_classes=NUM_CLASSES, backbone=backbone)
        over = f" over {backbone or MODELS[name].backbone}" if MODELS[name].any_backbone else ""
        return NamedModel(model, name + over, NUM_CLASSES)
    if backbone is not None:
        raise ConfigError(
            f"--backbone {backbone}: got it with {name!r}; expected it with fcn32s to fcn4s only; leave it away"
        )
    if name.startswith(TORCHVISION):
        return NamedModel(torchvision_classifier(name), name, None)
    if Path(name).exists() or "/" in name or name in built_in_names():
        bundle = load_bundle(name)
        architecture = bundle.manifest.architecture
        return NamedModel(
            bundle.model,
            f"{architecture.model} in {name}",
            architecture.num_classes,
            len(bundle.preprocessing.mean),
        )
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("model", name, MODELS, "(or a run folder, torchvision/NAME, or a timm name)")
    return NamedModel(timm.create_model(name), name, None)


def torchvision_classifier(name: str) -> nn.Module:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name.removeprefix(TORCHVISION) not in known:
        raise UnknownNameError("model", name, [TORCHVISION + classifier for classifier in known])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        return torchvision.models.get_model(name.removeprefix(TORCHVISION), weights=None)
