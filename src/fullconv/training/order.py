"""In which order a run visits its samples."""

from collections.abc import Sequence
from typing import Literal

from fullconv.data.order import FullOrder, Order, WindowedOrder
from fullconv.data.samples import Sample
from fullconv.data.shards.samples import ShardSamples
from fullconv.training.config import TrainConfig

MOST_IN_FULL_ORDER = 1_000_000
"""Of shards with more samples, `auto` visits them in windows."""


def picked_order(config: TrainConfig, samples: Sequence[Sample]) -> Literal["full", "windowed"]:
    """The option `order`, where it is "auto" the one that suits the samples."""
    if config.order != "auto":
        return config.order
    return "windowed" if isinstance(samples, ShardSamples) and len(samples) > MOST_IN_FULL_ORDER else "full"


def order_of(config: TrainConfig, num_samples: int) -> Order:
    """What `config.order` says, which is no longer "auto"."""
    if config.order == "windowed":
        return WindowedOrder(num_samples, config.seed, config.window, config.lanes)
    return FullOrder(num_samples, config.seed)
