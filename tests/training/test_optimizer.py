"""Which parameters learn how fast, and which decay."""

from fullconv.models.build import build_model
from fullconv.training.config import TrainConfig
from fullconv.training.optimizer import build_optimizer, set_learning_rate


def rates(**options) -> dict[str, tuple[float, float]]:
    """(learning rate, weight decay) of each parameter that learns."""
    model = build_model("fcn16s", num_classes=2, backbone="resnet18")
    if options.pop("frozen", False):
        model.backbone.requires_grad_(False)
    optimizer = build_optimizer(model, TrainConfig(data="d", out="o", **options))
    set_learning_rate(optimizer, 0.1)
    groups = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    return {name: groups[id(p)] for name, p in model.named_parameters() if id(p) in groups}


def test_what_decays():
    found = rates(weight_decay=0.5)
    assert found["backbone.body.layer1.0.conv1.weight"] == (0.1, 0.5)
    assert found["backbone.body.layer1.0.bn1.weight"] == (0.1, 0.0)
    assert found["score.32.bias"] == (0.1, 0.0)


def test_heads_biases_and_layers_have_their_own_rates():
    found = rates(head_lr_factor=10.0, bias_lr_factor=2.0, layer_decay=0.5)
    assert found["score.32.weight"][0] == 1.0
    assert found["score.32.bias"][0] == 2.0
    last = [name for name in found if name.startswith("backbone.body.layer4.1.")]
    assert {found[name][0] for name in last if not name.endswith("bias")} == {0.1}
    assert found["backbone.body.layer4.0.conv1.weight"][0] == 0.05
    assert found["backbone.body.layer3.1.conv1.weight"][0] == 0.025
    assert found["backbone.body.conv1.weight"][0] < found["backbone.body.layer1.0.conv1.weight"][0]


def test_what_is_frozen_is_left_out():
    assert set(rates(frozen=True)) == {
        f"score.{stride}.{name}" for stride in (16, 32) for name in ("weight", "bias")
    }


def test_without_options_all_learn_alike():
    assert {rate for rate, _ in rates().values()} == {0.1}
