"""In which order a run visits its samples."""

from collections.abc import Sequence
from typing import Literal

from fullconv.data.order import FullOrder, Order, WindowedOrder
from fullconv.data.samples import Sample
from fullconv.data.shards.samples import ShardSamples
from fullconv.errors import ConfigError
from fullconv.training.config import TrainConfig

MOST_IN_FULL_ORDER = 1_000_000
"""Of shards with more samples, `auto` visits them in windows."""


def picked_order(config: TrainConfig, samples: Sequence[Sample]) -> Literal["full", "windowed"]:
    """The option `order`, where it is "auto" the one that suits the samples.

    Raises:
        ConfigError: an order was asked for that only shards can have.
    """
    in_shards = isinstance(samples, ShardSamples)
    if config.order == "windowed" and not in_shards:
        raise ConfigError(
            f"order=windowed is for tar shards, and {config.data} holds single files; leave it away, or pack them with "
            "'fullconv data convert SRC DST --to webdataset'"
        )
    if config.order != "auto":
        return config.order
    return "windowed" if in_shards and len(samples) > MOST_IN_FULL_ORDER else "full"


def order_of(config: TrainConfig, samples: Sequence[Sample]) -> Order:
    """What `config.order` says, which is no longer "auto"."""
    if config.order == "windowed" and isinstance(samples, ShardSamples):
        sizes = [shard.num_samples for shard in samples.shards]
        return WindowedOrder(sizes, config.seed, config.window, config.lanes)
    return FullOrder(len(samples), config.seed)
