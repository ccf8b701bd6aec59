"""OpenVINO and ONNX Runtime say what torch says, at any size."""

import copy
import logging
import subprocess
import sys

import pytest
import torch

from fullconv.errors import ConfigError
from fullconv.inference.engines import convolutions
from fullconv.inference.engines.convolutions import fingerprint, prove
from fullconv.inference.engines.onnxruntime_engine import OnnxRuntimeEngine
from fullconv.inference.engines.openvino_engine import OpenVinoEngine, computes_bf16
from fullconv.inference.engines.torch_engine import TorchEngine
from fullconv.models.build import build_model
from fullconv.models.fcn import FCN
from fullconv.models.recorded import RecordedBody, recorded_backbone
from fullconv.models.scoring import score_maps_of

SIZES_HW = [(1, 50), (131, 97), (203, 333)]


@pytest.fixture(scope="module", params=["openvino", "onnxruntime"])
def engine_class(request):
    pytest.importorskip(request.param)
    return {"openvino": lambda model: OpenVinoEngine(model, "fp32"), "onnxruntime": OnnxRuntimeEngine}[
        request.param
    ]


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize("size_hw", SIZES_HW)
def test_scores_and_labels_are_torchs(engine_class, fcn, size_hw):
    pictures = noise(2, 3, *size_hw)
    with torch.inference_mode():
        wanted = fcn(pictures)
    for score_map, want in zip(engine_class(fcn)(pictures), wanted, strict=True):
        assert score_map.size_hw == size_hw
        torch.testing.assert_close(score_map.logits(), want, rtol=0, atol=1e-4 * float(want.abs().max()))
        best, second = want.topk(2, dim=0).values
        clear = best - second > 1e-3
        assert clear.float().mean() > 0.9
        assert torch.equal(score_map.labels().long()[clear], want.argmax(0)[clear])


@pytest.mark.long
def test_fixed_upsampling_stays_coarse_and_further_channels_go_in(engine_class, capfd):
    torch.manual_seed(1)
    model = build_model("fcn32s", num_classes=3, backbone="test_resnet", in_channels=4).eval()
    pictures = noise(1, 4, 75, 101)
    disabled = logging.root.manager.disable
    (got,) = engine_class(model)(pictures)
    assert capfd.readouterr() == ("", "")
    assert logging.root.manager.disable == disabled
    with torch.inference_mode():
        (want,) = score_maps_of(model, pictures)
    assert got.scores.shape == want.scores.shape == (3, 3, 4)
    assert got.placement_hw == want.placement_hw
    torch.testing.assert_close(got.scores, want.scores, rtol=0, atol=1e-4 * float(want.scores.abs().max()))


def test_memory_order_and_views_of_pictures_do_not_matter(engine_class, fcn):
    engine = engine_class(fcn)
    pictures = noise(2, 3, 80, 70)
    (want, _) = engine(pictures)
    for same in (pictures.contiguous(memory_format=torch.channels_last), pictures.flip(3).flip(3)):
        torch.testing.assert_close(engine(same)[0].scores, want.scores, rtol=0, atol=1e-5)
    (one,) = engine(pictures[:1])
    torch.testing.assert_close(one.scores, want.scores, rtol=0, atol=1e-4)


def test_a_second_start_converts_nothing(engine_class, fcn, monkeypatch):
    engine_class(fcn)

    def refuse(model: FCN) -> bytes:
        raise AssertionError("converted again")

    monkeypatch.setattr(convolutions, "converted", refuse)
    engine_class(fcn)


def test_other_weights_and_other_networks_have_other_fingerprints(fcn):
    torch.manual_seed(0)
    names = {
        fingerprint(build_model("fcn16s", num_classes=5, backbone="test_resnet", score_relu=relu).eval())
        for relu in (False, True, False)
    }
    assert len(names | {fingerprint(fcn)}) == 4
    assert fingerprint(fcn) == fingerprint(fcn)


