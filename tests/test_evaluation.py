"""Whole pictures against a network whose answer is known."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.data.samples import Sample
from fullconv.errors import DataError
from fullconv.evaluation import evaluate, label_map_of, picture_logits
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

PLAIN = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
CPU = torch.device("cpu")


class Brightest(nn.Module):
    """Scores are the colours themselves: red is class 0, green 1, blue 2."""

    def forward(self, pictures):
        return pictures


@pytest.fixture
def samples(tmp_path):
    chance = np.random.default_rng(0)
    made = []
    for index, size in enumerate([(7, 5), (1, 1), (12, 9)]):
        truth = chance.integers(0, 3, size).astype(np.uint8)
        picture = np.zeros((*size, 3), np.uint8)
        np.put_along_axis(picture, truth[..., None].astype(np.int64), 200, axis=2)
        mask = truth.copy()
        mask[0, 0] = 255
        Image.fromarray(picture).save(tmp_path / f"{index}.png")
        Image.fromarray(mask).save(tmp_path / f"{index}_mask.png")
        made.append(Sample(str(index), tmp_path / f"{index}.png", tmp_path / f"{index}_mask.png"))
    return made


LABELS = LabelSet.from_names(["red", "green", "blue"])


def test_a_perfect_network_is_perfect_and_void_does_not_count(samples):
    seen = []
    model = Brightest().train()
    confusion = evaluate(
        model, samples, LABELS, PLAIN, CPU, "fp32", lambda index, picture, labels, truth: seen.append((index, labels.shape))
    )  # fmt: skip
    assert confusion.mean_iou == confusion.pixel_accuracy == 1
    assert int(confusion.matrix.sum()) == 7 * 5 + 12 * 9 + 1 - 3
    assert seen == [(0, (7, 5)), (1, (1, 1)), (2, (12, 9))]
    assert model.training


def test_a_fault_is_named_and_the_mode_restored(samples):
    samples[1].mask.unlink()
    model = Brightest().train()
    with pytest.raises((DataError, ValueError), match="1_mask"):
        evaluate(model, samples, LABELS, PLAIN, CPU, "fp32")
    assert model.training


def test_logits_are_float32_and_ties_go_to_the_first_class():
    picture = np.full((4, 3, 3), 255, np.uint8)
    logits = picture_logits(Brightest(), picture, PLAIN, CPU, "bf16")
    assert (logits.shape, logits.dtype) == ((3, 4, 3), torch.float32)
    torch.testing.assert_close(logits, torch.ones(3, 4, 3))
    assert (label_map_of(torch.ones(3, 4, 3)) == 0).all()


@pytest.mark.parametrize(
    ("classes", "dtype"), [(2, np.uint8), (255, np.uint8), (256, np.uint16), (300, np.uint16)]
)
def test_ids_fit_their_type(classes, dtype):
    logits = torch.zeros(classes, 1, 2)
    logits[classes - 1] = 1
    label_map = label_map_of(logits)
    assert label_map.dtype == dtype
    assert (label_map == classes - 1).all()
