"""Masks that a trained model contradicts with confidence: one of the two is wrong there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place, finding
from fullconv.data.samples import read_parts
from fullconv.errors import InputError
from fullconv.inference.segmenter import Segmenter
from fullconv.labels import IGNORE_INDEX, LabelSet

CONFIDENT = 0.9
"""A class of at least this softmax score was said with confidence."""

LEAST = 0.01
"""Pictures in which a smaller part of the labelled pixels is contradicted are not worth a look."""


@dataclass(frozen=True)
class Disagreement:
    """What a model says against a mask.

    Attributes:
        index: of the sample.
        share: the part of its labelled pixels that is contradicted with confidence.
        truth, predicted: the pair of ids that makes most of them.
        of_pair: that pair's part of the labelled pixels.
    """

    index: int
    share: float
    truth: int
    predicted: int
    of_pair: float


def disagreements(
    segmenter: Segmenter,
    examined: Sequence[Examined],
    labels: LabelSet,
    ids: np.ndarray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Disagreement]:
    """Labels every sound sample and compares.

    Args:
        segmenter: the model.
        examined: samples; those with faults are left out.
        labels: the data set's classes.
        ids: (K,) uint8 the data set's id of each of the model's classes, where they are others.
        progress: called with (done, total) after each sample.

    Returns:
        Those of at least `LEAST`, the worst first.
    """
    found = []
    for index, each in enumerate(examined):
        if not each.faults and (one := _one(segmenter, index, each, labels, ids)) and one.share >= LEAST:
            found.append(one)
        if progress:
            progress(index + 1, len(examined))
    return sorted(found, key=lambda one: -one.share)


def contradicted(
    segmenter: Segmenter, each: Examined, labels: LabelSet, ids: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """What a model says of a sample.

    Returns:
        truth: (H, W) uint8, the mask.
        predicted: (H, W) uint8, in the data set's ids.
        against: (H, W) bool, where it contradicts the mask with confidence.
        Or None where the sample cannot be read any more.
    """
    faults: list[InputError] = []
    parts = read_parts(each.sample, labels, report=faults.append)
    truth = parts.label_maps[0]
    if faults or parts.picture is None or truth is None:
        return None
    prediction = segmenter.predict(parts.picture, parts.extra)
    predicted = prediction.label_map if ids is None else ids[prediction.label_map]
    sure = prediction.confidence() >= CONFIDENT
    return truth, predicted, (truth != IGNORE_INDEX) & (predicted != truth) & sure


def _one(
    segmenter: Segmenter, index: int, each: Examined, labels: LabelSet, ids: np.ndarray | None
) -> Disagreement | None:
    said = contradicted(segmenter, each, labels, ids)
    if said is None:
        return None
    truth, predicted, against = said
    labelled = int((truth != IGNORE_INDEX).sum())
    if not against.any():
        return None
    pairs = np.bincount(truth[against].astype(np.int64) * 256 + predicted[against], minlength=1)
    most = int(pairs.argmax())
    return Disagreement(
        index, float(against.sum() / labelled), *divmod(most, 256), float(pairs[most] / labelled)
    )


def disagreement_findings(
    found: Sequence[Disagreement], examined: Sequence[Examined], labels: LabelSet
) -> list[Finding]:
    """A finding with all of them, the worst first; none where there are none."""
    places = [
        Place(
            str(examined[one.index].sample.mask),
            f"{one.share:.1%} contradicted, most of it {labels.names[one.truth]} taken for "
            f"{labels.names[one.predicted]} ({one.of_pair:.1%})",
        )
        for one in found
    ]
    detail = f"{len(places)} of {len(examined)}, at least {LEAST:.0%} of the pixels with a score of {CONFIDENT} or more"
    return [finding("model-disagrees", places, detail=detail)] if places else []
