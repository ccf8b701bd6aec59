"""Exported models say what the model says: in every format, at every size, of every kind of upsampling."""

import json
import logging

import pytest
import torch
from small_networks import Point, bundle_of, noise, small_fcn

from fullconv.errors import ConfigError, RunError
from fullconv.export import check, exporting
from fullconv.export.exporting import Request, export_model, in_bf16
from fullconv.export.files import ExportManifest
from fullconv.export.formats import ABOUT, run_onnx, run_openvino
from fullconv.export.programs import program_of
from fullconv.inference.engines.openvino_engine import compiled, core
from fullconv.labels import Head, LabelSet
from fullconv.models.fcn import FcnOptions
from fullconv.models.fusion import LateFusion
from fullconv.models.ladder import Ladder
from fullconv.models.patchwise import Patchwise
from fullconv.ops.score_map import ScoreMap

for package in ("onnx", "onnxscript", "onnxruntime", "openvino"):
    pytest.importorskip(package)

SIZES_HW = [(1, 1), (3, 2), (7, 5), (33, 65), (130, 97)]


@pytest.fixture
def bundle():
    return bundle_of(small_fcn(), 3)


LEARNED = FcnOptions(upsampling="learned")


def run_torch(file):
    network = torch.export.load(file).module()
    return lambda pictures: list(network(pictures))


def run_onnx_in_openvino(file):
    network = compiled(core().read_model(file.read_bytes()), "fp32")
    return lambda pictures: [torch.from_numpy(each) for each in network(pictures.numpy()).to_tuple()]


def relative(got, want):
    assert got.shape == want.shape
    return float((got - want).abs().max() / want.abs().max())


def check_sizes(model, runs, channels=3):
    for batch, size_hw in enumerate(SIZES_HW, start=1):
        pictures = noise(batch, channels, *size_hw)
        with torch.inference_mode():
            want = model(pictures)
            for run in runs:
                assert relative(run(pictures)[0], want) < 1e-5


