"""Optimisers over the parameters of a network, in groups."""

import torch
from torch import nn

from fullconv.training.config import TrainConfig


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and normalisation without weight decay, layers outside the backbone at `head_lr_factor`, biases at
    `bias_lr_factor`, the backbone's layers each at `layer_decay` times the rate of the one behind.

    Each group carries `lr_factor`, by which the schedule's learning rate is multiplied. What is fixed is left out.
    """
    layers = list(dict.fromkeys(layer_of(name) for name, _ in model.named_parameters() if in_backbone(name)))
    depths = {layer: depth for depth, layer in enumerate(reversed(layers))}
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


def in_backbone(name: str) -> bool:
    return "backbone" in name.split(".")


def layer_of(name: str) -> str:
    """The top module of the backbone that a parameter is in: "backbone.body.layer1"; of a list or the like its item.

    >>> layer_of("backbone.body.layer1.0.conv1.weight"), layer_of("backbone.body.conv1.weight"), layer_of("score.8.bias")
    ('backbone.body.layer1.0', 'backbone.body.conv1.weight', 'score.8.bias')
    """
    parts = name.split(".")
    return ".".join(parts[: parts.index("backbone") + 4]) if "backbone" in parts else name


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
