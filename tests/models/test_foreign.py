"""Files of other libraries are recognised, and what is not understood is refused in one line."""

from pathlib import Path

import pytest
import torch
from torch import nn

from fullconv.errors import InputError
from fullconv.labels import CITYSCAPES, VOC
from fullconv.models import foreign
from fullconv.models.build import build_model
from fullconv.models.foreign import labels_in, read_foreign, usual_labels

CONFIG = """
norm_cfg = dict(type='SyncBN', requires_grad=True)
model = dict(
    type='EncoderDecoder',
    backbone=dict(type='ResNetV1c', depth=50, num_stages=4, out_indices=(0, 1, 2, 3), dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1), norm_cfg=dict(type='SyncBN', requires_grad=True), style='pytorch', contract_dilation=True),
    decode_head=dict(type='FCNHead', in_channels=2048, in_index=3, channels=512, num_convs=2, concat_input=True,
        dropout_ratio=0.1, num_classes=3, align_corners=False))
img_norm_cfg = dict(mean=[127.5, 127.5, 127.5], std=[51.0, 51.0, 51.0], to_rgb=True)
"""


@pytest.fixture(scope="module")
def mmseg() -> nn.Module:
    torch.manual_seed(0)
    return build_model("mmseg_fcn", num_classes=3).eval()


@pytest.fixture(scope="module")
def checkpoint(mmseg):
    """As MMSegmentation publishes them: an auxiliary head, names as of a wrapped module, classes in `meta`."""
    state = {f"module.{name}": tensor for name, tensor in mmseg.state_dict().items()}
    state["module.auxiliary_head.conv_seg.weight"] = torch.zeros(3, 256, 1, 1)
    meta = {
        "CLASSES": ("sky", "a|b\n", "car"),
        "PALETTE": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
        "config": CONFIG,
    }
    return {"meta": meta, "state_dict": state}


def save(folder, content):
    torch.save(content, folder / "weights.pth")
    return folder / "weights.pth"


def test_mmsegmentation_with_all_it_says_of_itself(tmp_path, mmseg, checkpoint):
    found = read_foreign(save(tmp_path, checkpoint))
    assert (found.model, found.backbone, found.named, found.assumed) == ("mmseg_fcn", "resnet50c", True, "")
    assert found.labels.names == ("sky", "a b", "car")
    assert found.labels.colors == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert found.preprocessing.mean == (0.5, 0.5, 0.5)
    assert found.preprocessing.std == (0.2, 0.2, 0.2)
    picture = torch.randn(1, 3, 33, 41)
    with torch.inference_mode():
        assert torch.equal(found.network(picture), mmseg(picture))


def test_bare_weights_of_mmsegmentation(tmp_path, mmseg):
    from safetensors.torch import save_file

    save_file(mmseg.state_dict(), tmp_path / "w.safetensors")
    found = read_foreign(tmp_path / "w.safetensors")
    assert "align_corners=False" in found.assumed
    assert not found.named
    assert found.labels.names == ("class_0", "class_1", "class_2")


def test_torchvision_with_its_auxiliary_classifier(tmp_path):
    from torchvision.models.segmentation import fcn_resnet50

    torch.manual_seed(0)
    original = fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True).eval()
    found = read_foreign(save(tmp_path, original.state_dict()))
    assert (found.model, found.backbone, found.assumed) == ("torchvision_fcn", "torchvision/resnet50", "")
    assert found.labels == VOC
    picture = torch.randn(2, 3, 61, 83)
    with torch.inference_mode():
        want = original(picture)["out"]
        got = found.network(picture)
    torch.testing.assert_close(got, want, rtol=0, atol=1e-5 * float(want.abs().max()))


class Buffer:
    """As mmengine keeps its loss curves in a checkpoint."""


def test_objects_are_never_unpickled(tmp_path):
    file = save(tmp_path, {"message_hub": Buffer(), "state_dict": {"a": torch.zeros(1)}})
    with pytest.raises(InputError) as error:
        read_foreign(file)
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(f"{file} cannot be read as weights: it holds a ")
    assert "torch.save(checkpoint['state_dict'], 'weights.pth')" in text


def wrong(change):
    def made(checkpoint):
        state = dict(checkpoint["state_dict"])
        change(state)
        return {"meta": {}, "state_dict": state}

    return made


def without_layer3(state):
    for name in [name for name in state if ".layer3.5." in name]:
        del state[name]


def without_head(state):
    for name in [name for name in state if "conv_seg" in name]:
        del state[name]


def not_a_number(state):
    name = "module.decode_head.conv_seg.bias"
    state[name] = torch.full_like(state[name], torch.nan)


def other_shape(state):
    state["module.backbone.stem.0.weight"] = torch.zeros(64, 3, 3, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_layer3, "a backbone other than ResNet-50 and ResNet-101 (5 blocks in layer3)"),
        (without_head, "holds backbone.stem.0.weight, backbone.stem.1.weight, backbone.stem.1.bias, ...; expected torchvision"),
        (not_a_number, "decode_head.conv_seg.bias is not finite everywhere"),
        (other_shape, "does not fit mmseg_fcn over resnet50c: 1 tensors differ, first 'backbone.stem.0.weight'"),
        (lambda state: state.update({"module.neck.weight": torch.zeros(1)}), "first 'neck.weight'"),
    ],
)  # fmt: skip
def test_other_networks_are_refused(monkeypatch, checkpoint, change, message):
    content = wrong(change)(checkpoint)
    monkeypatch.setattr(foreign, "read_checkpoint", lambda file: content)
    with pytest.raises(InputError) as error:
        read_foreign(Path("w.pth"))
    assert message in str(error.value)


def test_what_the_configuration_says_is_heeded(monkeypatch, checkpoint):
    meta = {"config": CONFIG.replace("align_corners=False", "align_corners=True")}
    monkeypatch.setattr(foreign, "read_checkpoint", lambda file: {**checkpoint, "meta": meta})
    with pytest.raises(InputError, match="align_corners = True, with which it computes something"):
        read_foreign(Path("w.pth"))


@pytest.mark.parametrize(
    ("meta", "names"),
    [
        ({"dataset_meta": {"classes": ["a", "b"], "palette": [[0, 0, 0], [1, 1, 1]]}}, ("a", "b")),
        ({"CLASSES": ("a", "b"), "PALETTE": [[0, 0, 0], [0, 0, 0]]}, ("a", "b")),  # the same colour twice
        ({"CLASSES": ("a", "b"), "PALETTE": "none"}, ("a", "b")),
        ({"CLASSES": ("a", "a")}, None),
        ({"CLASSES": ("a", "b", "c")}, None),
        ({"CLASSES": 5}, None),
        ({}, None),
    ],
)
def test_names_of_classes(meta, names):
    labels = labels_in(meta, 2)
    assert (labels and labels.names) == names


def test_usual_names():
    assert usual_labels(19) is CITYSCAPES
    assert foreign.usual_labels(21) is VOC
