"""Which learning rate a network bears: a few steps at rates that rise until the loss does.

Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.3.
"""

import math
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fullconv.data.loading import worker_deaths_said
from fullconv.errors import RunError
from fullconv.training.batches import batches
from fullconv.training.config import TrainConfig
from fullconv.training.run import opened
from fullconv.training.runlog import Event
from fullconv.training.step import training_step

LOWEST, HIGHEST, NUM_STEPS = 1e-6, 1.0, 100
MEMORY = 0.9
"""How much of the smoothed loss stays at each step."""

TOO_MUCH = 4
"""The loss has risen when it is so many times its lowest."""


@dataclass(frozen=True)
class RateCurve:
    """The losses that a network had at rising learning rates.

    Attributes:
        rates: in rising order.
        losses: of the batch at each rate.
    """

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smoothed(self) -> list[float]:
        """Of each loss and those before the mean that weighs older ones less.

        >>> RateCurve((1e-3, 1e-2), (2.0, 1.0)).smoothed
        [2.0, 1.4736842105263157]
        """
        total, weight, smooth = 0.0, 0.0, []
        for loss in self.losses:
            total, weight = MEMORY * total + (1 - MEMORY) * loss, MEMORY * weight + (1 - MEMORY)
            smooth.append(total / weight)
        return smooth

    @property
    def suggested(self) -> float:
        """A tenth of the rate at which the smoothed loss is lowest: as high as is safe for a whole run.

        >>> RateCurve((1e-3, 1e-2, 1e-1), (2.0, 1.0, 9.0)).suggested
        0.001
        """
        smooth = self.smoothed
        return self.rates[smooth.index(min(smooth))] / 10

    @property
    def has_risen(self) -> bool:
        smooth = self.smoothed
        return not math.isfinite(self.losses[-1]) or smooth[-1] > TOO_MUCH * min(smooth)


def find_learning_rate(config: TrainConfig, seen: Callable[[Event], None]) -> RateCurve:
    """Trains for up to a hundred steps, from 1e-6 up to 1, and throws the network away; `config.out` is not touched.

    Args:
        config: what would be trained.
        seen: is told the records of `open_run`, and "tick" (step) after each step.

    Raises:
        FullconvError: as `loop.train`.
        RunError: the loss is not finite from the start.
    """
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        run = opened(config.model_copy(update={"out": folder / "run"}), held, seen)
        held.enter_context(worker_deaths_said())
        rates, losses = rising(NUM_STEPS), []
        for step, (pictures, labels, _) in enumerate(batches(run, 0, NUM_STEPS)):
            losses.append(training_step(run, step, pictures, labels, rates[step]))
            curve = RateCurve(tuple(rates[: step + 1]), tuple(losses))
            seen({"kind": "tick", "step": step + 1})
            if curve.has_risen:
                break
        finite = [index for index, loss in enumerate(losses) if math.isfinite(loss)]
        if len(finite) < 2:
            raise RunError(f"the loss is {losses[-1]} at a learning rate of {LOWEST:g}; look at the pictures")
        return RateCurve(tuple(rates[i] for i in finite), tuple(losses[i] for i in finite))


def rising(count: int) -> Sequence[float]:
    """
    >>> [f"{rate:.0e}" for rate in rising(3)]
    ['1e-06', '1e-03', '1e+00']
    """
    return [LOWEST * (HIGHEST / LOWEST) ** (index / (count - 1)) for index in range(count)]
