"""Devices and precision."""

import pytest
import torch

from fullconv.devices import autocast, pick_device, pick_precision
from fullconv.errors import ConfigError

CPU = torch.device("cpu")


def test_devices():
    assert pick_device("cpu") == CPU
    assert pick_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    with pytest.raises(ConfigError, match=r"device 'gpu' cannot be used .* expected 'auto', 'cpu' or 'cuda'"):
        pick_device("gpu")


@pytest.mark.parametrize(
    ("capabilities", "want"),
    [
        ({"amx_bf16": True}, "bf16"),
        ({"avx512_bf16": True}, "bf16"),
        ({"avx512_f": True}, "fp32"),
        ({}, "fp32"),
    ],
)
def test_auto_precision_follows_the_machine(monkeypatch, capabilities, want):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert pick_precision("auto", CPU) == want


def test_precision_can_be_chosen():
    assert [pick_precision(name, CPU) for name in ("fp32", "bf16")] == ["fp32", "bf16"]
    with pytest.raises(ConfigError, match="precision 'fp16' is not known"):
        pick_precision("fp16", CPU)


@pytest.mark.parametrize(("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast(precision, dtype):
    with autocast(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
