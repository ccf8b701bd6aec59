"""The state file: everything comes back, what is broken is refused, nothing is half-written."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from fullconv import storage
from fullconv.errors import BundleError, StorageError
from fullconv.training.config import TrainConfig
from fullconv.training.optimizer import build_optimizer, set_learning_rate
from fullconv.training.state import Progress, load_state, save_state

FACTS = {"threads": "1"}


def trained(optimizer_name: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    optimizer = build_optimizer(model, TrainConfig(data="d", out="o", optimizer=optimizer_name))
    step(model, optimizer)
    return model, optimizer


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    set_learning_rate(optimizer, 0.01)
    model(torch.linspace(-1, 1, 300).view(1, 3, 10, 10)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


@pytest.mark.parametrize("optimizer_name", ["adamw", "sgd"])
def test_a_loaded_state_goes_on_to_the_same_bits(tmp_path, optimizer_name):
    model, optimizer = trained(optimizer_name)
    progress = Progress(step=7, epoch_loss=1.25, best=0.5, seconds=3.5)
    save_state(tmp_path / "s", {"model": model}, optimizer, progress, FACTS)
    other = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    other_optimizer = build_optimizer(other, TrainConfig(data="d", out="o", optimizer=optimizer_name))
    assert load_state(tmp_path / "s", {"model": other}, other_optimizer) == (progress, FACTS)
    step(model, optimizer)
    step(other, other_optimizer)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name


def test_what_cannot_be_resumed_from(tmp_path):
    model, optimizer = trained("adamw")
    with pytest.raises(BundleError, match="no state to resume from"):
        load_state(tmp_path / "none", {"model": model}, optimizer)
    (tmp_path / "junk").write_bytes(b"junk")
    with pytest.raises(BundleError, match="junk is damaged"):
        load_state(tmp_path / "junk", {"model": model}, optimizer)
    save_state(tmp_path / "s", {"model": model}, optimizer, Progress(), FACTS)
    (tmp_path / "s").write_bytes((tmp_path / "s").read_bytes()[:-5])
    with pytest.raises(BundleError, match="s is damaged"):
        load_state(tmp_path / "s", {"model": model}, optimizer)
    save_state(tmp_path / "s", {"model": model}, optimizer, Progress(), FACTS)
    wider = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    with pytest.raises(BundleError, match="cannot be resumed from"):
        load_state(tmp_path / "s", {"model": wider}, build_optimizer(wider, TrainConfig(data="d", out="o")))


def test_a_full_disk_leaves_the_old_state(tmp_path, monkeypatch):
    model, optimizer = trained("adamw")
    save_state(tmp_path / "s", {"model": model}, optimizer, Progress(step=1), FACTS)
    before = (tmp_path / "s").read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage.os, "fsync", full)
    with pytest.raises(StorageError, match="disk full"):
        save_state(tmp_path / "s", {"model": model}, optimizer, Progress(step=2), FACTS)
    assert (tmp_path / "s").read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["s"]


def test_groups_of_the_optimiser():
    """Biases and normalisation are not decayed; what is not the backbone's has its own rate."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
            self.score = nn.Conv2d(4, 2, 1)

    net = Net()
    optimizer = build_optimizer(net, TrainConfig(data="d", out="o", head_lr_factor=10.0, weight_decay=0.5))
    set_learning_rate(optimizer, 0.1)
    found = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in optimizer.param_groups
        for parameter in group["params"]
    }
    names = {name: found[id(parameter)] for name, parameter in net.named_parameters()}
    assert names["backbone.0.weight"] == (0.1, 0.5)
    assert names["backbone.0.bias"] == names["backbone.1.weight"] == names["backbone.1.bias"] == (0.1, 0.0)
    assert names["score.weight"] == (1.0, 0.5)
    assert names["score.bias"] == (1.0, 0.0)


class Damage:
    """A whole state file, and what must not change when it is damaged."""

    def __init__(self, folder):
        self.model, self.optimizer = trained("adamw")
        self.file = folder / "damaged.safetensors"
        save_state(self.file, {"model": self.model}, self.optimizer, Progress(step=3), FACTS)
        self.content = self.file.read_bytes()
        self.before = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def is_refused(self, place: int, bit: int) -> None:
        damaged = bytearray(self.content)
        damaged[place % len(damaged)] ^= 1 << bit
        self.file.write_bytes(damaged)
        with pytest.raises(BundleError, match="is damaged"):
            load_state(self.file, {"model": self.model}, self.optimizer)
        assert all(torch.equal(tensor, self.before[name]) for name, tensor in self.model.state_dict().items())


@pytest.fixture(scope="module")
def damage(tmp_path_factory):
    return Damage(tmp_path_factory.mktemp("state"))


@given(place=st.integers(0, 10**9), bit=st.integers(0, 7))
def test_no_changed_bit_is_accepted(damage, place, bit):
    damage.is_refused(place, bit)


@pytest.mark.long
def test_no_changed_bit_is_accepted_in_ten_thousand_files(damage):
    generator = random.Random(0)
    for _ in range(10_000):
        damage.is_refused(generator.randrange(len(damage.content)), generator.randrange(8))
