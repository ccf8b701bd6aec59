"""The average of weights: its definition, and that a run is judged, saved and resumed by it."""

import torch
from torch import nn

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.training.average import WeightAverage
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.state import STATE


def test_it_is_the_sum_of_the_definition():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    average, want = WeightAverage(model, 0.5), model[0].weight.detach().clone()
    for step in range(30):
        model(torch.randn(2, 1, 4, 4))
        with torch.no_grad():
            model[0].weight += 0.1
        average.update(model, step)
        decay = min(0.5, (1 + step) / (10 + step))
        want = decay * want + (1 - decay) * model[0].weight.detach()
    torch.testing.assert_close(average.model[0].weight, want)
    assert average.model[1].num_batches_tracked == 30
    assert not average.model.training
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_the_average_is_judged_saved_and_resumed(tmp_path):
    data = write_scenes(tmp_path / "data", num_train=4, num_val=2, size_hw=(64, 64))
    options = {
        "data": data, "model": "fcn32s", "backbone": "test_resnet", "backbone_weights": "none", "epochs": 3, "batch_size": 2,
        "crop": (64, 64), "workers": 0, "ema": 0.9, "hidden_channels": 8, "loss": "ohem", "region_loss": "dice",
    }  # fmt: skip
    whole = list(train(TrainConfig(out=tmp_path / "whole", **options)))
    events = train(TrainConfig(out=tmp_path / "broken", **options))
    while next(events)["kind"] != "epoch":
        pass
    events.close()
    rest = list(train(TrainConfig(out=tmp_path / "broken", **options), resume=True))
    state = f"checkpoints/{STATE}"
    assert (tmp_path / "broken" / state).stat().st_size == (tmp_path / "whole" / state).stat().st_size
    assert [e["val"] for e in rest if e["kind"] == "epoch"] == [
        e["val"] for e in whole if e["kind"] == "epoch"
    ][1:]
    saved = load_bundle(tmp_path / "whole" / "checkpoints" / "last")
    again = load_bundle(tmp_path / "broken" / "checkpoints" / "last")
    for name, tensor in saved.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert saved.manifest.architecture.hidden_channels == 8
