"""Recipes by name: the papers' and the textbooks' options, to compare with or to start from.

Each is a set of options of `TrainConfig`; what is given beside --preset wins over it.

The papers' two recipes train the same networks. "cvpr" (Long, Shelhamer & Darrell 2015, section 4.3) takes batches of 20
pictures and the mean loss. "heavy" (Shelhamer, Long & Darrell 2017, and solver.prototxt in
github.com/shelhamer/fcn.berkeleyvision.org) takes one picture at a time, a momentum of 0.99, and the *sum* of the loss over
its pixels: that is why its learning rates look so small. In both, pictures are neither scaled, mirrored nor recoloured (the
paper found no gain), score layers start at zero, biases learn twice as fast and do not decay, and each stage starts from the
one before: FCN-16s with --init RUN-32s, FCN-8s with --init RUN-16s. The papers' pictures have at most 500 pixels a side,
so a crop of 500 x 500 is the whole picture; its padding is void and counts in no loss.
"""

from typing import Any

from fullconv.errors import UnknownNameError

AS_THEY_ARE = {"scale": [1.0, 1.0], "flip": 0.0, "jitter": 0.0}
PAPERS = {
    **AS_THEY_ARE, "crop": [500, 500], "optimizer": "sgd", "weight_decay": 5e-4, "bias_lr_factor": 2.0, "schedule": "constant",
    "warmup": 0.0, "clip": None,
}  # fmt: skip
CVPR = {**PAPERS, "batch_size": 20, "momentum": 0.9, "epochs": 175}
# 100,000 and 300,000 pictures, of the 8,498 that the papers trained on.
HEAVY = {**PAPERS, "batch_size": 1, "momentum": 0.99, "loss_reduction": "sum", "epochs": 12}
# Source: d2l.ai, "Fully Convolutional Networks". Its loss is the sum over 32 pictures of their mean losses, at a learning rate
# of 0.001; as one mean that is 0.032. It decays biases too, and keeps pictures of at least a crop's size.
TEXTBOOK = {
    **AS_THEY_ARE, "model": "fcn32s", "upsampling": "learned", "placement": "half-pixel", "border": "fade",
    "crop": [320, 480], "min_size": [320, 480], "epochs": 5, "schedule": "constant", "warmup": 0.0, "clip": None,
}  # fmt: skip

PRESETS: dict[str, dict[str, Any]] = {
    "cvpr-32s": {**CVPR, "model": "caffe_fcn32s", "lr": 1e-4},
    "cvpr-16s": {**CVPR, "model": "caffe_fcn16s", "lr": 1e-6},
    "cvpr-8s": {**CVPR, "model": "caffe_fcn8s", "lr": 1e-8},
    "cvpr-alexnet": {**CVPR, "model": "caffe_fcn_alexnet", "lr": 1e-3},
    "heavy-32s": {**HEAVY, "model": "caffe_fcn32s", "lr": 1e-10},
    "heavy-16s": {**HEAVY, "model": "caffe_fcn16s", "lr": 1e-12},
    "heavy-8s": {**HEAVY, "model": "caffe_fcn8s", "lr": 1e-14},
    "heavy-8s-atonce": {**HEAVY, "model": "caffe_fcn8s_atonce", "lr": 1e-10, "epochs": 36},
    # The repository trains AlexNet with the normalised loss, 20 pictures to a step.
    "heavy-alexnet": {**CVPR, "model": "caffe_fcn_alexnet", "lr": 1e-4, "epochs": 236},
    "textbook": {**TEXTBOOK, "backbone": "torchvision/resnet18", "optimizer": "sgd", "momentum": 0.0, "lr": 0.032,
                 "weight_decay": 1e-3, "batch_size": 32},
    # Source: "Dive into Deep Learning" in its TensorFlow 2 edition, section 9.10: Adam, and a ReLU on the scores.
    "textbook-resnet101v2": {**TEXTBOOK, "backbone": "resnetv2_101", "score_relu": True, "optimizer": "adamw",
                             "lr": 1e-3, "weight_decay": 0.0, "batch_size": 16},
}  # fmt: skip


def preset(name: str) -> dict[str, Any]:
    """The options of the recipe called `name`.

    Raises:
        UnknownNameError: there is none; the nearest name is suggested.

    >>> preset("heavy-32s")["lr"], preset("heavy-32s")["momentum"]
    (1e-10, 0.99)
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    return PRESETS[name]
