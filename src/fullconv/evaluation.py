"""Labelling whole pictures at their native size, and measuring it."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any, Literal

import numpy as np
import torch
from PIL import Image
from torch import nn

from fullconv.data.samples import Sample, read_heads, read_sample
from fullconv.devices import Precision, autocast, precision_for
from fullconv.drawing import percent, readable, sample_grid
from fullconv.labels import Head, LabelSet
from fullconv.lookahead import ahead, pool
from fullconv.metrics import CONFIDENCE_STEP, Confusion, Scores
from fullconv.models.scoring import score_maps_of
from fullconv.ops.score_map import ScoreMap
from fullconv.preprocessing import Preprocessing

NUM_SHOWN = 6

NUM_EXTREME = 3
"""Pictures that are kept of the best, and as many of the worst."""

Refine = Literal["none", "crf"]
Shown = tuple[np.ndarray, np.ndarray, np.ndarray]
"""A picture, its predicted label map, and its truth."""

READERS = max(1, min(4, (os.cpu_count() or 1) // 2))
"""Threads that read; decoding leaves Python's lock."""


@dataclass(frozen=True)
class Labelled:
    """A picture and what the network says of it.

    Attributes:
        picture: (H, W, C) uint8, RGB first.
        truths: (1 + heads, H, W) uint8, of all heads.
        label_maps: (H, W) each, of `Evaluation.measured`.
        confidences: of the same, float32 at every `CONFIDENCE_STEP`-th row and column.
    """

    picture: np.ndarray
    truths: np.ndarray
    label_maps: list[np.ndarray]
    confidences: list[np.ndarray]


@dataclass(frozen=True)
class Judged:
    """A sample, and how well its picture was labelled.

    Attributes:
        name: the sample's.
        mean_iou: of this picture alone, 0..1; over the classes that are in its truth or its prediction.
        shown: of the first head.
    """

    name: str
    mean_iou: float
    shown: Shown


@dataclass
class HeadScores:
    """What was measured of one labelling.

    Attributes:
        head: its name and classes.
        scores: of the predictions; where refinement was asked for, of the refined ones.
        unrefined: the same without the refinement; None where none was asked for.
    """

    head: Head
    scores: Scores
    unrefined: Scores | None = None

    def summary(self, num_images: int, split: str) -> dict[str, Any]:
        return self.scores.summary(self.head.labels.names, num_images, split)


