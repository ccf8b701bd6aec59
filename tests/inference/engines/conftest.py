"""Small networks, and a cache of their own, so that each is converted once per run of the tests."""

import pytest
import torch
from torch import nn

from fullconv.models.build import build_model


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(shared_cache, monkeypatch):
    monkeypatch.setenv("FULLCONV_CACHE", str(shared_cache))


@pytest.fixture(scope="session")
def fcn() -> nn.Module:
    """Batch normalisation with statistics that differ from those of the start, so that folding it wrongly shows."""
    torch.manual_seed(0)
    model = build_model("fcn8s", num_classes=5, backbone="test_resnet", upsampling="learned")
    model.train()(torch.randn(4, 3, 96, 96) * 2 + 1)
    return model.eval()
