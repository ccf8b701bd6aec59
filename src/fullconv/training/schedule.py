"""The learning rate as a function of the step alone."""

import math

from fullconv.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, num_steps: int) -> float:
    """The learning rate of step `step` of `num_steps`, counted from 0.

    All schedules rise linearly over the first `warmup` share of the run. Then "poly" falls as (1 - t)^0.9 (Liu, Rabinovich
    & Berg, ParseNet 2015), "one-cycle" as half a cosine (Smith & Topin 2018), "constant" stays.
    """
    warmup_steps = config.warmup * num_steps
    if step + 1 < warmup_steps:
        return config.lr * (step + 1) / warmup_steps
    if config.schedule == "constant":
        return config.lr
    done = (step + 1 - warmup_steps) / max(1.0, num_steps - warmup_steps + 1)
    if config.schedule == "poly":
        return config.lr * (1 - done) ** 0.9
    return config.lr * (1 + math.cos(math.pi * done)) / 2
