"""Any timm or torchvision classifier as a backbone: a picture in, feature maps at several strides out."""

import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fullconv.download import download
from fullconv.errors import ConfigError, FullconvError, InputError, RunError, UnknownNameError
from fullconv.ops.geometry import Geometry
from fullconv.ops.tracing import Place, place_of, trace

TORCHVISION = "torchvision/"
STRIDES = (4, 8, 16, 32)


class Backbone(nn.Module):
    """Feature maps of a picture, one per stride, each with its exact place on the picture.

    Args:
        body: takes (N, 3, H, W), returns one feature map per stride in `strides`, in that order.
        strides: what `body` returns, finest first.

    Attributes:
        channels: stride -> number of channels.
        geometry_hw: stride -> geometry along rows and columns (see `ops.geometry`).
        smallest: the least height and width for which every feature map has a cell.

    Feature maps whose place cannot be followed (windowed attention that cuts the picture into tokens) are taken to
    be centred on their cells, offset (stride - 1) / 2, which is where patch embeddings put them.
    """

    def __init__(self, body: nn.Module, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.body = body
        self.strides = strides
        self.smallest = smallest_size(body)
        features, _ = trace(body, (128, 128))
        places = [
            place_of(feature) or unknown_place(feature, stride)
            for feature, stride in zip(feature_list(features), strides, strict=True)
        ]
        self.row_axes = [place.row_axis for place in places]
        self.geometry_hw = {stride: place.geometry_hw for stride, place in zip(strides, places, strict=True)}
        self.channels = {
            stride: feature.shape[6 - place.row_axis - place.column_axis]
            for stride, place, feature in zip(strides, places, feature_list(features), strict=True)
        }

    def forward(self, pictures: Tensor) -> dict[int, Tensor]:
        """(N, 3, H, W) float to {stride: (N, C, about H/stride, about W/stride)}."""
        return {
            stride: feature if row_axis == 2 else feature.permute(0, 3, 1, 2)
            for stride, row_axis, feature in zip(
                self.strides, self.row_axes, feature_list(self.body(pictures)), strict=True
            )
        }


def build_backbone(name: str, finest: int = 4, weights: str | Path = "none") -> Backbone:
    """A backbone by name, with every feature map from stride `finest` to 32 that it has.

    Args:
        name: a timm name ("resnet18", "convnext_tiny", ...) or "torchvision/NAME".
        finest: the finest stride wanted: 4, 8, 16 or 32.
        weights: "none" for random ones; "pretrained" for the library's own, downloaded once; a file (.pth, .safetensors)
            with the classifier's state; or an address of such a file, "https://...#sha256=HEX".

    Raises:
        UnknownNameError: no such backbone; the nearest name is suggested.
        InputError: the backbone has no feature map at stride `finest`; weights that do not fit.
        RunError: pretrained weights that cannot be had.
    """
    file = weights_file(weights)
    build = torchvision_backbone if name.startswith(TORCHVISION) else timm_backbone
    with told_if_unavailable(name, weights), without_warnings_of("timm.models._builder"):
        return build(name, finest, str(weights), file)


@contextmanager
def told_if_unavailable(name: str, weights: str | Path) -> Iterator[None]:
    """Says in one line what kept a library from getting a backbone's pretrained weights.

    Raises:
        RunError: they cannot be had.
    """
    try:
        yield
    except FullconvError:
        raise
    except (OSError, RuntimeError, ValueError) as error:
        if weights != "pretrained":
            raise
        reason = str(error).splitlines()[0]
        raise RunError(
            f"no pretrained weights for backbone {name!r} ({reason}); give --backbone-weights FILE, or none"
        ) from None


@contextmanager
def without_warnings_of(library: str) -> Iterator[None]:
    """Keeps a library from warning: of a classifier's own layers, say, which a backbone has no use for."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def pretrained_host(name: str) -> str:
    """The address that a backbone's pretrained weights come from; the papers' "vgg16" is torchvision's."""
    if name.startswith(TORCHVISION) or name == "vgg16":
        return "https://download.pytorch.org"
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co")


def pretrained_vgg16() -> dict[str, Tensor]:
    """torchvision's VGG16 classifier, downloaded once.

    Raises:
        RunError: it cannot be had.
    """
    from torchvision.models import VGG16_Weights

    try:
        return VGG16_Weights.IMAGENET1K_V1.get_state_dict(progress=False, check_hash=True, weights_only=True)
    except (OSError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise RunError(
            f"no pretrained weights of torchvision's VGG16 ({reason}); give --backbone-weights FILE, or none"
        ) from None


def weights_file(weights: str | Path) -> Path | None:
    """The file that `weights` names, downloaded if it is an address; None for "none" and "pretrained"."""
    if str(weights) in ("none", "pretrained"):
        return None
    if str(weights).startswith(("http://", "https://")):
        return download(str(weights))
    if not Path(weights).is_file():
        raise ConfigError(
            f"no backbone weights at {weights}; expected 'none', 'pretrained', a file or an https address"
        )
    return Path(weights)


def torchvision_backbone(name: str, finest: int, weights: str, file: Path | None) -> Backbone:
    import torchvision
    from torchvision.models.feature_extraction import create_feature_extractor

    known = torchvision.models.list_models(module=torchvision.models)
    if name.removeprefix(TORCHVISION) not in known:
        raise UnknownNameError("backbone", name, [TORCHVISION + classifier for classifier in known])
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        classifier = torchvision.models.get_model(
            name.removeprefix(TORCHVISION), weights="DEFAULT" if weights == "pretrained" else None
        )
    if file is not None:
        load_classifier(classifier, read_state(file), file, name)
    nodes = widest_nodes(classifier)
    strides = usable_strides(nodes, finest, name)
    with warnings.catch_warnings():
        # Networks with auxiliary classifiers differ between training and evaluation, behind the nodes taken here.
        warnings.filterwarnings("ignore", message="NOTE: The nodes obtained by tracing", category=UserWarning)
        body = create_feature_extractor(classifier, {nodes[s]: str(s) for s in strides})
    return Backbone(body, strides)


def widest_nodes(classifier: nn.Module) -> dict[int, str]:
    """For each stride, the sub-module that says most: of those with most channels, the last.

    In residual networks these are the stages' outputs; in MobileNets the expanded features just before they are reduced.
    """
    widest: dict[int, tuple[int, str]] = {}
    for feature in trace(classifier, (128, 128))[1]:
        stride = feature.place.rows.stride
        if feature.place.row_axis != 2 or stride.denominator != 1:
            continue
        if feature.channels >= widest.get(int(stride), (0, ""))[0]:
            widest[int(stride)] = (feature.channels, feature.name)
    return {stride: node for stride, (_, node) in widest.items()}


def timm_backbone(name: str, finest: int, weights: str, file: Path | None) -> Backbone:
    import timm
    from timm.models._features import FeatureGetterNet

    if not timm.is_model(name):
        raise UnknownNameError("backbone", name, timm.list_models(), "(timm names, or torchvision/NAME)")
    overlay = None
    if file is not None:
        load_classifier(timm.create_model(name), read_state(file), file, name)
        overlay = {"file": str(file)}
    info = timm.create_model(name, features_only=True).feature_info
    reductions: list[int] = info.reduction()  # pyright: ignore
    strides = usable_strides(reductions, finest, name)
    # Of several maps at one stride the last is the deepest.
    indices = tuple(len(reductions) - 1 - reductions[::-1].index(stride) for stride in strides)
    pretrained = weights == "pretrained" or file is not None
    if name.startswith("resnetv2"):
        # A pre-activation network's last stage ends before its normalisation and ReLU, which stand behind the stages.
        classifier = timm.create_model(name, pretrained=pretrained, pretrained_cfg_overlay=overlay)
        body = FeatureGetterNet(classifier, out_indices=indices, norm=True)  # pyright: ignore[reportArgumentType]
    else:
        body = timm.create_model(
            name,
            features_only=True,
            out_indices=indices,
            pretrained=pretrained,
            pretrained_cfg_overlay=overlay,
        )
    return Backbone(body, strides)


def usable_strides(found: Iterable[int], finest: int, name: str) -> tuple[int, ...]:
    strides = tuple(stride for stride in STRIDES if stride >= finest and stride in found)
    if finest not in strides:
        raise InputError(
            f"backbone {name!r} has feature maps at strides {sorted(set(found))}, none at {finest}; "
            "choose another backbone or a model of another stride"
        )
    return strides


def read_state(file: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or .pth file; pickled code is never run.

    Raises:
        InputError: the file cannot be read, or holds something else.
    """
    return state_in(read_checkpoint(file), file)


def read_checkpoint(file: Path) -> Any:
    """What a .safetensors or .pth file holds: a state dict, or a dict with one in it; pickled code is never run.

    Raises:
        InputError: the file cannot be read, or only by running code in it.
    """
    try:
        if file.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:
        reason = str(error)
        unsafe = re.search(r"Unsupported (?:global: GLOBAL|class) ([\w.]+)", reason)
        if unsafe:
            raise InputError(
                f"{file} cannot be read as weights: it holds a {unsafe[1]} too, and to read that would run code; where you "
                "trust the file, save its tensors alone where it was made: torch.save(checkpoint['state_dict'], 'weights.pth')"
            ) from None
        raise InputError(
            f"{file} cannot be read as weights ({reason.splitlines()[0].split('. ')[0]}); expected a whole .safetensors or "
            ".pth file; copy it again"
        ) from None


def state_in(checkpoint: Any, file: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds.

    Raises:
        InputError: there is none.
    """
    state = checkpoint
    if isinstance(state, dict):
        state = state.get("state_dict", state.get("model_state_dict", state))
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise InputError(f"{file} does not hold a state dict of tensors; save model.state_dict()")
    return state


def head_keys(classifier: nn.Module) -> list[str]:
    """The names of the last layer's weight and bias."""
    return [key for key in classifier.state_dict() if not key.endswith("num_batches_tracked")][-2:]


def load_classifier(classifier: nn.Module, state: dict[str, Tensor], file: Path, name: str) -> None:
    """Loads weights that must fit everywhere but in the last layer, which a backbone does not use."""
    own = classifier.state_dict()
    head = head_keys(classifier)
    wrong = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    wrong += [key for key in state if key not in own or state[key].shape != own[key].shape]
    wrong = [key for key in wrong if key not in head]
    if wrong:
        raise InputError(
            f"{file} does not fit backbone {name!r}: {len(wrong)} tensors differ, first {wrong[0]!r}"
        )
    classifier.load_state_dict({k: v for k, v in state.items() if v.shape == own[k].shape}, strict=False)


def feature_list(features: list[Tensor] | dict[str, Tensor]) -> list[Tensor]:
    return list(features.values()) if isinstance(features, dict) else list(features)


def unknown_place(feature: Tensor, stride: int) -> Place:
    from fractions import Fraction

    axis = Geometry(Fraction(stride), Fraction(stride - 1, 2), Fraction(stride))
    last = feature.shape[3] > feature.shape[1]
    return Place(axis, axis, *((1, 2) if last else (2, 3)))


def smallest_size(body: nn.Module) -> int:
    """The least of 1, 32, 64, 96 and 128 that leaves a cell in every feature map."""
    for size in (1, 32, 64, 96, 128):
        try:
            features = feature_list(trace(body, (size, size))[0])
        except (RuntimeError, AssertionError, ValueError):
            continue
        if all(feature.numel() > 0 for feature in features):
            return size
    raise InputError(
        "the backbone takes no picture of 128 x 128; fixed-size networks cannot be made fully convolutional"
    )