@dataclass
class Evaluation:
    """What `evaluate` measured.

    Attributes:
        heads: the data set's labelling, and behind it the further heads.
        shown: a few of the samples (see `shown_indices`), of the first head.
        num_images: the samples that were measured.
        refine_seconds: what the refinement took, in all.
        ranking: the samples of the highest and of the lowest mean IU, three each at most, best first.
    """

    heads: list[HeadScores]
    shown: list[Shown] = field(default_factory=list)
    num_images: int = 0
    refine_seconds: float = 0.0
    ranking: list[Judged] = field(default_factory=list)

    @property
    def best(self) -> list[Judged]:
        """At most three, best first; of two samples one is among the best and one among the worst."""
        return self.ranking[: -(-len(self.ranking) // 2)]

    @property
    def worst(self) -> list[Judged]:
        """At most three, worst first; none of them is among the best."""
        return self.ranking[len(self.best) :][::-1]

    @property
    def scores(self) -> Scores:
        """Of the first head."""
        return self.heads[0].scores

    @property
    def measured(self) -> list[Scores]:
        """Of all heads; where refinement was asked for, of the refined label maps, then of the unrefined ones."""
        unrefined = [each.unrefined for each in self.heads if each.unrefined is not None]
        return [each.scores for each in self.heads] + unrefined

    def count(self, labelled: Labelled) -> tuple[Shown, float | None]:
        """Adds a picture to all figures; returns what was counted for the first head, and the picture's own mean IU."""
        before = self.scores.confusion.matrix.clone()
        for scores, label_map, truth, confidence in zip(
            self.measured, labelled.label_maps, cycle(labelled.truths), labelled.confidences, strict=False
        ):
            scores.update(label_map, truth, confidence)
        self.num_images += 1
        own = Confusion.from_matrix(self.scores.confusion.matrix - before)
        return (labelled.picture, labelled.label_maps[0], labelled.truths[0]), own.mean_iou

    def rank(self, judged: Judged) -> None:
        """Keeps the sample if it is one of the best or one of the worst so far; of equal ones the earlier goes first."""
        self.ranking = sorted([*self.ranking, judged], key=lambda each: -each.mean_iou)
        del self.ranking[NUM_EXTREME:-NUM_EXTREME]

    def extremes(self) -> dict[str, Any]:
        """The names and figures of the `best` and the `worst` samples."""
        return {
            key: [{"name": each.name, "mean_iou": each.mean_iou} for each in judged]
            for key, judged in (("best", self.best), ("worst", self.worst))
        }

    def grids(self) -> dict[str, Image.Image]:
        """Drawings of pictures, predictions, truths and errors: `samples`, `best` and `worst`, where there are such."""
        drawn = {"samples": grid_of(self.shown, self.heads[0].head.labels)} if self.shown else {}
        for key, judged in (("best", self.best), ("worst", self.worst)):
            if judged:
                captions = [
                    f"IU {percent(each.mean_iou)}  {readable(each.name, f'picture {index}')}"
                    for index, each in enumerate(judged, start=1)
                ]
                drawn[key] = grid_of([each.shown for each in judged], self.heads[0].head.labels, captions)
        return drawn

    def summary(self, split: str) -> dict[str, Any]:
        """The figures of `Scores.summary`, and where there are such: `heads` by name, and the `refinement`.

        `refinement` holds the `unrefined` mean_iou, boundary_iou and boundary_f, and `seconds_per_image`.
        """
        first, *further = self.heads
        figures = first.summary(self.num_images, split)
        if further:
            figures["heads"] = {each.head.name: each.summary(self.num_images, split) for each in further}
        if first.unrefined is not None:
            before = first.unrefined.summary(first.head.labels.names, self.num_images, split)
            figures["refinement"] = {
                "unrefined": {name: before[name] for name in ("mean_iou", "boundary_iou", "boundary_f")},
                "seconds_per_image": self.refine_seconds / max(1, self.num_images),
            }
        return figures


def grid_of(shown: Sequence[Shown], labels: LabelSet, captions: Sequence[str] | None = None) -> Image.Image:
    pictures, predictions, truths = zip(*shown, strict=True)
    return sample_grid(pictures, predictions, truths, labels, captions)


def picture_score_map(
    model: nn.Module,
    picture: np.ndarray,
    preprocessing: Preprocessing,
    device: torch.device,
    precision: Precision,
) -> ScoreMap:
    """The scores of one picture.

    Args:
        model: in eval mode, on `device`.
        picture: (H, W, C) uint8, RGB first, any size.

    Returns:
        A map of K classes on `device`.
    """
    pictures = preprocessing.of_picture(picture, device)
    with torch.inference_mode(), autocast(device, precision_for(pictures.shape[-1], device, precision)):
        return score_maps_of(model, pictures)[0]


def shown_indices(num_samples: int) -> list[int]:
    """Which samples people get to see: six, evenly spread, the first and the last among them; all where there are fewer.

    >>> shown_indices(101), shown_indices(3), shown_indices(0)
    ([0, 20, 40, 60, 80, 100], [0, 1, 2], [])
    """
    if num_samples <= NUM_SHOWN:
        return list(range(num_samples))
    return [round(i * (num_samples - 1) / (NUM_SHOWN - 1)) for i in range(NUM_SHOWN)]


def evaluate(
    model: nn.Module,
    samples: Sequence[Sample],
    labels: LabelSet,
    preprocessing: Preprocessing,
    device: torch.device,
    precision: Precision,
    seen: Callable[[int, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    heads: Sequence[Head] = (),
    refine: Refine = "none",
    ids: np.ndarray | None = None,
) -> Evaluation:
    """Predicts every sample at its native size and counts, over the whole split, what was taken for what.

    While the network is at one picture, another thread reads the next ones and counts those before.

    Args:
        model: put in eval mode; left in the mode it was in. Its logits are those of `labels`, then of each head.
        samples: pictures with masks.
        labels: the classes of `Sample.mask`.
        seen: called after each sample with (index, picture, predicted label map, truth), of the first head.
        heads: the further labellings, in the order of `Sample.head_masks`.
        refine: "crf" lets a dense CRF refine the logits; measured with and without in one pass.
        ids: (K,) uint8 what each of the model's classes is called in `labels`, where it knows fewer or in another order; for
            models of one head.

    Raises:
        PictureError, DataError: a file that cannot be used, named.
    """
    was_training = model.training
    model.eval()
    try:
        return measure(
            lambda picture: picture_score_map(model, picture, preprocessing, device, precision),
            samples,
            labels,
            getattr(model, "stride", None),
            seen,
            heads,
            refine,
            ids,
        )
    finally:
        model.train(was_training)


def measure(
    score_map_of: Callable[[np.ndarray], ScoreMap],
    samples: Sequence[Sample],
    labels: LabelSet,
    stride: int | None = None,
    seen: Callable[[int, np.ndarray, np.ndarray, np.ndarray], None] | None = None,
    heads: Sequence[Head] = (),
    refine: Refine = "none",
    ids: np.ndarray | None = None,
) -> Evaluation:
    """As `evaluate`, of whatever gives pictures scores.

    Args:
        score_map_of: (H, W, C) uint8, RGB first, to the scores of `labels`, then of each head.
        stride: the network's, whose ceiling is stated beside the figures.
        samples, labels, seen, heads, refine, ids: see `evaluate`.
    """
    evaluation = nothing_measured((Head("", labels), *heads), stride, refine)

    def labelled(read: tuple[np.ndarray, np.ndarray]) -> Labelled:
        picture, truths = read
        return labelled_by(evaluation, picture, truths, score_map_of(picture), ids)

    with pool(READERS) as reading, pool(1) as counting:
        read = ahead(reading, lambda sample: read_truths(sample, labels, heads), samples, most=READERS + 1)
        counted = ahead(counting, evaluation.count, map(labelled, read), most=2)
        shown = set(shown_indices(len(samples)))
        for index, (what, mean_iou) in enumerate(counted):
            if index in shown:
                evaluation.shown.append(what)
            if mean_iou is not None:
                evaluation.rank(Judged(samples[index].name, mean_iou, what))
            if seen is not None:
                seen(index, *what)
    return evaluation


def nothing_measured(heads: Sequence[Head], stride: int | None, refine: Refine) -> Evaluation:
    scores = [Scores(head.labels.num_classes, stride) for head in heads]
    if refine == "none":
        return Evaluation([HeadScores(head, each) for head, each in zip(heads, scores, strict=True)])
    unrefined = [Scores(head.labels.num_classes, stride) for head in heads]
    return Evaluation([HeadScores(*each) for each in zip(heads, scores, unrefined, strict=True)])


def read_truths(sample: Sample, labels: LabelSet, heads: Sequence[Head]) -> tuple[np.ndarray, np.ndarray]:
    """The picture (H, W, C) uint8 and (1 + heads, H, W) uint8 label maps; a data set may have more heads than these."""
    if heads:
        return read_heads(sample, labels, heads)
    picture, truth = read_sample(sample, labels)
    return picture, truth[None]


def labelled_by(
    evaluation: Evaluation,
    picture: np.ndarray,
    truths: np.ndarray,
    score_map: ScoreMap,
    ids: np.ndarray | None,
) -> Labelled:
    """The label maps and confidences of a picture (H, W, C) uint8, RGB first.

    Args:
        truths: (1 + heads, H, W) uint8, of all heads.
        score_map: of the sum of the heads' K, one head after the other.
        ids: see `evaluate`.
    """
    sizes = [each.head.labels.num_classes for each in evaluation.heads]
    parts = score_map.split(sizes) if len(sizes) > 1 else [score_map]
    if evaluation.heads[0].unrefined is not None:
        began = time.monotonic()
        refined = [crf_refined(part, picture) for part in parts]
        evaluation.refine_seconds += time.monotonic() - began
        parts = refined + parts
    label_maps = [part.labels().cpu().numpy() for part in parts]
    return Labelled(
        picture,
        truths,
        label_maps if ids is None else [ids[label_map] for label_map in label_maps],
        [part.thinned(CONFIDENCE_STEP).confidence().cpu().numpy() for part in parts],
    )


def crf_refined(score_map: ScoreMap, picture: np.ndarray) -> ScoreMap:
    """The scores after a dense CRF that looks at the red, green and blue of `picture` (H, W, C) uint8."""
    from fullconv.ops.crf import dense_crf

    rgb = torch.from_numpy(np.ascontiguousarray(picture[..., :3])).permute(2, 0, 1)  # (3, H, W)
    logits = score_map.logits()
    return ScoreMap.of_pixels(dense_crf(logits, rgb.to(logits.device)))
