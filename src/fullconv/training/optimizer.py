"""Optimisers over the parameters of a network, in groups."""

import torch
from torch import nn

from fullconv.training.config import TrainConfig


def build_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW or SGD; biases and normalisation without weight decay, layers outside the backbone at `head_lr_factor`, biases at
    `bias_lr_factor`.

    Each group carries `lr_factor`, by which the schedule's learning rate is multiplied. What is fixed is left out.
    """
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        factor = 1.0 if "backbone" in name.split(".") else config.head_lr_factor
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


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_factor"]
