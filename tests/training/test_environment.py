"""What a run tells of where it computes."""

import platform

import torch

from fullconv.training.environment import environment_of, processor


def test_versions_machine_threads_and_precision_are_told_and_no_names():
    told = environment_of(torch.device("cpu"), "bf16", 2)
    assert set(told) == {
        "fullconv", "torch", "torchvision", "timm", "numpy", "python", "system", "machine", "device", "precision", "threads",
        "processes",
    }  # fmt: skip
    assert told["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert (told["device"], told["precision"], told["processes"]) == ("cpu", "bf16", "2")
    assert told["machine"]
    assert not platform.node() or platform.node() not in told.values()


def test_the_processor_is_named_where_linux_tells_it(tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel name\t: Fast: CPU @ 3 GHz\nmodel name\t: Other\n")
    assert processor(cpuinfo) == "Fast: CPU @ 3 GHz"
    cpuinfo.write_text("processor\t: 0\nmodel name\t:\n")
    assert (
        processor(cpuinfo) == processor(tmp_path / "missing") == (platform.processor() or platform.machine())
    )
