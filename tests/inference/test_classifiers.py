"""Classifiers by name: weights from files, class names, normalisation, and what does not fit."""

import pytest
import timm
import torch
import torchvision

from fullconv.errors import InputError, RunError, UnknownNameError
from fullconv.inference.classifiers import class_names, is_classifier_name, load_named_classifier


def test_what_reads_as_a_classifier(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert is_classifier_name("torchvision/no_such_net")
    assert is_classifier_name("resnet18")
    assert not is_classifier_name("runs/resnet18")
    (tmp_path / "resnet18").mkdir()
    assert not is_classifier_name("resnet18")


def test_published_size_and_normalisation():
    # Two of many: one that is published for 240 pixels, and one with its own mean.
    assert load_named_classifier("torchvision/efficientnet_b1", "none").network.window_hw == (240, 240)
    found = load_named_classifier("test_mambaout", "none")
    config = timm.create_model("test_mambaout").pretrained_cfg
    assert found.network.window_hw == config["input_size"][1:]
    assert found.preprocessing.mean == tuple(config["mean"])
    assert found.preprocessing.std == tuple(config["std"])
    assert found.names[281] == "tabby"


@pytest.mark.parametrize("num_classes", [1000, 6])
def test_weights_from_a_file(tmp_path, num_classes):
    torch.manual_seed(1)
    source = torchvision.models.squeezenet1_1(num_classes=num_classes).eval()
    torch.save(source.state_dict(), tmp_path / "net.pth")
    found = load_named_classifier("torchvision/squeezenet1_1", tmp_path / "net.pth")
    assert len(found.names) == num_classes
    picture = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        torch.testing.assert_close(found.network(picture)[:, :, 0, 0], source(picture), atol=1e-5, rtol=0)


def test_timm_weights_from_a_file(tmp_path):
    torch.manual_seed(2)
    source = timm.create_model("test_resnet", num_classes=4).eval()
    torch.save(source.state_dict(), tmp_path / "net.pth")
    found = load_named_classifier("test_resnet", tmp_path / "net.pth")
    assert found.names == ("class_0", "class_1", "class_2", "class_3")
    picture = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        torch.testing.assert_close(found.network(picture)[:, :, 0, 0], source(picture), atol=1e-5, rtol=0)


def test_weights_without_their_last_layer_are_refused(tmp_path):
    state = timm.create_model("test_resnet").state_dict()
    del state["fc.weight"]
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(
        InputError, match=r"net\.pth does not fit classifier 'test_resnet': 'fc.weight' is nothing"
    ):
        load_named_classifier("test_resnet", tmp_path / "net.pth")
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(InputError, match=r"other\.pth does not fit"):
        load_named_classifier("test_resnet", tmp_path / "other.pth")


@pytest.mark.parametrize("name", ["torchvision/mobilenet_v9", "resnet19"])
def test_unknown_names(name):
    with pytest.raises(UnknownNameError, match=r"unknown classifier .* did you mean"):
        load_named_classifier(name, "none")


def test_pretrained_weights_that_cannot_be_had(monkeypatch):
    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", offline)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    with pytest.raises(RunError, match=r"no pretrained weights .*no route to host.*--backbone-weights FILE"):
        load_named_classifier("torchvision/squeezenet1_1", "pretrained")


def test_class_names_are_unique():
    """They are keys of the records."""
    assert len(set(class_names(1000))) == 1000
