"""Trained FCNs of other libraries: recognised by the names of their weights, and built here with the same numbers.

| library | weights begin | becomes |
|---|---|---|
| torchvision | backbone.conv1, ..., classifier.4 | torchvision_fcn |
| MMSegmentation | backbone.stem or backbone.conv1, ..., decode_head.conv_seg | mmseg_fcn |

What the weights' shapes cannot tell (dilation, how scores are placed, the normalisation of pictures) is read from the
configuration that MMSegmentation's files carry; where it is other than this package computes, the file is refused.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fullconv.errors import DataError, InputError
from fullconv.labels import CITYSCAPES, VOC, LabelSet
from fullconv.models.backbones import read_checkpoint, state_in
from fullconv.models.build import build_model
from fullconv.models.mmseg_config import check_config, mmseg_preprocessing, read_config
from fullconv.preprocessing import Preprocessing

AUXILIARY = ("aux_classifier.", "auxiliary_head.")
"""Heads that serve training alone."""

SCORES = {"torchvision_fcn": "classifier.4.weight", "mmseg_fcn": "decode_head.conv_seg.weight"}
"""What scores the classes; no other network has a weight of that name."""

DEPTHS = {6: "50", 23: "101"}
"""Blocks in the third stage -> what the ResNet is called by."""

KNOWN = "expected torchvision's fcn_resnet50 or fcn_resnet101, or MMSegmentation's fcn_r50-d8 or fcn_r101-d8"


@dataclass(frozen=True)
class Foreign:
    """A network with another library's weights.

    Attributes:
        model: its name here.
        backbone: that of its backbone.
        network: in eval mode.
        labels: as the file names the classes; else those of a known data set with as many; else "class_0", "class_1", ...
        named: whether the file names them.
        preprocessing: what its pictures go through.
        assumed: what could not be read in the file and is taken to be as usual; for people.
    """

    model: str
    backbone: str
    network: nn.Module
    labels: LabelSet
    named: bool
    preprocessing: Preprocessing
    assumed: str


def read_foreign(file: Path) -> Foreign:
    """Reads another library's FCN; pickled code is never run.

    Raises:
        InputError: the file cannot be read, is of no known network, or of one that computes something else.
    """
    checkpoint = read_checkpoint(file)
    state = {name.removeprefix("module."): tensor for name, tensor in state_in(checkpoint, file).items()}
    state = {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}
    model, backbone = recognised(state, file)
    num_classes = len(state[SCORES[model]])
    network = build_model(model, num_classes=num_classes, backbone=backbone).eval()
    load(network, state, file, f"{model} over {backbone}")
    meta = checkpoint.get("meta") if isinstance(checkpoint.get("meta"), dict) else {}
    config = read_config(meta) if model == "mmseg_fcn" else None
    if config is not None:
        check_config(config, file)
    labels = labels_in(meta, num_classes)
    return Foreign(
        model,
        backbone,
        network,
        labels or usual_labels(num_classes),
        labels is not None,
        Preprocessing() if config is None else mmseg_preprocessing(config, file),
        "dilation 1, 1, 2, 4, align_corners=False and ImageNet's normalisation, of which the file says nothing"
        if model == "mmseg_fcn" and config is None
        else "",
    )


def recognised(state: dict[str, Tensor], file: Path) -> tuple[str, str]:
    """The names of the network and of its backbone.

    Raises:
        InputError: it is none of those known.
    """
    found = [model for model, name in SCORES.items() if name in state]
    if not found:
        there = ", ".join(list(state)[:3]) or "no weights"
        raise InputError(f"{file} holds {there}, ...; {KNOWN}")
    blocks = len({name.split(".")[2] for name in state if name.startswith("backbone.layer3.")})
    if blocks not in DEPTHS or "backbone.layer1.0.conv3.weight" not in state:
        raise InputError(
            f"{file} has a backbone other than ResNet-50 and ResNet-101 ({blocks} blocks in layer3); {KNOWN}"
        )
    resnet = f"resnet{DEPTHS[blocks]}"
    return found[0], f"{resnet}c" if "backbone.stem.0.weight" in state else f"torchvision/{resnet}"


def load(network: nn.Module, state: dict[str, Tensor], file: Path, name: str) -> None:
    """Loads weights that must fit everywhere.

    Raises:
        InputError: they do not, or are not finite.
    """
    own = network.state_dict()
    wrong = [key for key in own if key not in state and not key.endswith("num_batches_tracked")]
    wrong += [key for key in state if key not in own or own[key].shape != state[key].shape]
    if wrong:
        raise InputError(
            f"{file} does not fit {name}: {len(wrong)} tensors differ, first {wrong[0]!r}; {KNOWN}"
        )
    for key, tensor in state.items():
        if not torch.isfinite(tensor).all():
            raise InputError(f"{file}: {key} is not finite everywhere; copy the file again")
    network.load_state_dict(state, strict=False)


def labels_in(meta: dict[str, Any], num_classes: int) -> LabelSet | None:
    """The classes that a file of MMSegmentation names, with their colours where these are all different."""
    about = meta.get("dataset_meta")
    about = about if isinstance(about, dict) else meta
    lowered = {str(key).lower(): value for key, value in about.items()}
    names, palette = lowered.get("classes"), lowered.get("palette")
    if not isinstance(names, list | tuple) or len(names) != num_classes:
        return None
    # What is shown to people fits into one line.
    names = tuple(" ".join(re.sub(r"[^\w ./()-]", " ", str(name)).split()) for name in names)
    try:
        colors = tuple((int(red), int(green), int(blue)) for red, green, blue in palette or ())
        return LabelSet(names, colors)
    except (DataError, TypeError, ValueError):
        pass
    try:
        return LabelSet.from_names(names)
    except DataError:
        return None


def usual_labels(num_classes: int) -> LabelSet:
    """The classes of the data set that has so many; numbered ones where none has.

    >>> usual_labels(19).names[0], usual_labels(2).names
    ('road', ('class_0', 'class_1'))
    """
    for labels in (VOC, CITYSCAPES):
        if labels.num_classes == num_classes:
            return labels
    return LabelSet.from_names([f"class_{index}" for index in range(num_classes)])
