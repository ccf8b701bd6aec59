"""What to begin with on a data set, and why: starting points to improve on, not findings."""

import shlex
from dataclasses import dataclass
from pathlib import Path

from fullconv.losses import class_weights
from fullconv.metrics.ceiling import STRIDES
from fullconv.model_card import percent
from fullconv.reporting.data_facts import DataFacts

GOOD_CEILING = 0.95
"""The mean IU that a stride should admit: what FCN-8s is bounded by on PASCAL VOC is 0.964 (Long et al. 2015, appendix A)."""

LONGEST_SIDE = 480
USUAL_PIXELS = 8 * 480 * 480
"""Pixels of a step that `fullconv train` takes by itself."""

FEW_TIMES = 20
MOST_SPREAD = 300.0
"""Of factors per class, the largest over the smallest; beyond it, pixels of rare classes, and faults in them, drown the rest."""


@dataclass(frozen=True)
class Advice:
    """One suggestion.

    Attributes:
        what: what it is about: "model", "crop", "batch size", "class weights".
        value: the suggestion.
        reason: in a few words.
        options: what to add to `fullconv train`; () where it does so by itself.
    """

    what: str
    value: str
    reason: str
    options: tuple[str, ...] = ()


def advice_on(facts: DataFacts) -> tuple[Advice, ...]:
    """Model with its stride, crop, batch size and class weights."""
    return (_model(facts), _crop(facts), _batch(facts), _weights(facts))


def train_command(facts: DataFacts, data: Path) -> str:
    """The command that follows the advice."""
    out = f"runs/{Path(facts.name).name or 'first'}"
    options = [option for advice in advice_on(facts) for option in advice.options]
    return shlex.join(["fullconv", "train", str(data), "--out", out, *options])


def crop_of(facts: DataFacts) -> tuple[int, int]:
    """The crop's height and width: what `fullconv train` takes by itself, the median picture up to 480 x 480."""
    height, width = facts.splits[facts.main].median_hw
    return min(LONGEST_SIDE, height), min(LONGEST_SIDE, width)


def batch_of(facts: DataFacts) -> int:
    """Crops in a step: about as many pixels as 8 crops of 480 x 480, and at least eight steps in an epoch."""
    height, width = crop_of(facts)
    wanted = USUAL_PIXELS / (height * width)
    batch = 2
    while batch * 1.5 < wanted and batch < 32:
        batch *= 2
    while batch > 2 and batch * 8 > facts.splits[facts.main].num_pictures:
        batch //= 2
    return batch


def _model(facts: DataFacts) -> Advice:
    ceilings = facts.splits[facts.main].ceilings
    known = {stride: ceiling for stride in STRIDES if (ceiling := ceilings[stride]) is not None}
    good = [stride for stride, ceiling in known.items() if ceiling >= GOOD_CEILING]
    stride = max(good) if good else 4
    if not known:
        return Advice("model", "fcn8s", "no pixel has a class, so that no stride can be chosen")
    reason = f"stride {stride} admits a mean IU of {percent(known[stride])}"
    if stride == 4 and not good:
        reason += f", stride 8 {percent(known[8])}: much is thin or small; larger pictures would help"
    elif stride < 32:
        reason += f", stride {2 * stride} only {percent(known[2 * stride])}"
    return Advice("model", f"fcn{stride}s", reason, ("--model", f"fcn{stride}s"))


def _crop(facts: DataFacts) -> Advice:
    split = facts.splits[facts.main]
    height, width = crop_of(facts)
    value = f"{height}x{width}"
    if (height, width) == split.median_hw:
        reason = "the median picture, height x width"
    else:
        reason = f"the median picture, {split.median_hw[0]}x{split.median_hw[1]}, up to {LONGEST_SIDE} a side"
    return Advice("crop", value, reason, ("--crop", value))


def _batch(facts: DataFacts) -> Advice:
    batch = batch_of(facts)
    height, width = crop_of(facts)
    pictures = facts.splits[facts.main].num_pictures
    reason = (
        f"{batch * height * width / 1e6:.1f} million pixels a step, {-(-pictures // batch):,} steps an epoch"
    )
    return Advice("batch size", str(batch), reason, ("--batch-size", str(batch)))


def _weights(facts: DataFacts) -> Advice:
    """FCN's authors need none on VOC; which scheme there is to try, if rare classes stay unfound.

    Source: Long, Shelhamer & Darrell 2015, section 4.3, "Class balancing".
    """
    pixels = facts.splits[facts.main].pixels_per_class
    times = f"{facts.ratio:,.0f}" if facts.ratio >= 10 else f"{facts.ratio:.1f}"
    if facts.ratio < FEW_TIMES:
        return Advice(
            "class weights", "none", f"the commonest class has {times} times the pixels of the rarest"
        )
    for method in ("median_frequency", "effective_number"):
        factors = [factor for factor in class_weights(pixels, method).tolist() if factor]
        if max(factors) <= MOST_SPREAD * min(factors):
            break
    return Advice(
        "class weights",
        "none",
        f"at first; the commonest class has {times} times the pixels of the rarest: should rare ones stay unfound, try "
        f"--set class_weights={method} (factors {min(factors):.2g} to {max(factors):.2g})",
    )
