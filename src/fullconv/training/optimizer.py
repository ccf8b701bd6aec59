"""Optimisers over the parameters of a network, in groups."""

import torch
from torch import nn

from fullconv.training.config import TrainConfig


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and normalisation without weight decay, layers outside the backbone at `head_lr_factor`, biases at
    `bias_lr_factor`, the backbone's layers each at `layer_decay` times the rate of the one behind.

    Each group carries `lr_factor`, by which the schedule's learning rate is multiplied. What is fixed is left out.
    """
    layers = dict.fromkeys(layer_of(name) for name, _ in model.named_parameters())
    depths = {layer: depth for depth, layer in enumerate(reversed([layer for layer in layers if layer]))}
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        depth = depths.get(layer_of(name))
        factor = config.head_lr_factor if depth is None else config.layer_decay**depth
        factor *= config.bias_lr_factor if name.endswith("bias") else 1.0
        if parameter.requires_grad:
            groups.setdefault((factor, parameter.dim() > 1), []).append(parameter)
    settings = [
        {"params": parameters, "weight_decay": config.weight_decay if decays else 0.0, "lr_factor": factor}
        for (factor, decays), parameters in groups.items()
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(settings, lr=config.lr, momentum=config.momentum)
    return torch.optim.AdamW(settings, lr=config.lr)


def layer_of(name: str) -> str:
    """The layer of the backbone that a parameter is in: a module, or a block of a stage; "" for all else.

    >>> layer_of("backbone.body.layer1.0.conv1.weight"), layer_of("backbone.body.conv1.weight")
    ('backbone.body.layer1.0', 'backbone.body.conv1')
    """
    parts = name.split(".")[:-1]
    return ".".join(parts[: parts.index("backbone") + 4]) if "backbone" in parts else ""


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
