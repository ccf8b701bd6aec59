"""Where a network starts: from another model's weights, each class from the class of its name."""

import pytest
import torch

import fullconv
from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.errors import ConfigError
from fullconv.labels import Head, LabelSet
from fullconv.preprocessing import Preprocessing
from fullconv.training.initial import OF_CLASSES, class_names, initialised, unlearnt

OLD = LabelSet.from_names(["sky", "road", "car", "tree"])
NEW = LabelSet.from_names(["tree", "bus", "sky"])


def architecture(labels: LabelSet, **options) -> Architecture:
    values = {"model": "fcn16s", "backbone": "test_resnet", "num_classes": labels.num_classes}
    return Architecture(**(values | options))


def saved(folder, labels=OLD, heads=(), **options):
    torch.manual_seed(1)
    made = architecture(labels, **({"num_classes": len(class_names(labels, heads))} | options))
    state = made.build().state_dict()
    save_bundle(folder, state, made, labels, Preprocessing(), trained={}, metrics={}, heads=heads)
    return str(folder), state


@pytest.mark.parametrize("options", [{}, {"hidden_channels": 4}, {"upsampling": "learned"}])
def test_classes_are_found_by_name(tmp_path, options):
    source, theirs = saved(tmp_path / "m", **options)
    start = initialised(architecture(NEW, **options), source, class_names(NEW, ()))
    own = start.model.state_dict()
    layer = "score.16.3" if "hidden_channels" in options else "score.16"
    for name in (f"{layer}.weight", f"{layer}.bias"):
        assert torch.equal(own[name][[0, 2]], theirs[name][[3, 0]])
    assert not any(torch.equal(own[f"{layer}.weight"][1], row) for row in theirs[f"{layer}.weight"])
    if "upsampling" in options:
        weight = own["upscore.16.weight"]
        assert torch.equal(weight[0, 2], theirs["upscore.16.weight"][3, 0])
        assert torch.equal(weight[2, 0], theirs["upscore.16.weight"][0, 3])
        assert weight[1, 1].any()
        assert not weight[1, [0, 2]].any()
    for name, tensor in own.items():
        if not OF_CLASSES.search(name):
            assert torch.equal(tensor, theirs[name]), name
    message = f"--init {source} has no class bus: learnt from the start; it has sky, road, car, tree"
    assert start.warnings == (message,)


@pytest.mark.parametrize(
    "options", [{}, {"hidden_channels": 4}, {"upsampling": "learned"}, {"model": "fcn8s"}]
)
def test_classes_that_nobody_has_learnt_score_0_and_known_ones_what_they_did(tmp_path, options):
    source, _ = saved(tmp_path / "m", **options)
    pictures = torch.rand(1, 3, 70, 93)
    with torch.no_grad():
        logits = unlearnt(load_bundle(source), NEW).eval()(pictures)
        known = fullconv.load(source, precision="fp32").model(pictures)
    assert logits.shape == (1, 3, 70, 93)
    assert not logits[:, 1].any()
    torch.testing.assert_close(logits[:, [0, 2]], known[:, [3, 0]])


def test_the_same_classes_in_another_order(tmp_path):
    source, theirs = saved(tmp_path / "m")
    turned = LabelSet.from_names(list(reversed(OLD.names)))
    start = initialised(architecture(turned), source, class_names(turned, ()))
    assert torch.equal(start.model.state_dict()["score.32.weight"], theirs["score.32.weight"].flip(0))
    assert start.warnings == ()


def test_heads_are_told_apart(tmp_path):
    heads = (Head("geo", LabelSet.from_names(["sky", "flat"])),)
    source, theirs = saved(tmp_path / "m", heads=heads)
    names = class_names(LabelSet.from_names(["car"]), (Head("geo", LabelSet.from_names(["sky"])),))
    start = initialised(architecture(OLD, num_classes=2), source, names)
    assert torch.equal(start.model.state_dict()["score.32.weight"], theirs["score.32.weight"][[2, 4]])


def test_another_backbone_is_refused(tmp_path):
    source, _ = saved(tmp_path / "m")
    with pytest.raises(
        ConfigError, match="has the backbone test_resnet, not resnet10t; give --backbone test_resnet"
    ):
        initialised(architecture(OLD, backbone="resnet10t"), source, class_names(OLD, ()))


def test_which_weights_count_classes():
    for name in (
        "score.8.weight",
        "score.8.3.bias",
        "upscore.8.weight",
        "score_fr.bias",
        "decoder.score.weight",
    ):
        assert OF_CLASSES.search(name), name
    for name in (
        "backbone.body.conv1.weight",
        "score.8.0.weight",
        "score.8.1.running_mean",
        "underscore.weight",
    ):
        assert not OF_CLASSES.search(name), name
