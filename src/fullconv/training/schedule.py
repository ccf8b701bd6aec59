"""The learning rate as a function of the step alone."""

import math

from fullconv.training.config import TrainConfig


def learning_rate(config: TrainConfig, step: int, num_steps: int) -> float:
    """The learning rate of step `step` of `num_steps`, counted from 0.

    "poly", "cosine" and "constant" rise linearly over the first `warmup` share of the run. Then "poly" falls as (1 - t)^0.9
    (Liu, Rabinovich & Berg, ParseNet 2015), "cosine" as half a cosine (Loshchilov & Hutter 2017), "constant" stays. "one-cycle"
    rises from a 25th as half a cosine over the first three tenths, and falls likewise to a 10,000th of that (Smith & Topin 2018,
    with the numbers of torch's OneCycleLR).
    """
    if config.schedule == "one-cycle":
        return config.lr * one_cycle(step, num_steps)
    warmup_steps = config.warmup * num_steps
    if step + 1 < warmup_steps:
        return config.lr * (step + 1) / warmup_steps
    if config.schedule == "constant":
        return config.lr
    done = (step + 1 - warmup_steps) / max(1.0, num_steps - warmup_steps + 1)
    if config.schedule == "poly":
        return config.lr * (1 - done) ** 0.9
    return config.lr * (1 + math.cos(math.pi * done)) / 2


def one_cycle(step: int, num_steps: int) -> float:
    """The share of the highest rate: 1 at three tenths of the run."""
    low, top, end = 1 / 25, 0.3 * num_steps - 1, 1 / 25 / 1e4
    if step <= top:
        return low + (1 - low) * (1 - math.cos(math.pi * step / max(top, 1e-9))) / 2
    return end + (1 - end) * (1 + math.cos(math.pi * min(1.0, (step - top) / (num_steps - 1 - top)))) / 2
