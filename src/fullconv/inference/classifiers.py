"""ImageNet classifiers by name, as dense predictors that know their classes and their normalisation."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from fullconv.errors import InputError, RunError, UnknownNameError
from fullconv.models.backbones import TORCHVISION, head_keys, load_classifier, read_state, weights_file
from fullconv.models.convolutionalize import DenseClassifier, convolutionalize
from fullconv.preprocessing import Preprocessing

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class NamedClassifier:
    """A dense classifier with what its pictures and its scores mean.

    Attributes:
        network: made by `convolutionalize`.
        names: a name per class.
        preprocessing: normalisation of pictures.
    """

    network: DenseClassifier
    names: tuple[str, ...]
    preprocessing: Preprocessing


def is_classifier_name(name: str) -> bool:
    """Whether this reads as a classifier's name: "torchvision/NAME", or a timm name that is no folder here.

    >>> is_classifier_name("torchvision/vgg16"), is_classifier_name("resnet18"), is_classifier_name("runs/first")
    (True, True, False)
    """
    if name.startswith(TORCHVISION):
        return True
    if Path(name).exists() or "/" in name:
        return False
    import timm

    return timm.is_model(name)


def load_named_classifier(name: str, weights: str | Path = "pretrained") -> NamedClassifier:
    """A classifier by name, convolutionalized.

    Args:
        name: a timm name, or "torchvision/NAME".
        weights: "pretrained" for the library's own, downloaded once; "none" for random ones; a file or an address (see
            `models.backbones.weights_file`). A file's number of classes may differ from ImageNet's.

    Raises:
        UnknownNameError: no such classifier; the nearest name is suggested.
        InputError: weights that do not fit; a classifier that cannot be convolutionalized.
        RunError: pretrained weights that cannot be had.
    """
    file = weights_file(weights)
    state = None if file is None else read_state(file)
    build = torchvision_classifier if name.startswith(TORCHVISION) else timm_classifier
    try:
        classifier, side_hw, preprocessing = build(name, state, str(weights) == "pretrained")
    except (OSError, RuntimeError, ValueError) as error:
        if str(weights) != "pretrained" or isinstance(error, InputError):
            raise
        raise RunError(
            f"no pretrained weights for {name!r} ({str(error).splitlines()[0]}); give --backbone-weights FILE, or none"
        ) from None
    if state is not None and file is not None:
        load_classifier(classifier, state, file, name)
        check_head(classifier, state, file, name)
    network = convolutionalize(classifier, side_hw)
    return NamedClassifier(network, class_names(network.num_classes), preprocessing)


def torchvision_classifier(
    name: str, state: dict[str, Tensor] | None, pretrained: bool
) -> tuple[nn.Module, tuple[int, int], Preprocessing]:
    """The classifier with the (height, width) and the normalisation of its published weights."""
    import torchvision

    short = name.removeprefix(TORCHVISION)
    known = torchvision.models.list_models(module=torchvision.models)
    if short not in known:
        raise UnknownNameError("classifier", name, [TORCHVISION + each for each in known])
    published: Any = torchvision.models.get_model_weights(short)["DEFAULT"].transforms()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        classifier = torchvision.models.get_model(short, weights="DEFAULT" if pretrained else None)
        if state is not None and num_classes_in(classifier, state) != IMAGENET_CLASSES:
            classifier = torchvision.models.get_model(short, num_classes=num_classes_in(classifier, state))
    if hasattr(classifier, "transform_input"):
        # Published weights of the Inception family expect this; torchvision sets it only where it loads them itself.
        classifier.transform_input = True  # pyright: ignore[reportArgumentType]
    side = published.crop_size[0]
    return classifier, (side, side), Preprocessing(tuple(published.mean), tuple(published.std))


def timm_classifier(
    name: str, state: dict[str, Tensor] | None, pretrained: bool
) -> tuple[nn.Module, tuple[int, int], Preprocessing]:
    """The classifier with the (height, width) and the normalisation of its configuration."""
    import timm

    if not timm.is_model(name):
        raise UnknownNameError("classifier", name, timm.list_models(), "(timm names, or torchvision/NAME)")
    classifier = timm.create_model(name, pretrained=pretrained)
    if state is not None and num_classes_in(classifier, state) != classifier.num_classes:
        classifier = timm.create_model(name, num_classes=num_classes_in(classifier, state))
    config: Any = classifier.pretrained_cfg
    return classifier, config["input_size"][1:], Preprocessing(tuple(config["mean"]), tuple(config["std"]))


def num_classes_in(classifier: nn.Module, state: dict[str, Tensor]) -> int:
    """The classes that a state scores: the length of the tensor that is the classifier's last."""
    last = head_keys(classifier)[-1]
    return state[last].shape[0] if last in state and state[last].dim() > 0 else IMAGENET_CLASSES


def check_head(classifier: nn.Module, state: dict[str, Tensor], file: Path, name: str) -> None:
    """A backbone may do without the last layer; scores may not."""
    own = classifier.state_dict()
    for key in head_keys(classifier):
        if key not in state or state[key].shape != own[key].shape:
            got = tuple(state[key].shape) if key in state else "nothing"
            raise InputError(
                f"{file} does not fit classifier {name!r}: {key!r} is {got}, expected {tuple(own[key].shape)}"
            )


def class_names(num_classes: int) -> tuple[str, ...]:
    """ImageNet's names where there are a thousand classes, else "class_0", "class_1", ...

    >>> class_names(1000)[281], class_names(2)
    ('tabby', ('class_0', 'class_1'))
    """
    if num_classes != IMAGENET_CLASSES:
        return tuple(f"class_{index}" for index in range(num_classes))
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
