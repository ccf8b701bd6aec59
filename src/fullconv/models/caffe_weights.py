"""Weights for the papers' networks, in the forms they are found in.

| file | layer names | colours |
|---|---|---|
| .caffemodel: a VGG16 or CaffeNet classifier, or a trained FCN | Caffe's | BGR, 0..255 minus a mean |
| .pth, .safetensors of pytorch-fcn, or of this package | Caffe's | the same |
| .pth, .safetensors of torchvision's VGG16 | features.N, classifier.N | RGB, 0..1, mean and standard deviation of ImageNet |

Layers are copied by name. Fully connected layers become convolutions, their numbers as they are. Score layers that the file
does not have stay zero, so FCN-16s goes on from FCN-32s, and FCN-8s from FCN-16s.

A file of Caffe's numbers under torchvision's names (pytorch-fcn's vgg16_from_caffe.pth) cannot be told from
torchvision's; give the .caffemodel. A state dict does not say either whether an FCN-8s was trained at once.

Source: surgery.py in github.com/shelhamer/fcn.berkeleyvision.org.
"""

import math
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from fullconv.errors import ConfigError, InputError
from fullconv.models.backbones import pretrained_vgg16, read_state, weights_file
from fullconv.models.caffe import CAFFE_MEAN, VGG16, CaffeAlexNet, CaffeFCN
from fullconv.models.caffemodel import read_caffemodel
from fullconv.preprocessing import IMAGENET_MEAN, IMAGENET_STD

Weights = dict[str, np.ndarray]
Model = TypeVar("Model", CaffeFCN, CaffeAlexNet)


def load_caffe_weights(model: Model, weights: str | Path) -> Model:
    """The model with weights to start from.

    Args:
        model: changed in place.
        weights: "none" leaves it at random; "pretrained" takes torchvision's VGG16, downloaded once; a file (see
            `copy_weights`); or its address, "https://...#sha256=HEX".

    Raises:
        ConfigError: no such file; "pretrained" for AlexNet.
        InputError: weights that do not fit.
        RunError: pretrained weights that cannot be had.
    """
    file = weights_file(weights)
    if file is not None:
        copy_weights(model, file)
    elif str(weights) == "pretrained":
        if isinstance(model, CaffeAlexNet):
            raise ConfigError(
                "no library publishes pretrained weights of the two-column AlexNet; give bvlc_reference_caffenet.caffemodel"
            )
        state = {name: tensor.numpy() for name, tensor in pretrained_vgg16().items()}
        transplant(from_torchvision(state, "torchvision's VGG16"), model, "torchvision's VGG16")
    return model


def copy_weights(model: CaffeFCN | CaffeAlexNet, file: Path) -> str:
    """Copies the weights in `file` into the model, all or none.

    Args:
        model: changed in place.
        file: a .caffemodel; or a state dict (.pth, .safetensors), whose layer names say which one.

    Returns:
        What was recognised, which score layers stay as they were, and which layers of the file found no place.

    Raises:
        InputError: the file is damaged, or of another architecture: says which layer, got and expected shapes.
    """
    if file.suffix == ".caffemodel":
        found, kind = from_caffe(read_caffemodel(file), model, file), "Caffe model"
    else:
        found = {name: tensor.float().numpy() for name, tensor in read_state(file).items()}
        kind = "state dict with Caffe's layer names"
        if "features.0.weight" in found:
            if isinstance(model, CaffeAlexNet):
                raise one_column(found["features.0.weight"].shape, file)
            found, kind = from_torchvision(found, file), "torchvision VGG16"
    untouched, dropped = transplant(found, model, file)
    return kind + "".join(
        f"; {what}: {', '.join(names)}"
        for what, names in (("left as they were", untouched), ("dropped", dropped))
        if names
    )


def from_caffe(
    layers: dict[str, list[np.ndarray]], model: CaffeFCN | CaffeAlexNet, file: Path | str
) -> Weights:
    """Blobs by parameter name. The first layer of NYUD's RGB-D networks has its own name there."""
    at_once = isinstance(model, CaffeFCN) and model.at_once
    if "score_pool4" in layers and ("scale_pool4" in layers) != at_once:
        got, wanted = ("without", "with") if at_once else ("with", "without")
        raise InputError(
            f"{file} holds a network {got} layer scale_pool4, the model is one {wanted} it: FCN-8s at once scales its skips, "
            "staged ones do not; choose caffe_fcn8s_atonce for the one, caffe_fcn16s or caffe_fcn8s for the other"
        )
    return {
        f"{'conv1_1' if layer == 'conv1_1_bgrd' else layer}.{name}": blob
        for layer, blobs in layers.items()
        for name, blob in zip(("weight", "bias"), blobs, strict=False)
    }


