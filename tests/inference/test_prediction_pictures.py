"""The pictures a prediction draws of itself."""

import numpy as np
import pytest
import torch

from fullconv.drawing import before_after, confidence_picture, entropy_picture
from fullconv.inference.segmenter import Prediction
from fullconv.labels import LabelSet
from fullconv.ops.score_map import ScoreMap


def prediction_of(num_classes: int) -> Prediction:
    rng = np.random.default_rng(num_classes)
    picture = rng.integers(0, 256, (24, 36, 3), np.uint8)
    logits = torch.from_numpy(rng.normal(0, 2, (num_classes, 24, 36)).astype(np.float32))
    labels = LabelSet.from_names([f"class {i}" for i in range(num_classes)])
    return Prediction(picture, ScoreMap.of_pixels(logits), labels)


@pytest.mark.parametrize("num_classes", [1, 2, 21])
@pytest.mark.parametrize("legend", [True, False])
def test_pictures_show_the_predictions_own_values(num_classes: int, legend: bool) -> None:
    prediction = prediction_of(num_classes)
    picture, logits = prediction.picture, prediction.logits.double().numpy()
    scores = np.exp(logits) / np.exp(logits).sum(0)
    low = {1: 0, 2: 1 / 2, 21: 1 / 21}[num_classes]
    entropy = -(scores * np.log(scores)).sum(0) / np.log(max(2, num_classes))
    for drawn, wanted in (
        (
            prediction.confidence_picture(legend=legend),
            confidence_picture(picture, scores.max(0), low=low, legend=legend),
        ),
        (prediction.entropy_picture(legend=legend), entropy_picture(picture, entropy, legend=legend)),
        (
            prediction.before_after(opacity=0.4, legend=legend),
            before_after(picture, scores.argmax(0), prediction.labels, opacity=0.4, legend=legend),
        ),
    ):
        assert drawn.mode == "RGB"
        assert drawn.size == wanted.size
        assert (
            np.abs(np.asarray(drawn).astype(int) - np.asarray(wanted)).max() <= 2
        )  # float32 rounds otherwise
    if not legend:
        assert prediction.confidence_picture(legend=False).size == (36, 24)
