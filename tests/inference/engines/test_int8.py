"""Quantisation, the folder it is kept in, and what is refused."""

import json
import shutil

import pytest
import torch
from PIL import Image

import fullconv
from fullconv.bundle import WEIGHTS, Architecture, load_bundle, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.data.scenes import write_scenes
from fullconv.errors import BundleError, ConfigError, StorageError
from fullconv.inference.engines import quantize
from fullconv.inference.engines.int8 import int8_engine, save_int8
from fullconv.inference.engines.openvino_engine import OpenVinoEngine
from fullconv.inference.engines.quantize import Calibration, compare, quantized, share_equal, spread
from fullconv.labels import LabelSet
from fullconv.preprocessing import Preprocessing

pytest.importorskip("openvino")
pytest.importorskip("nncf")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return open_dataset(
        write_scenes(tmp_path_factory.mktemp("data") / "scenes", num_train=4, num_val=3, size_hw=(96, 136))
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory, dataset, shared_cache):
    """A bundle with its int8 version, and what was told."""
    torch.manual_seed(0)
    architecture = Architecture(
        model="fcn16s", backbone="test_resnet", num_classes=dataset.labels.num_classes
    )
    network, folder = architecture.build(), tmp_path_factory.mktemp("models") / "m"
    network.train()(torch.randn(4, 3, 96, 96))
    save_bundle(
        folder, network.state_dict(), architecture, dataset.labels, Preprocessing(), trained={}, metrics={}
    )
    told: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FULLCONV_CACHE", str(shared_cache))
        patch.setattr(quantize, "NUM_FLOAT", (0, 1))
        patch.setattr(quantize, "ENOUGH", 0.999)
        fp32 = OpenVinoEngine(load_bundle(folder).model, "fp32")
        sizes = [dataset.labels.num_classes]
        calibration = Calibration(fp32, dataset.split("train"), dataset.labels, Preprocessing(), sizes)
        int8, num_float = quantized(calibration, told.append)
        save_int8(folder, int8, {"float_convolutions": num_float})
    return folder, told


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "m")


@pytest.mark.parametrize(
    "size_hw", [(40, 70), *(pytest.param(s, marks=pytest.mark.long) for s in ((131, 97), (203, 333)))]
)
def test_int8_labels_nearly_as_float_does_at_any_size(folder, dataset, size_hw):
    int8, fp32 = (fullconv.load(folder, precision=precision) for precision in ("int8", "fp32"))
    assert (int8.engine.name, int8.engine.precision) == ("openvino", "int8")
    for sample in dataset.split("val"):
        with Image.open(sample.picture) as picture:
            pixels = picture.convert("RGB").resize(size_hw[::-1])
        one, other = int8.predict(pixels), fp32.predict(pixels)
        assert (one.label_map == other.label_map).mean() > 0.9
        error = float((one.logits - other.logits).std() / other.logits.std())
        assert error < 0.2
        assert (error < 1e-4) == (min(size_hw) < 64)  # smaller ones stay in torch


def test_the_int8_weights_are_small(folder):
    assert (folder / "int8" / "model.bin").stat().st_size < 0.5 * (folder / WEIGHTS).stat().st_size


@pytest.mark.long
def test_what_keeps_most_labels_is_taken(made):
    folder, told = made
    assert [line.split(",")[0][-1] for line in told] == ["0", "1"]
    shares = [float(line.split()[-2]) for line in told]
    record = json.loads((folder / "int8" / "int8.json").read_text())
    assert record["measured"]["float_convolutions"] == shares.index(max(shares))


def test_comparison(dataset, folder):
    model = load_bundle(folder).model
    engines = OpenVinoEngine(model, "fp32"), int8_engine(model, folder)
    samples, seen = dataset.split("val"), []
    sizes = [dataset.labels.num_classes]
    figures = compare(engines, samples, dataset.labels, Preprocessing(), sizes, lambda: seen.append(1))
    assert (figures["num_images"], len(seen)) == (3, 3)
    assert 0.9 < figures["label_agreement"] <= 1
    assert list(figures["mean_iou"]) == list(figures["seconds_per_image"]) == ["fp32", "int8"]
    assert all(0 < seconds < 60 for seconds in figures["seconds_per_image"].values())
    from fullconv.evaluation import evaluate

    cpu = torch.device("cpu")
    want = evaluate(model, samples, dataset.labels, Preprocessing(), cpu, "fp32").scores.confusion.mean_iou
    assert figures["mean_iou"]["fp32"] == pytest.approx(want, abs=1e-4)
    assert figures["mean_iou"]["int8"] == pytest.approx(want, abs=0.05)


def test_agreement_counts_pixels_of_all_heads():
    some = [torch.tensor([[0, 1]]), torch.tensor([[2, 2]])]
    others = [torch.tensor([[0, 1]]), torch.tensor([[2, 0]])]
    assert share_equal(some, others) == 0.75


def test_calibration_pictures_are_spread_evenly(dataset):
    samples = dataset.split("train")
    assert spread(samples, 2) == [samples[0], samples[2]]
    assert spread(samples, 9) == list(samples)


def test_without_an_int8_version(folder):
    shutil.rmtree(folder / "int8")
    with pytest.raises(ConfigError) as error:
        fullconv.load(folder, precision="int8")
    assert str(error.value) == (
        f"{folder} has no int8 version; make one: fullconv quantize {folder} DATA; or use precision fp32"
    )


def test_other_weights_are_noticed(folder, dataset):
    architecture = load_bundle(folder).manifest.architecture
    state = {name: tensor + 1 for name, tensor in load_bundle(folder).model.state_dict().items()}
    int8 = shutil.move(folder / "int8", folder.with_name("kept"))
    save_bundle(folder, state, architecture, dataset.labels, Preprocessing(), trained={}, metrics={})
    shutil.move(int8, folder / "int8")
    with pytest.raises(
        ConfigError, match=r"was made from other weights than .*run 'fullconv quantize .*' again"
    ):
        fullconv.load(folder, precision="int8")


@pytest.mark.parametrize("name", ["model.xml", "model.bin", "int8.json"])
@pytest.mark.parametrize("change", ["cut", "gone"])
def test_damage_is_named(folder, name, change):
    file = folder / "int8" / name
    content = file.read_bytes()
    file.unlink()
    if change == "cut":
        file.write_bytes(content[:-5])
    with pytest.raises(BundleError) as error:
        fullconv.load(folder, precision="int8")
    assert str(error.value) == f"{file} is missing or damaged; run 'fullconv quantize {folder} DATA' again"


def test_the_old_version_stays_where_the_new_cannot_be_written(folder):
    before = sorted((file.name, file.read_bytes()) for file in (folder / "int8").iterdir())

    (folder / ".int8.new").write_bytes(b"a file where the new folder should be")
    with pytest.raises(StorageError, match=r"cannot write .*int8: File exists"):
        save_int8(folder, None, {})
    assert sorted((file.name, file.read_bytes()) for file in (folder / "int8").iterdir()) == before


def test_a_model_in_memory_has_no_int8_version(folder):
    model, labels = load_bundle(folder).model, LabelSet.from_names([str(i) for i in range(7)])
    with pytest.raises(ConfigError, match="the model is in memory only"):
        fullconv.Segmenter(model, labels, precision="int8")