def from_torchvision(state: Weights, file: Path | str) -> Weights:
    """torchvision's VGG16 under Caffe's layer names, its first layer made to read Caffe's pictures.

    x = 255 p - CAFFE_MEAN is Caffe's input of a colour p in 0..1, and (p - mean) / std is torchvision's, so
    w (p - mean) / std = w / (255 std) x + w (CAFFE_MEAN / 255 - mean) / std: new weights and a new bias, exact wherever no
    padding is seen.
    """
    names, index = {"classifier.0": "fc6", "classifier.3": "fc7"}, 0
    for layer in VGG16:
        if layer.startswith("conv"):
            names[f"features.{index}"] = layer
        index += 2 if layer.startswith("conv") else 1  # a ReLU stands behind each convolution
    for name, layer in names.items():
        if f"{name}.weight" not in state or f"{name}.bias" not in state:
            raise InputError(
                f"{file} has torchvision's layer names but no {name} with weight and bias for layer {layer}; expected vgg16, "
                "not one of another depth, with batch norm or without classifier"
            )
    found = {
        f"{names.get(name.rpartition('.')[0], name.rpartition('.')[0])}.{name.rpartition('.')[2]}": array
        for name, array in state.items()
    }
    weight = found["conv1_1.weight"].astype(np.float64)
    if weight.ndim != 4 or weight.shape[1] != 3:
        return found  # `transplant` says what is wrong
    mean, std = np.array(IMAGENET_MEAN), np.array(IMAGENET_STD)
    shift = (np.array(CAFFE_MEAN) / 255 - mean) / std
    found["conv1_1.bias"] = found["conv1_1.bias"] + np.einsum("ocij,c->o", weight, shift)
    found["conv1_1.weight"] = (weight / (255 * std)[:, None, None])[:, ::-1]  # RGB to BGR
    return found


def transplant(
    found: Weights, model: CaffeFCN | CaffeAlexNet, file: Path | str
) -> tuple[list[str], list[str]]:
    """Copies parameters by name where all of them fit; the score layers that stayed, the file's layers without a place."""
    own = model.state_dict()
    fitting, untouched = {}, []
    for name, tensor in own.items():
        layer = name.rpartition(".")[0]
        if layer.startswith("score") and len(found.get(f"{layer}.weight", ())) != model.num_classes:
            untouched.append(layer)
        elif layer.startswith("upscore"):
            check_upscore(found.get(name), tensor.cpu().numpy(), layer, file)
        else:
            fitting[name] = fitted(found, name, tuple(tensor.shape), model, file)
    with torch.no_grad():
        for name, array in fitting.items():
            own[name].copy_(torch.from_numpy(np.require(array, requirements=["C", "A", "W"])))
    layers = {name.rpartition(".")[0] for name in own} | {"scale_pool4", "scale_pool3"}
    return list(dict.fromkeys(untouched)), sorted({name.rpartition(".")[0] for name in found} - layers)


def fitted(
    found: Weights, name: str, shape: tuple[int, ...], model: CaffeFCN | CaffeAlexNet, file: Path | str
) -> np.ndarray:
    """The array for parameter `name`, in its shape: fully connected weights are convolutions written in one row."""
    layer, _, role = name.rpartition(".")
    wanted = "VGG16" if isinstance(model, CaffeFCN) else "the two-column AlexNet (bvlc_reference_caffenet)"
    remedy = f"give weights of {wanted} or of an FCN over it"
    if name not in found:
        there = ", ".join(list(found)[:3])
        raise InputError(f"{file} has no {role} for layer {layer}, it begins with {there}; {remedy}")
    array = found[name]
    if layer == "conv1_1" and array.ndim == 4 and array.shape[1] == 3 < shape[1]:
        # Depth starts as the mean of the colours. Source: nyud-fcn32s-color-d/solve.py, the same repository.
        further = np.repeat(array.mean(axis=1, keepdims=True), shape[1] - 3, axis=1)
        array = np.concatenate([array, further], axis=1)
    row = (shape[0], math.prod(shape[1:]))
    if without_leading_ones(array.shape) not in (without_leading_ones(shape), row):
        raise InputError(
            f"{file}: the {role} of layer {layer} has shape {array.shape}, expected {shape}; {remedy}"
        )
    if not np.isfinite(array).all():
        raise InputError(f"{file}: the {role} of layer {layer} is not finite everywhere; {remedy}")
    return array.reshape(shape)


def without_leading_ones(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Caffe before 2015 wrote every blob with four axes.

    >>> without_leading_ones((1, 1, 1, 64))
    (64,)
    """
    return without_leading_ones(shape[1:]) if shape[:1] == (1,) else shape


def check_upscore(array: np.ndarray | None, own: np.ndarray, layer: str, file: Path | str) -> None:
    """Upsampling is not copied but compared: a file that upsamples otherwise would silently give other scores."""
    if array is None:
        return
    kernel, size = own[0, 0], len(array)
    if array.shape[1:] in ((1, *kernel.shape), (size, *kernel.shape)):
        between = array if array.shape[1] == 1 else array[range(size), range(size)]
        if np.count_nonzero(array) == np.count_nonzero(between) and np.allclose(between, kernel, atol=1e-4):
            return
    raise InputError(
        f"{file}: layer {layer}, of shape {array.shape}, is not the bilinear upsampling by {kernel.shape} kernels that this "
        "network has fixed; give weights of a network whose upsampling was not trained"
    )


def one_column(shape: tuple[int, ...], file: Path) -> InputError:
    return InputError(
        f"{file}: layer conv1 (features.0) has shape {tuple(shape)}, expected (96, 3, 11, 11): torchvision's AlexNet has one "
        "column, the paper's two, with groups in conv2, conv4 and conv5; give bvlc_reference_caffenet.caffemodel"
    )
