"""TensorBoard events, read back."""

import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from fullconv.training.board import Board


def test_events_hold_the_figures_of_the_log(tmp_path):
    (tmp_path / "samples").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "samples" / "epoch_0001.jpg")
    figures = {"mean_iou": 0.5, "pixel_accuracy": 0.75, "mean_accuracy": None, "frequency_weighted_iou": 0.25}
    figures |= {"boundary_iou": 0.25, "boundary_f": 0.75}
    with Board(tmp_path) as board:
        board.show({"kind": "step", "step": 3, "loss": 1.5, "lr": 0.01, "images_per_second": 9.0})
        board.show({"kind": "epoch", "step": 4, "epoch": 1, "val": figures})
        board.show({"kind": "epoch", "step": 8, "epoch": 2, "val": None})
    read = EventAccumulator(str(tmp_path))
    read.Reload()
    assert [(event.step, event.value) for event in read.Scalars("train/loss")] == [(3, 1.5)]
    assert [(event.step, event.value) for event in read.Scalars("val/mean_iou")] == [(4, 0.5)]
    assert read.Scalars("val/boundary_f")[0].value == 0.75
    assert "val/mean_accuracy" not in read.Tags()["scalars"]
    assert read.Images("val/samples")[0].width == 8
    assert read.Scalars("train/lr")[0].value == pytest.approx(0.01)