def runs_of(folder):
    return [
        run_onnx(folder / "onnx" / "model.onnx"),
        run_openvino(folder / "x" / "y.xml"),
        run_torch(folder / "z.pt2"),
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A model in every format."""
    folder = tmp_path_factory.mktemp("exported")
    bundle = bundle_of(Point(3).eval(), 3)
    disabled = logging.root.manager.disable
    export_model(bundle, folder / "onnx", Request("onnx", opset=18))
    export_model(bundle, folder / "x" / "y.xml", Request("openvino"))
    export_model(bundle, folder / "z.pt2", Request("torch"))
    assert logging.root.manager.disable == disabled
    return folder


def test_every_format_at_every_size(exported):
    check_sizes(Point(3).eval(), runs_of(exported))


@pytest.mark.long
def test_learned_upsampling_in_every_format(tmp_path):
    model = small_fcn(options=LEARNED)
    for kind, name in (("onnx", "onnx/model.onnx"), ("openvino", "x/y.xml"), ("torch", "z.pt2")):
        export_model(bundle_of(model, 3), tmp_path / name, Request(kind))
    check_sizes(model, runs_of(tmp_path))


@pytest.mark.parametrize(
    "options",
    [
        FcnOptions(hidden_channels=2),
        pytest.param(FcnOptions(placement="half-pixel"), marks=pytest.mark.long),
        pytest.param(
            FcnOptions(upsampling="learned", border="fade", score_relu=True), marks=pytest.mark.long
        ),
    ],
    ids=["fixed", "half-pixel", "fade"],
)
def test_other_upsamplings(tmp_path, options):
    model = small_fcn(options=options)
    manifest = export_model(bundle_of(model, 3), tmp_path / "m.onnx", Request("onnx"))
    assert max(each.difference or 0 for each in manifest.checked) < 1e-5
    check_sizes(model, [run_onnx(tmp_path / "m.onnx"), run_onnx_in_openvino(tmp_path / "m.onnx")])


def test_labels_of_several_heads_and_more_than_a_byte_of_classes(tmp_path):
    model = Point(303, channels=4).eval()
    head = Head(
        "many", LabelSet(tuple(map(str, range(300))), tuple((i % 256, i // 256, 7) for i in range(300)))
    )
    bundle = bundle_of(model, 303, channels=4, heads=(head,))
    manifest = export_model(bundle, tmp_path / "m.onnx", Request("onnx", as_labels=True))
    assert [(value.name, value.dtype) for value in manifest.outputs] == [
        ("labels", "uint8"),
        ("labels_many", "uint16"),
    ]
    pictures = noise(2, 4, 33, 21)
    with torch.inference_mode():
        logits = model(pictures)
    for run in (run_onnx(tmp_path / "m.onnx"), run_onnx_in_openvino(tmp_path / "m.onnx")):
        few, many = run(pictures)
        assert (few.dtype, many.dtype) == (torch.uint8, torch.uint16)
        for got, want in ((few, logits[:, :3]), (many, logits[:, 3:])):
            labels = torch.stack([ScoreMap.of_pixels(each).labels() for each in want]).int()
            assert (got.int() == labels).float().mean() > 0.999


def test_of_equal_logits_the_lowest_id(tmp_path):
    model = Point(3).eval()
    model.score.weight.data[:] = model.score.weight.data[:1]
    model.score.bias.data = torch.tensor([0.0, 1.0, 1.0])
    export_model(bundle_of(model, 3), tmp_path / "m.onnx", Request("onnx", as_labels=True))
    export_model(bundle_of(model, 3), tmp_path / "m.pt2", Request("torch", as_labels=True))
    pictures = noise(1, 3, 9, 9)
    for run in (
        run_onnx(tmp_path / "m.onnx"), run_onnx_in_openvino(tmp_path / "m.onnx"), run_torch(tmp_path / "m.pt2")
    ):  # fmt: skip
        assert (run(pictures)[0] == 1).all()


def ladder():
    convolutions = [torch.nn.Conv2d(a, b, 3, padding=1) for a, b in ((3, 4), (4, 4), (4, 4), (4, 4), (4, 4))]
    features = [layer for conv in convolutions for layer in (conv, torch.nn.ReLU(), torch.nn.MaxPool2d(2))]
    return Ladder(3, features=torch.nn.Sequential(*features))


@pytest.mark.long
@pytest.mark.parametrize(
    ("make", "channels"),
    [(lambda: Patchwise(3), 3), (ladder, 3), (lambda: LateFusion(small_fcn(), small_fcn()), 6)],
    ids=["patchwise", "ladder", "late fusion"],
)
def test_other_networks(tmp_path, make, channels):
    torch.manual_seed(0)
    model = make().eval()
    export_model(bundle_of(model, 3, channels), tmp_path / "m.pt2", Request("torch"))
    export_model(bundle_of(model, 3, channels), tmp_path / "m.onnx", Request("onnx"))
    check_sizes(model, [run_torch(tmp_path / "m.pt2"), run_onnx(tmp_path / "m.onnx")], channels)


@pytest.mark.long
def test_bf16_says_what_bf16_says_here(tmp_path):
    bundle = bundle_of(small_fcn(), 3)
    manifest = export_model(bundle, tmp_path / "m.pt2", Request("torch", "bf16"), in_bf16(bundle, {"a": 1}))
    assert (manifest.precision, manifest.measured) == ("bf16", {"a": 1})
    program = torch.export.load(tmp_path / "m.pt2")
    kinds = {
        tensor.dtype
        for tensor in (*program.constants.values(), *program.state_dict.values())
        if tensor.dim() == 4
    }
    assert kinds == {torch.bfloat16}
    pictures = noise(1, 3, 33, 65)
    with torch.inference_mode():
        want = bundle.model(pictures)
    got = run_torch(tmp_path / "m.pt2")(pictures)[0]
    assert got.dtype == torch.float32
    assert 1e-4 < relative(got, want) < 3e-2


def test_what_files_say_of_themselves(exported):
    import onnx

    names = sorted(str(file.relative_to(exported)) for file in exported.rglob("*") if file.is_file())
    assert names == [
        "onnx/model.json",
        "onnx/model.onnx",
        "x/y.bin",
        "x/y.json",
        "x/y.xml",
        "z.json",
        "z.pt2",
    ]

    model = onnx.load(exported / "onnx" / "model.onnx")
    assert [entry.version for entry in model.opset_import if entry.domain == ""] == [18]
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(notes["mean"]) == [0.5, 0.5, 0.5]
    assert json.loads(notes["classes"])[1] == {"name": "c1", "color": [128, 0, 0]}
    assert (notes["stride"], notes["weights_sha256"]) == ("1", "0" * 64)
    sizes = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert (model.graph.input[0].name, sizes) == ("image", ["batch", 3, "height", "width"])
    for path in (b"site-packages", b"small_networks"):
        assert path not in (exported / "onnx" / "model.onnx").read_bytes()

    assert 'names="image"' in (text := (exported / "x" / "y.xml").read_text())
    assert "weights_sha256" in text
    extra = {ABOUT: ""}
    torch.export.load(exported / "z.pt2", extra_files=extra)
    assert json.loads(extra[ABOUT])["std"] == [0.25, 0.25, 0.25]
    assert (exported / "z.pt2").stat().st_size < 200_000  # no example pictures in it

    manifest = ExportManifest.model_validate_json((exported / "x" / "y.json").read_bytes())
    assert sorted(manifest.files) == ["y.bin", "y.xml"]
    assert manifest.outputs[0].shape == ["batch", 3, "height", "width"]
    assert [each.size_hw for each in manifest.checked] == list(check.SIZES_HW)


def test_a_failed_check_leaves_nothing(tmp_path, bundle, monkeypatch):
    monkeypatch.setattr(exporting, "program_of", lambda *args: None)
    monkeypatch.setattr(
        exporting, "write_torch", lambda *args: lambda pictures: [torch.zeros(2, 3, *pictures.shape[2:])]
    )
    with pytest.raises(
        RunError, match=r"something else at 131 x 97 pixels: logits are off by 1.0e\+00 of the largest"
    ):
        export_model(bundle, tmp_path / "a" / "b" / "m.pt2", Request("torch"))
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_written_over_and_nothing_else_is(tmp_path, bundle, monkeypatch):
    def write(program, notes, file):
        file.write_bytes(b"new")
        return lambda pictures: [bundle.model(pictures)]

    monkeypatch.setattr(exporting, "program_of", lambda *args: None)
    monkeypatch.setattr(exporting, "write_torch", write)
    (tmp_path / "photo.jpg").write_bytes(b"mine")
    for _ in range(2):
        export_model(bundle, tmp_path, Request("torch"))
    assert {file.name for file in tmp_path.iterdir()} == {"photo.jpg", "model.pt2", "model.json"}
    (tmp_path / "model.json").write_text('{"format": "fullconv-model-1"}')
    with pytest.raises(ConfigError, match=r"model.json is there already and no export; give another name"):
        export_model(bundle, tmp_path, Request("torch"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("onnx", "bf16"), "no bf16 in files for onnx: ONNX Runtime has no bf16"),
        (("openvino", "bf16"), "INFERENCE_PRECISION_HINT; export fp32"),
        (("torch", "int8"), "no int8 in files for torch: int8 is made for OpenVINO; use --format openvino"),
        (("openvino", "fp32", False, 18), "opset is 18, which files for openvino do not have"),
    ],
)
def test_what_does_not_go_together(arguments, message):
    with pytest.raises(ConfigError, match=message):
        Request(*arguments)


def test_networks_without_that_precision():
    with pytest.raises(
        ConfigError, match=r"bf16 is for FCNs \(fcn32s, fcn16s, fcn8s, fcn4s\); got a Patchwise"
    ):
        in_bf16(bundle_of(Patchwise(3), 3), {})
    with pytest.raises(ConfigError, match="int8 is for FCNs"):
        exporting.in_int8(bundle_of(Patchwise(3), 3), None, {})


def test_a_network_that_cannot_be_captured(tmp_path, bundle):
    class Odd(torch.nn.Module):
        stride, num_classes = 1, 3

        def forward(self, pictures):
            return pictures if float(pictures.sum()) > 0 else -pictures

    with pytest.raises(
        ConfigError, match=r"torch\.export does not capture fcn4s over resnet18 for every size"
    ):
        export_model(bundle_of(Odd(), 3), tmp_path / "m.onnx", Request("onnx"))
    assert list(tmp_path.iterdir()) == []


def test_a_copy_of_a_traced_body_does_not_drop_out():
    """Such a copy is in training mode, whatever the original was in."""
    from torchvision.models.feature_extraction import create_feature_extractor

    body = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), torch.nn.Dropout(0.5))
    traced = create_feature_extractor(body, {"1": "features"}).eval()
    program = program_of(traced, [noise(2, 3, 8, 10)], "it")
    pictures = noise(1, 3, 7, 5)
    torch.testing.assert_close(program.module()(pictures)["features"], traced(pictures)["features"])


def test_an_old_opset_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="cannot be written in opset 7"):
        export_model(bundle_of(Point(3).eval(), 3), tmp_path / "m.onnx", Request("onnx", opset=7))
    assert list(tmp_path.iterdir()) == []
