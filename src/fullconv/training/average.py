"""The moving average of a network's weights, which is steadier than the weights themselves."""

import copy

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average over the steps of a run.

    Args:
        model: the network that is trained.
        decay: what is kept of the average at each step, 0..1; less in the first steps, so that the start is soon forgotten.

    Attributes:
        model: a network with the average of weights and of normalisation statistics, in eval mode.

    Source: Polyak & Juditsky 1992; the warm-up is that of TensorFlow's ExponentialMovingAverage, (1 + step) / (10 + step).

    >>> model = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(model.weight, 0.0)
    >>> average = WeightAverage(model, decay=0.9)
    >>> _ = nn.init.constant_(model.weight, 1.0)
    >>> average.update(model, step=0)
    >>> average.model.weight.item()
    0.8999999761581421
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Takes in the weights as they are after step `step`, counted from 0."""
        share = 1 - min(self.decay, (1 + step) / (10 + step))
        own, new = (
            {name: local(tensor) for name, tensor in network.state_dict().items()}
            for network in (self.model, model)
        )
        floats = [name for name, tensor in own.items() if tensor.is_floating_point()]
        torch._foreach_lerp_([own[name] for name in floats], [new[name] for name in floats], share)  # pyright: ignore[reportPrivateImportUsage]
        for name in own.keys() - set(floats):
            own[name].copy_(new[name])


def local(tensor: Tensor) -> Tensor:
    """This process's shard of a tensor; all of one that is not sharded."""
    to_local = getattr(tensor, "to_local", None)  # a DTensor's, whose module is slow to import
    return tensor if to_local is None else to_local()
