"""What a training says as it goes."""

from fullconv.cli.console import TrainingDisplay


def epoch(val: dict | None) -> dict:
    return {"kind": "epoch", "epoch": 3, "step": 30, "train_loss": 0.5, "val": val, "best": True}


def test_the_ceiling_stands_beside_the_score(capsys):
    display = TrainingDisplay()
    display.num_steps = 30
    val = {"mean_iou": 0.582, "pixel_accuracy": 0.9, "stride": 8, "stride_ceiling": {"16": 0.928, "8": 0.971}}
    display.show(epoch(val))
    display.show(epoch(val | {"stride": None}))
    display.show(epoch(None))
    first, second, third = capsys.readouterr().err.splitlines()
    assert first.startswith("epoch 3  loss 0.500  mean IU 58.2 (ceiling 97.1)  pixel accuracy 90.0  ")
    assert second.startswith("epoch 3  loss 0.500  mean IU 58.2  pixel accuracy 90.0  ")
    assert third == "epoch 3  loss 0.500  0 s left  best so far"
