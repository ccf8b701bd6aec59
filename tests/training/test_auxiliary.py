"""The auxiliary head: its logits, its share of the loss, its place in the state, its absence from the bundle."""

from contextlib import ExitStack

import pytest
import torch
import torch.nn.functional as F

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError
from fullconv.models.build import build_model
from fullconv.training.auxiliary import WithAuxiliary
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.run import opened
from fullconv.training.step import training_step


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return write_scenes(tmp_path_factory.mktemp("data") / "s", num_train=4, num_val=1, size_hw=(64, 72))


def config(scenes, out, **options):
    return TrainConfig(
        data=scenes, out=out, model="fcn8s", backbone="test_resnet", backbone_weights="none", epochs=2, batch_size=2,
        crop=(64, 64), workers=0, device="cpu", precision="fp32", auxiliary=0.4, **options,
    )  # fmt: skip


def test_logits_are_those_of_stride_16_where_its_cells_lie():
    torch.manual_seed(0)
    network = build_model("fcn8s", backbone="test_resnet", num_classes=3)
    both = WithAuxiliary(network, 3).eval()
    pictures = torch.randn(2, 3, 65, 97)
    logits, auxiliary = both(pictures)
    torch.testing.assert_close(logits, network(pictures))
    scores = both.head(network.backbone(pictures)[16])
    # Stride 16 begins at pixel 0 here: interpolation with aligned corners up to the last cell, continued from there.
    height, width = ((size - 1) * 16 + 1 for size in scores.shape[2:])
    inside = F.interpolate(scores, size=(height, width), mode="bilinear", align_corners=True)
    want = F.pad(inside, (0, max(0, 97 - width), 0, max(0, 65 - height)), mode="replicate")[..., :65, :97]
    torch.testing.assert_close(auxiliary, want, rtol=1e-4, atol=1e-5)


def test_the_loss_has_its_share(scenes, tmp_path):
    pictures = torch.randint(0, 256, (2, 3, 64, 64), dtype=torch.uint8)
    with ExitStack() as held:
        run = opened(config(scenes, tmp_path / "run", clip=None), held, print)
        run.trained.head[3].p = 0.0
        labels = torch.randint(0, run.dataset.labels.num_classes, (2, 64, 64), dtype=torch.uint8)
        labels[0, :9] = 255
        run.trained.train()
        with torch.no_grad():
            both = run.trained(run.preprocessing(pictures, run.device))
            first, second = (F.cross_entropy(each, labels.long(), ignore_index=255) for each in both)
        loss = training_step(run, 0, pictures, labels, 0.0)
    assert loss == pytest.approx(float(first + 0.4 * second), rel=1e-5)
    assert run.trained.head[4].weight.grad.abs().max() > 0


def test_it_is_resumed_but_not_part_of_the_model(scenes, tmp_path):
    list(train(config(scenes, tmp_path / "whole")))
    events = train(config(scenes, tmp_path / "broken"))
    for event in events:
        if event["kind"] == "epoch":
            events.close()
            break
    list(train(config(scenes, tmp_path / "broken"), resume=True))
    whole, broken = (
        (tmp_path / name / "checkpoints" / "state.safetensors").read_bytes() for name in ("whole", "broken")
    )
    assert b"auxiliary.4.weight" in whole
    weights = [
        load_bundle(tmp_path / name / "checkpoints" / "last").model.state_dict()
        for name in ("whole", "broken")
    ]
    for name, tensor in weights[0].items():
        assert torch.equal(tensor, weights[1][name]), name
    assert len(broken) == len(whole)


def test_networks_without_a_skip_are_refused(scenes, tmp_path):
    for model in ("fcn32s", "patchwise"):
        options = config(scenes, tmp_path / "run").model_copy(
            update={"model": model, "backbone": "auto" if model == "patchwise" else "test_resnet"}
        )
        with pytest.raises(ConfigError, match="auxiliary is for fcn16s, fcn8s and fcn4s"):
            list(train(options))
    assert not (tmp_path / "run").exists()
