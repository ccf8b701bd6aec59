"""Devices and precision."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from fullconv.devices import autocast, pick_device, pick_precision, return_freed_memory
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


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_is_freed_is_kept_for_the_next_tensor():
    code = """if True:
        import resource, torch
        from fullconv.devices import keep_freed_memory

        def pages():
            torch.ones(1 << 22)  # is freed again; 16 MB in 4096 pages
            before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
            for _ in range(4):
                torch.ones(1 << 24)
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

        print(pages(), keep_freed_memory(), pages() - pages(), pages())
    """
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    taken, kept, _, again = run.stdout.split()
    assert kept == "True"
    assert int(again) < 100 < int(taken)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")
def test_what_lies_between_things_that_stay_is_given_back():
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    blocks = [bytes(2000) for _ in range(50_000)]
    full = resident()
    blocks = blocks[::100]  # one stays in each fifty pages
    assert resident() > full - 20e6, "the C library by itself gives next to nothing back"
    return_freed_memory()
    assert resident() < full - 60e6
