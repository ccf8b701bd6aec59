"""The batches that a run learns from."""

from collections.abc import Iterator

from torch import Tensor

from fullconv.data.cache import open_cache
from fullconv.data.loading import TrainingSet, training_loader
from fullconv.data.transforms import TrainTransform
from fullconv.training.order import order_of
from fullconv.training.run import Run


def batches(run: Run, start: int, stop: int) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """This process's part of the batches of the steps from `start` to before `stop`, the same whenever they are asked for.

    Yields:
        pictures (N, C, h, w) uint8; labels (N, h, w) uint8, or with T heads (N, T, h, w); (N,) which of `run.train_samples`.
    """
    config = run.config
    transform = TrainTransform(
        crop_hw=config.crop or (0, 0), scale=config.scale, flip=config.flip,
        brightness=config.jitter, contrast=config.jitter, saturation=config.jitter, hue=config.jitter / 10,
    )  # fmt: skip
    samples, labels, heads = run.train_samples, run.dataset.labels, run.dataset.heads
    cache = open_cache(config.cache, samples, labels, heads) if config.cache else None
    dataset = TrainingSet(samples, labels, transform, config.seed, heads, cache)
    return training_loader(
        dataset,
        config.batch_size,
        start,
        stop,
        config.workers,
        run.world.rank,
        run.world.size,
        pinned=run.device.type == "cuda",
        order=order_of(config, len(run.train_samples)),
        varied_on=run.device if config.augmentation == "device" else None,
    )
