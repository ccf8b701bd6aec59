"""Whole pictures against a network whose answer is known."""

import sys
import threading
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fullconv.data.samples import Sample, read_sample
from fullconv.errors import PictureError
from fullconv.evaluation import Evaluation, Judged, evaluate, picture_score_map, shown_indices
from fullconv.labels import Head, LabelSet
from fullconv.metrics import CONFIDENCE_STEP, Confusion, Scores
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
    evaluation = evaluate(
        model, samples, LABELS, PLAIN, CPU, "fp32", lambda index, picture, labels, truth: seen.append((index, labels.shape))
    )  # fmt: skip
    confusion = evaluation.scores.confusion
    assert confusion.mean_iou == confusion.pixel_accuracy == evaluation.scores.boundary_f.mean_f == 1
    assert int(confusion.matrix.sum()) == 7 * 5 + 12 * 9 + 1 - 3
    assert seen == [(0, (7, 5)), (1, (1, 1)), (2, (12, 9))]
    assert model.training


def test_the_summary_has_the_printed_names(samples):
    evaluation = evaluate(Brightest(), samples, LABELS, PLAIN, CPU, "fp32")
    figures = evaluation.summary("val")
    assert figures == evaluation.scores.summary(LABELS.names, 3, "val")
    assert sum(each["pixels"] for each in figures["calibration"]["bins"]) == 2 * 1 + 3 * 2 - 2
    assert (figures["num_images"], figures["split"], figures["stride"]) == (3, "val", None)
    assert set(figures["stride_ceiling"]) == {"32", "16", "8", "4"}


def test_the_networks_stride_is_told(samples):
    model = Brightest()
    model.stride = 16
    assert evaluate(model, samples, LABELS, PLAIN, CPU, "fp32").summary("val")["stride"] == 16


@pytest.mark.parametrize("number", [1, 2, 3, 5, 6, 7, 11, 12, 101, 1449])
def test_six_samples_are_shown_evenly_spread(number):
    indices = shown_indices(number)
    assert len(indices) == len(set(indices)) == min(6, number)
    assert (indices[0], indices[-1]) == (0, number - 1)
    steps = np.diff(indices)
    assert steps.size == 0 or steps.max() - steps.min() <= 1


def test_the_shown_samples_are_kept_as_they_were_predicted(samples):
    evaluation = evaluate(Brightest(), samples, LABELS, PLAIN, CPU, "fp32")
    assert [truth.shape for _, _, truth in evaluation.shown] == [(7, 5), (1, 1), (12, 9)]
    for picture, label_map, truth in evaluation.shown:
        assert (picture.argmax(axis=2) == label_map).all()
        assert ((truth == label_map) | (truth == 255)).all()


