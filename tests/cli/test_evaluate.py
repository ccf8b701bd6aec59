"""fullconv evaluate with a model that was never trained: what it prints, and what it refuses."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from calling import call
from PIL import Image

from fullconv.bundle import Architecture, load_bundle, save_bundle
from fullconv.data.dataset import open_dataset
from fullconv.data.samples import read_sample
from fullconv.data.scenes import write_scenes
from fullconv.labels import Head, LabelSet
from fullconv.metrics import Confusion
from fullconv.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(
        tmp_path_factory.mktemp("data") / "scenes", num_train=1, num_val=2, size_hw=(64, 72), geometry=True
    )


def save(folder: Path, labels: LabelSet, heads: tuple[Head, ...]) -> Path:
    classes = labels.num_classes + sum(head.labels.num_classes for head in heads)
    architecture = Architecture(model="fcn16s", backbone="test_resnet", num_classes=classes)
    state = architecture.build().state_dict()
    save_bundle(folder, state, architecture, labels, Preprocessing(), trained={}, metrics={}, heads=heads)
    return folder


def test_one_head_is_measured_with_its_ceiling_and_with_the_crf(capsys, scenes, tmp_path):
    dataset = open_dataset(scenes)
    model = save(tmp_path / "model", dataset.labels, ())
    code, out, _ = call(
        capsys, "evaluate", model, scenes, "--refine", "crf", "--json", "--out", tmp_path / "e"
    )
    assert code == 0
    figures = json.loads(out)
    assert (figures["stride"], list(figures["stride_ceiling"])) == (16, ["32", "16", "8", "4"])
    assert "heads" not in figures
    assert figures["refinement"]["seconds_per_image"] > 0
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text()) == figures
    assert (tmp_path / "e" / "samples.jpg").exists()

    plain = json.loads(call(capsys, "evaluate", model, scenes, "--json")[1])
    assert "refinement" not in plain
    assert figures["refinement"]["unrefined"] == {
        name: plain[name] for name in ("mean_iou", "boundary_iou", "boundary_f")
    }

    code, out, _ = call(capsys, "evaluate", model, scenes, "--refine", "crf")
    assert code == 0
    assert f"of at most {100 * figures['stride_ceiling']['16']:.1f} at stride 16" in out
    assert "CRF: mean IU" in out


@pytest.mark.parametrize("options", [("--tta", "flip+scales"), ("--tile", "32", "--overlap", "mean")])
def test_what_is_measured_is_what_predict_says_with_the_same_options(capsys, scenes, tmp_path, options):
    dataset = open_dataset(scenes)
    model = save(tmp_path / "model", dataset.labels, ())
    plain = json.loads(call(capsys, "evaluate", model, scenes, "--json")[1])
    figures = json.loads(call(capsys, "evaluate", model, scenes, "--json", *options)[1])
    assert figures != plain

    pictures = [sample.picture for sample in dataset.split("val")]
    code, _, err = call(
        capsys, "predict", model, *pictures, "--out", tmp_path / "p", "--save", "mask", *options
    )
    assert code == 0, err
    confusion = Confusion(dataset.labels.num_classes)
    for sample in dataset.split("val"):
        predicted = np.array(Image.open(tmp_path / "p" / "masks" / f"{sample.picture.stem}.png"))
        confusion.update(predicted, read_sample(sample, dataset.labels)[1])
    assert figures["mean_iou"] == pytest.approx(confusion.mean_iou, abs=1e-12)
    assert figures["pixel_accuracy"] == pytest.approx(confusion.pixel_accuracy, abs=1e-12)


def test_other_engines_measure_the_same(capsys, scenes, tmp_path):
    model = save(tmp_path / "model", open_dataset(scenes).labels, ())
    ours, theirs = (
        json.loads(
            call(capsys, "evaluate", model, scenes, "--precision", "fp32", "--engine", name, "--json")[1]
        )
        for name in ("torch", "openvino")
    )
    assert theirs["mean_iou"] == pytest.approx(ours["mean_iou"], abs=2e-3)


def test_classes_are_found_by_name(capsys, scenes, tmp_path):
    dataset = open_dataset(scenes)
    plain = save(tmp_path / "plain", dataset.labels, ())
    want = json.loads(call(capsys, "evaluate", plain, scenes, "--json")[1])

    bundle, order = load_bundle(plain), [2, 0, *range(3, dataset.labels.num_classes), 1]
    state = bundle.model.state_dict()
    shuffled = {
        name: tensor[order] if name.startswith("score.") else tensor for name, tensor in state.items()
    }
    names = LabelSet.from_names([dataset.labels.names[index] for index in order])
    save_bundle(tmp_path / "shuffled", shuffled, bundle.manifest.architecture, names, Preprocessing(), {}, {})
    got = json.loads(call(capsys, "evaluate", tmp_path / "shuffled", scenes, "--json")[1])
    assert got.pop("calibration")["ece"] == pytest.approx(want.pop("calibration")["ece"], abs=1e-6)
    assert got == want

    fewer = LabelSet.from_names(dataset.labels.names[:2])
    code, out, _ = call(capsys, "evaluate", save(tmp_path / "fewer", fewer, ()), scenes, "--json")
    assert code == 0
    accuracies = [figures["accuracy"] for figures in json.loads(out)["per_class"].values()]
    assert not any(accuracies[2:])
    assert any(accuracies[:2])

    other = save(tmp_path / "other", LabelSet.from_names(["moon", dataset.labels.names[0]]), ())
    code, out, err = call(capsys, "evaluate", other, scenes)
    assert (code, out) == (1, "")
    assert f"{other} knows the class 'moon', which {scenes} does not have ({dataset.labels.names[0]}, " in err


def test_two_heads_have_two_tables(capsys, scenes, tmp_path):
    dataset = open_dataset(scenes)
    model = save(tmp_path / "model", dataset.labels, dataset.heads)
    code, out, _ = call(capsys, "evaluate", model, scenes)
    assert code == 0
    assert out.count("highest mean IU by stride") == 2
    assert f"head {dataset.heads[0].name}\n" in out


def test_heads_that_the_data_lacks_are_named(capsys, scenes, tmp_path):
    dataset = open_dataset(scenes)
    head = replace(dataset.heads[0], labels=LabelSet.from_names(["a", "b"]))
    model = save(tmp_path / "model", dataset.labels, (head,))
    code, out, err = call(capsys, "evaluate", model, scenes)
    assert (code, out) == (1, "")
    classes = dataset.heads[0].labels.num_classes
    assert (
        f"{model} has 2 classes in further heads, {scenes} has {classes}; evaluate on data with the same"
        in err
    )


def test_an_unknown_refinement_is_wrong_usage(capsys, scenes):
    assert call(capsys, "evaluate", "model", scenes, "--refine", "blur")[0] == 2