def test_a_recording_and_the_network_it_is_of_are_converted_once(fcn):
    recorded = copy.deepcopy(fcn)
    recorded_backbone("test_resnet", 8)  # makes the recording
    recorded.backbone = recorded_backbone("test_resnet", 8)
    recorded.load_state_dict(fcn.state_dict())
    assert isinstance(recorded.backbone.body, RecordedBody)
    assert fingerprint(recorded) == fingerprint(fcn)


def test_a_network_that_cannot_be_converted_is_refused(fcn, monkeypatch):
    def by_value(pictures: torch.Tensor) -> list[torch.Tensor]:
        return [pictures] if pictures.sum() > 0 else [-pictures]

    monkeypatch.setattr(fcn, "score_maps", by_value)
    with pytest.raises(ConfigError, match="cannot be converted to ONNX; use --engine torch"):
        convolutions.converted(fcn)


def test_an_engine_that_computes_something_else_is_refused(fcn):
    with torch.inference_mode():
        prove(fcn, fcn.score_maps, "it")
        with pytest.raises(ConfigError, match="it computes other scores than torch for this network"):
            prove(fcn, lambda x: [scores + 0.01 for scores in fcn.score_maps(x)], "it")


def test_bf16_where_the_cpu_computes_it(fcn):
    pytest.importorskip("openvino")
    if not computes_bf16():
        pytest.skip("this CPU computes no bf16")
    pictures = noise(1, 3, 131, 97)
    (got,) = OpenVinoEngine(fcn, "bf16")(pictures)
    with torch.inference_mode():
        want = fcn(pictures)[0]
    assert (got.logits() - want).abs().max() < 0.1 * want.abs().max()


@pytest.mark.long
def test_nothing_is_reported_over_the_network():
    """In a process of its own: NNCF reports nothing under pytest anyway."""
    code = (
        "import sys; from fullconv.inference.engines.packages import imported\n"
        "imported('openvino').Core(); imported('nncf')\n"
        "from openvino.tools.ovc import telemetry_utils; from nncf.telemetry import wrapper\n"
        "assert 'openvino_telemetry' not in sys.modules\n"
        "assert 'stub' in telemetry_utils.tm.__name__, telemetry_utils.tm\n"
        "assert not isinstance(wrapper.telemetry, wrapper.NNCFTelemetry), wrapper.telemetry\n"
    )
    for package in ("openvino", "nncf"):
        pytest.importorskip(package)
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


@pytest.mark.long
def test_signals_are_handled_after_engines_are_gone():
    """In a process of its own: what failed here killed it."""
    code = (
        "import faulthandler, gc, signal\n"
        "faulthandler.enable()  # a signal stack, as pytest has one, too\n"
        "from fullconv.inference.engines.openvino_engine import OpenVinoEngine\n"
        "from fullconv.models.build import build_model\n"
        "got = []\n"
        "signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))\n"
        "model = build_model('fcn32s', num_classes=2, backbone='test_resnet')\n"
        "engines = [OpenVinoEngine(model, 'fp32') for _ in range(2)]\n"
        "while engines:\n"
        "    engines.pop(0)\n"
        "    gc.collect()\n"
        "    signal.raise_signal(signal.SIGUSR1)\n"
        "assert len(got) == 2, got\n"
    )
    pytest.importorskip("openvino")
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)


@pytest.mark.parametrize("size_hw", [(90, 1), (45, 2), (70, 31), (64, 64)])
def test_narrow_pictures_are_right_in_bfloat16_too(size_hw):
    """oneDNN's convolutions with AMX are not, where a map is one wide: the memory that they read must not matter."""
    torch.manual_seed(0)
    model = build_model("fcn8s", backbone="resnet18", num_classes=7).eval()
    pictures = torch.rand(1, 3, *size_hw)
    with torch.inference_mode():
        want = model.double()(pictures.double())[0].float()
    engine = TorchEngine(model.float(), torch.device("cpu"), "bf16")
    for _ in range(3):
        for size in (1000, 20_000, 300_000):
            torch.full((size,), float("nan"))
        got = engine(pictures)[0].logits()
        torch.testing.assert_close(got, want, atol=0.05 * float(want.abs().max()), rtol=0)
