"""Backbones: their weights from files, and what does not fit."""

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from fullconv.errors import ConfigError, InputError, RunError
from fullconv.models import backbones
from fullconv.models.backbones import build_backbone, pretrained_host


@pytest.fixture(scope="module")
def classifier():
    torch.manual_seed(1)
    return torchvision.models.squeezenet1_1()


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file(classifier, tmp_path, suffix):
    file = tmp_path / f"net{suffix}"
    state = classifier.state_dict()
    save_file(state, file) if suffix == ".safetensors" else torch.save({"state_dict": state}, file)
    body = build_backbone("torchvision/squeezenet1_1", 8, file)
    for name, tensor in body.body.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_timm_weights_from_a_file(tmp_path, caplog):
    import timm

    torch.manual_seed(2)
    source = timm.create_model("mobilenetv3_small_050", num_classes=7)
    torch.save(source.state_dict(), tmp_path / "net.pth")
    body = build_backbone("mobilenetv3_small_050", 8, tmp_path / "net.pth")
    assert torch.equal(body.body.state_dict()["conv_stem.weight"], source.conv_stem.weight)
    assert not caplog.records


def test_real_weights_load_whole(real_data):
    file = real_data / "weights" / "mobilenet_v2_tf2_ptq_dequant-1b0be26f.pth"
    body = build_backbone("torchvision/mobilenet_v2", 4, file)
    state = torch.load(file, weights_only=True)
    own = body.body.state_dict()
    assert all(torch.equal(tensor, state[name]) for name, tensor in own.items())
    assert body.channels == {4: 144, 8: 192, 16: 576, 32: 1280}


def test_weights_that_do_not_fit(classifier, tmp_path):
    torch.save(torchvision.models.squeezenet1_0().state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth does not fit .*: \d+ tensors differ"):
        build_backbone("torchvision/squeezenet1_1", 8, tmp_path / "other.pth")
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(InputError, match="does not hold a state dict"):
        build_backbone("torchvision/squeezenet1_1", 8, tmp_path / "list.pth")
    (tmp_path / "text.pth").write_text("hello")
    with pytest.raises(InputError, match=r"text\.pth cannot be read as weights"):
        build_backbone("torchvision/squeezenet1_1", 8, tmp_path / "text.pth")
    with pytest.raises(ConfigError, match="no backbone weights at nowhere"):
        build_backbone("torchvision/squeezenet1_1", 8, "nowhere.pth")


def test_pretrained_weights_that_cannot_be_had(monkeypatch):
    def no_network(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(backbones, "timm_backbone", no_network)
    with pytest.raises(
        RunError,
        match=r"no pretrained weights for backbone 'resnet18' \(no network\); give --backbone-weights FILE",
    ):
        build_backbone("resnet18", 8, "pretrained")
    assert pretrained_host("torchvision/x").startswith("https://download.pytorch.org")
    monkeypatch.setenv("HF_ENDPOINT", "https://mirror.example")
    assert pretrained_host("resnet18") == "https://mirror.example"


@pytest.mark.parametrize(
    "name", ["shufflenet_v2_x0_5", "googlenet", "densenet121", "regnet_y_400mf", "mnasnet0_5", "alexnet"]
)
def test_torchvision_families_answer_at_odd_sizes(name):
    body = build_backbone(f"torchvision/{name}", 8)
    features = body.eval()(torch.zeros(1, 3, 97, 75))
    assert list(features) == list(body.strides)
    for stride, feature in features.items():
        assert feature.shape[1] == body.channels[stride]
        assert abs(feature.shape[2] - 97 / stride) <= 2


def test_attention_in_windows_is_placed_on_its_cells():
    body = build_backbone("pvt_v2_b0", 8)
    assert [float(rows.offset) for rows, _ in body.geometry_hw.values()] == [3.5, 7.5, 15.5]


def test_a_network_of_one_size_is_refused():
    with pytest.raises(InputError, match="fixed-size networks cannot be made fully convolutional"):
        build_backbone("swin_tiny_patch4_window7_224", 8)
