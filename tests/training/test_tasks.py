"""More than one labelling of RGB pictures: heads, depth, patches, sums, and a size below which pictures are left out."""

from contextlib import ExitStack

import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from fullconv.bundle import load_bundle
from fullconv.data.scenes import write_scenes
from fullconv.errors import ConfigError, DataError, InputError
from fullconv.inference.folder import predict_files
from fullconv.inference.segmenter import load
from fullconv.labels import head_sizes
from fullconv.training.config import TrainConfig
from fullconv.training.loop import train
from fullconv.training.run import opened
from fullconv.training.step import heads_loss


def config(data, out, **options) -> TrainConfig:
    values = {
        "data": data, "out": out, "model": "fcn8s", "backbone": "mobilenetv3_small_050", "backbone_weights": "none", "epochs": 1,
        "batch_size": 4, "workers": 0, "precision": "fp32", "log_every": 1,
    }  # fmt: skip
    return TrainConfig(**(values | options))


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "rich"
    return write_scenes(folder, num_train=8, num_val=2, size_hw=(64, 80), depth=True, geometry=True)


@pytest.mark.parametrize("fusion", ["early", "late"])
def test_depth_and_two_heads(rich, tmp_path, fusion):
    events = list(train(config(rich, tmp_path / "run", fusion=fusion)))
    epoch = next(event for event in events if event["kind"] == "epoch")
    assert set(epoch["val"]["heads"]) == {"geometry"}
    assert 0 <= epoch["val"]["heads"]["geometry"]["mean_iou"] <= 1
    bundle = load_bundle(tmp_path / "run")
    (head,) = bundle.heads
    assert head.name == "geometry"
    num_classes = bundle.labels.num_classes + head.labels.num_classes
    assert bundle.manifest.architecture.num_classes == num_classes
    assert bundle.manifest.architecture.in_channels == bundle.preprocessing.num_channels == 4
    assert bundle.extra is not None
    with torch.inference_mode():
        assert bundle.model(torch.randn(1, 4, 33, 47)).shape == (1, num_classes, 33, 47)


def test_the_loss_is_the_sum_of_the_heads(rich, tmp_path):
    """The run's loss, against torch's cross-entropy of each head's logits on their own."""
    with ExitStack() as held:
        run = opened(config(rich, tmp_path / "run"), held, print)
    first, second = head_sizes(run.dataset.labels, run.dataset.heads)
    logits = torch.randn(2, first + second, 5, 7)
    labels = torch.stack([torch.randint(0, first, (2, 5, 7)), torch.randint(0, second, (2, 5, 7))], dim=1)
    labels[0, 1, 2:] = 255
    want = F.cross_entropy(logits[:, :first], labels[:, 0]) + F.cross_entropy(
        logits[:, first:], labels[:, 1], ignore_index=255
    )
    torch.testing.assert_close(heads_loss(run, logits, labels, torch.ones(2)), want)


def test_patches(tmp_path):
    data = write_scenes(tmp_path / "scenes", num_train=8, num_val=2, size_hw=(64, 80))
    options = {"model": "patchwise", "backbone": "auto", "patches": 16, "epochs": 2, "lr": 1e-3}
    events = list(train(config(data, tmp_path / "run", **options)))
    assert not [event for event in events if event["kind"] == "warning" and "backbone" in event["message"]]
    again = list(train(config(data, tmp_path / "again", **options)))
    losses = [[event["loss"] for event in each if event["kind"] == "step"] for each in (events, again)]
    assert losses[0] == losses[1]
    with pytest.raises(ConfigError, match="patches is 16, but model 'fcn8s' learns from whole crops"):
        list(train(config(data, tmp_path / "b", patches=16)))
    with pytest.raises(ConfigError, match="patches are learnt from in one pass; leave micro_batch away"):
        list(train(config(data, tmp_path / "c", **options, micro_batch=2)))


def test_an_unnormalised_loss_is_the_sum_over_pixels(tmp_path):
    data = write_scenes(tmp_path / "scenes", num_train=4, num_val=1, size_hw=(64, 80))
    same = {
        "scale": (1.0, 1.0),
        "flip": 0.0,
        "jitter": 0.0,
        "crop": (64, 80),
        "optimizer": "sgd",
        "lr": 1e-12,
        "clip": None,
    }
    losses = {}
    for reduction in ("mean", "sum"):
        events = train(config(data, tmp_path / reduction, loss_reduction=reduction, **same))
        losses[reduction] = next(event["loss"] for event in events if event["kind"] == "step")
    valid = losses["sum"] / losses["mean"]
    assert valid == pytest.approx(round(valid), abs=0.1)
    assert 4 * 64 * 80 * 0.8 < valid <= 4 * 64 * 80


def test_small_pictures_can_be_left_out(tmp_path):
    data = write_scenes(tmp_path / "scenes", num_train=4, num_val=1, size_hw=(64, 80))
    with pytest.raises(DataError, match="65"):
        list(train(config(data, tmp_path / "run", min_size=(65, 80))))
    assert list(train(config(data, tmp_path / "run", min_size=(64, 80))))[-1]["kind"] == "end"


def test_depth_and_heads_are_predicted(rich, tmp_path):
    list(train(config(rich, tmp_path / "run")))
    segmenter = load(tmp_path / "run")
    pictures = sorted((rich / "pictures").glob("*"))
    records = list(
        predict_files(
            segmenter, pictures, tmp_path / "p", {"mask", "overlay", "json"}, rich / "pictures_depth"
        )
    )
    for picture, record in zip(pictures, records, strict=True):
        assert "error" not in record, record
        assert set(record["heads"]["geometry"]["classes"]) <= set(segmenter.heads[0].labels.names)
        for folder in ("masks", "masks_geometry"):
            with (
                Image.open(tmp_path / "p" / folder / f"{picture.stem}.png") as mask,
                Image.open(picture) as original,
            ):
                assert mask.size == original.size
        assert (tmp_path / "p" / "overlays_geometry" / f"{picture.stem}.jpg").exists()
    prediction = segmenter.predict(pictures[0], rich / "pictures_depth" / f"{pictures[0].stem}.png")
    assert prediction.heads["geometry"].label_map.shape == prediction.label_map.shape
    assert prediction.scores().shape[0] == segmenter.labels.num_classes

    with pytest.raises(InputError, match=r"takes 1 further channel\(s\) behind RGB; got the picture alone"):
        segmenter.predict(pictures[0])
    with pytest.raises(InputError, match=r"uint8 of shape \(3, 5, 1\); expected uint8"):
        segmenter.predict(pictures[0], torch.zeros(3, 5, 1, dtype=torch.uint8).numpy())
    (alone,) = predict_files(segmenter, pictures[:1], tmp_path / "q", {"mask"}, rich / "pictures")
    assert "further channels" in alone["error"] or "has 3 channels" in alone["error"]