class Sure(nn.Module):
    """Is everywhere sure of red, as sure as the logits 2, 0, 0 make it."""

    def forward(self, pictures):
        return torch.tensor([2.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(len(pictures), 3, *pictures.shape[2:])


def test_confidence_is_held_against_what_is_right(samples):
    calibration = evaluate(Sure(), samples, LABELS, PLAIN, CPU, "fp32").summary("val")["calibration"]
    truths = [read_sample(sample, LABELS)[1][::5, ::5] for sample in samples]
    right, valid = (
        sum(int(test(truth).sum()) for truth in truths) for test in (lambda t: t == 0, lambda t: t != 255)
    )
    sure = np.e**2 / (np.e**2 + 2)
    assert calibration["confidence"] == pytest.approx(sure, abs=1e-6)
    assert calibration["accuracy"] == right / valid
    assert calibration["ece"] == pytest.approx(abs(sure - right / valid), abs=1e-6)


def test_the_best_and_the_worst_are_kept_and_none_is_both(samples):
    evaluation = evaluate(Reddest(), samples, LABELS, PLAIN, CPU, "fp32")
    told = {}
    for sample in samples:
        alone = evaluate(Reddest(), [sample], LABELS, PLAIN, CPU, "fp32")
        told[sample.name] = alone.scores.confusion.mean_iou
        assert alone.extremes() == (
            {"best": [{"name": sample.name, "mean_iou": told[sample.name]}], "worst": []}
            if told[sample.name] is not None
            else {"best": [], "worst": []}  # the picture of one pixel is all void
        )
    assert told.pop("1") is None
    first, second = sorted(told, key=lambda name: -told[name])
    assert [each.name for each in evaluation.best] == [first]
    assert [each.name for each in evaluation.worst] == [second]
    picture, label_map, truth = evaluation.best[0].shown
    assert picture.shape[:2] == label_map.shape == truth.shape
    own = Confusion(3)
    own.update(label_map, truth)
    assert own.mean_iou == evaluation.best[0].mean_iou


def test_grids_are_drawn_of_what_there_is(samples):
    def odd(name):
        return [replace(each, name=name) for each in samples]

    evaluation = evaluate(Reddest(), odd("街道\n<b>") + odd("very long " * 20), LABELS, PLAIN, CPU, "fp32")
    grids = evaluation.grids()
    assert list(grids) == ["samples", "best", "worst"]
    assert grids["best"].width < grids["samples"].width
    assert list(evaluate(Reddest(), samples[1:2], LABELS, PLAIN, CPU, "fp32").grids()) == ["samples"]
    assert evaluate(Reddest(), [], LABELS, PLAIN, CPU, "fp32").grids() == {}


@pytest.mark.parametrize("number", [0, 1, 2, 5, 6, 7, 40])
def test_at_most_three_of_each_are_kept(number):
    values = [index * 7 % 40 // 2 / 20 for index in range(number)]
    evaluation = Evaluation([])
    for index, value in enumerate(values):
        evaluation.rank(Judged(str(index), value, (np.zeros(1), np.zeros(1), np.zeros(1))))
        assert len(evaluation.ranking) <= 6
    order = sorted(range(number), key=lambda index: -values[index])  # of equal ones the earlier first
    kept = [int(each.name) for each in evaluation.best + evaluation.worst[::-1]]
    assert kept == (order if number <= 6 else order[:3] + order[-3:])
    assert len(evaluation.best) - len(evaluation.worst) in (0, 1)


class TwoHeaded(nn.Module):
    """The colours, and behind them two classes of which the second is everywhere."""

    def forward(self, pictures):
        flat = torch.zeros_like(pictures[:, :2])
        return torch.cat([pictures, flat + torch.tensor([0.0, 1.0]).view(1, 2, 1, 1)], dim=1)


def test_each_head_has_figures_of_its_own(samples):
    geometric = Head("geometric", LabelSet.from_names(["level", "upright"]))
    for sample in samples:
        with Image.open(sample.mask) as mask:
            ids = np.asarray(mask)
        Image.fromarray((ids % 2).astype(np.uint8)).save(
            sample.mask.with_name(f"{sample.name}_geometric.png")
        )
    two = [
        replace(sample, head_masks=(sample.mask.with_name(f"{sample.name}_geometric.png"),))
        for sample in samples
    ]
    evaluation = evaluate(TwoHeaded(), two, LABELS, PLAIN, CPU, "fp32", heads=[geometric])
    figures = evaluation.summary("val")
    assert figures["mean_iou"] == 1
    assert list(figures["heads"]) == ["geometric"]
    second = figures["heads"]["geometric"]
    assert set(second) == set(figures) - {"heads"}
    assert list(second["per_class"]) == ["level", "upright"]
    upright = second["per_class"]["upright"]["pixels"]
    assert second["pixel_accuracy"] == upright / (7 * 5 + 12 * 9 + 1)
    # A network of one head goes with the same data.
    assert evaluate(Brightest(), two, LABELS, PLAIN, CPU, "fp32").summary("val")["mean_iou"] == 1


def test_refined_and_unrefined_figures_come_from_one_pass(samples, monkeypatch):
    calls = []

    def to_red(logits, picture):
        calls.append((logits.shape, picture.shape, picture.dtype))
        return logits * 0 + torch.tensor([1.0, 0, 0]).view(3, 1, 1)

    stand_in = ModuleType("fullconv.ops.crf")
    stand_in.dense_crf = to_red
    monkeypatch.setitem(sys.modules, "fullconv.ops.crf", stand_in)
    figures = evaluate(Brightest(), samples, LABELS, PLAIN, CPU, "fp32", refine="crf").summary("val")
    assert calls == [((3, h, w), (3, h, w), torch.uint8) for h, w in ((7, 5), (1, 1), (12, 9))]
    assert figures["refinement"]["unrefined"]["mean_iou"] == 1 > figures["mean_iou"]
    assert set(figures["refinement"]["unrefined"]) == {"mean_iou", "boundary_iou", "boundary_f"}
    assert 0 < figures["refinement"]["seconds_per_image"] < 1


class Reddest(nn.Module):
    """Often wrong, and otherwise for each picture."""

    def forward(self, pictures):
        return pictures * torch.tensor([3.0, 1.0, 1.0]).view(1, 3, 1, 1) + pictures.roll(1, dims=3)


def test_what_is_done_side_by_side_counts_and_tells_as_one_picture_after_another(samples):
    many = [samples[index % 3] for index in (0, 2, 1, 1, 0, 2, 2, 0, 1)]
    told, scores, threads = [], Scores(3), threading.active_count()
    evaluation = evaluate(Reddest(), many, LABELS, PLAIN, CPU, "fp32", lambda *each: told.append(each))
    for index, sample in enumerate(many):
        picture, truth = read_sample(sample, LABELS)
        score_map = picture_score_map(Reddest(), picture, PLAIN, CPU, "fp32")
        label_map, confidence = score_map.labels().numpy(), score_map.confidence().numpy()
        scores.update(label_map, truth, confidence[::CONFIDENCE_STEP, ::CONFIDENCE_STEP])
        assert told[index][0] == index
        for array, expected in zip(told[index][1:], (picture, label_map, truth), strict=True):
            assert (array == expected).all()
    assert len(told) == len(many)
    assert evaluation.summary("val") == scores.summary(LABELS.names, len(many), "val")
    assert 0 < evaluation.scores.confusion.mean_iou < 1
    assert threading.active_count() == threads


def test_no_samples_measure_nothing():
    assert evaluate(Brightest(), [], LABELS, PLAIN, CPU, "fp32").summary("val")["mean_iou"] is None


@pytest.mark.parametrize("broken", [0, 1, 2])
def test_a_fault_is_named_and_the_mode_restored(samples, broken):
    samples[broken].mask.unlink()
    model, seen, threads = Brightest().train(), [], threading.active_count()
    with pytest.raises(PictureError, match=f"{broken}_mask.png: no such file"):
        evaluate(model, samples, LABELS, PLAIN, CPU, "fp32", lambda index, *_: seen.append(index))
    assert model.training
    assert seen == list(range(len(seen)))
    assert threading.active_count() == threads


def test_a_caller_may_stop_it(samples):
    def stop(index, picture, label_map, truth):
        raise KeyboardInterrupt

    model, threads = Brightest().train(), threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        evaluate(model, samples * 9, LABELS, PLAIN, CPU, "fp32", stop)
    assert model.training
    assert threading.active_count() == threads


def test_scores_are_float32_and_ties_go_to_the_first_class():
    picture = np.full((4, 3, 3), 255, np.uint8)
    score_map = picture_score_map(Brightest(), picture, PLAIN, CPU, "bf16")
    assert (score_map.scores.shape, score_map.scores.dtype) == ((3, 4, 3), torch.float32)
    torch.testing.assert_close(score_map.logits(), torch.ones(3, 4, 3))
    assert (score_map.labels() == 0).all()
