"""The command line as a newcomer uses it: every command on small scenes, and every mistake in one line."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from calling import call
from PIL import Image

from fullconv.bundle import built_in_names, load_bundle
from fullconv.cli import main

SMALL = [
    "--backbone",
    "test_resnet",
    "--backbone-weights",
    "none",
    "--epochs",
    "1",
    "--batch-size",
    "4",
    "--workers",
    "0",
]


def fails(capsys, *args: object) -> str:
    """The one line of an error."""
    code, out, err = call(capsys, *args)
    assert (code, out) == (1, "")
    lines = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, err
    return lines[0]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "scenes"
    with pytest.raises(SystemExit) as stop:
        main(["data", "sample", str(folder), "--train", "4", "--val", "2"])
    assert not stop.value.code
    return folder


@pytest.fixture(scope="module")
def run(scenes, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", str(scenes), "--out", str(out), *SMALL, "--crop", "64x80", "--set", "jitter=0.1"])
    assert not stop.value.code
    return out


def test_train_writes_a_report_and_takes_settings(run):
    assert "<html" in (run / "report.html").read_text()
    config = (run / "config.yaml").read_text()
    assert "jitter: 0.1" in config
    assert "crop:\n- 64\n- 80" in config


@pytest.mark.slow
def test_train_json_prints_events_only(capsys, scenes, tmp_path):
    code, out, _ = call(capsys, "train", scenes, "--out", tmp_path / "run", *SMALL, "--json")
    assert code == 0
    kinds = [json.loads(line)["kind"] for line in out.splitlines()]
    assert kinds[-1] == "end"
    assert {"start", "step", "epoch"} < set(kinds)


@pytest.mark.slow
def test_callbacks_are_told_of_each_record(capsys, scenes, tmp_path, monkeypatch):
    (tmp_path / "tracker_of_mine.py").write_text(
        "seen = []\ndef log(event):\n    seen.append(event['kind'])\ndef faulty(event):\n    1 / (event['kind'] != 'epoch')\n"
    )
    monkeypatch.chdir(tmp_path)
    args = ["train", scenes, *SMALL, "--out"]
    assert call(capsys, *args, tmp_path / "run", "--callback", "tracker_of_mine:log")[0] == 0
    import tracker_of_mine  # pyright: ignore[reportMissingImports]

    assert tracker_of_mine.seen[0] == "check"
    assert {"start", "step", "epoch", "end"} < set(tracker_of_mine.seen)
    assert "tick" not in tracker_of_mine.seen

    line = fails(capsys, *args, tmp_path / "other", "--callback", "tracker_of_mine:faulty")
    assert (
        "--callback tracker_of_mine:faulty raised ZeroDivisionError: division by zero; mend it and go on"
        in line
    )
    for name in ("tracker_of_mine:nothing", "no_such_module:f", "os:sep", "os"):
        line = fails(capsys, *args, tmp_path / "third", "--callback", name)
        assert f"--callback {name}" in line
        assert "expected" in line


def test_resume_of_a_finished_run_changes_nothing(capsys, scenes, run, tmp_path):
    before = (run / "checkpoints" / "last" / "model.safetensors").read_bytes()
    assert call(capsys, "train", scenes, "--out", run, "--resume")[0] == 0
    # Where decoded pictures are kept may change.
    assert call(capsys, "train", scenes, "--out", run, "--resume", "--cache", tmp_path / "cache")[0] == 0
    assert len(list((tmp_path / "cache").glob("*.cache"))) == 1
    assert (run / "checkpoints" / "last" / "model.safetensors").read_bytes() == before
    line = fails(capsys, "train", scenes, "--out", run, "--resume", "--lr", "0.5")
    assert "--resume: lr is 0.5, but" in line
    assert "was trained with 0.001" in line


def test_evaluate(capsys, scenes, run, tmp_path):
    code, out, _ = call(capsys, "evaluate", run, scenes, "--json", "--out", tmp_path / "e")
    assert code == 0
    figures = json.loads(out)
    assert set(figures) == {
        "mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "num_images", "split", "per_class", "confusion",
        "boundary_iou", "boundary_f", "boundary_distance", "stride_ceiling", "stride", "calibration", "pictures",
    }  # fmt: skip
    assert json.loads((tmp_path / "e" / "evaluation.json").read_text()) == figures
    assert {file.stem for file in (tmp_path / "e").glob("*.jpg")} == {"samples", "best", "worst"}
    assert [len(figures["pictures"][key]) for key in ("best", "worst")] == [1, 1]
    code, out, _ = call(capsys, "evaluate", run, scenes, "--split", "train")
    assert code == 0
    assert "mean IU" in out
    assert "calibration error, ECE" in out
    assert "balloon" in out


def test_ids_that_the_data_set_calls_void_are_void_everywhere(capsys, scenes, tmp_path):
    folder, _, mask = faulty(scenes, tmp_path)
    for mask in folder.rglob("SegmentationClass/*.png"):
        with Image.open(mask) as image:
            ids = np.asarray(image).copy()
        ids[:5] = 11
        Image.fromarray(ids).save(mask)
    with (folder / "dataset.yaml").open("a") as file:
        file.write("ignore: [11]\n")
    assert call(capsys, "train", folder, "--out", tmp_path / "run", *SMALL)[0] == 0
    code, out, _ = call(capsys, "evaluate", tmp_path / "run", folder, "--json")
    assert code == 0
    counted = sum(map(sum, json.loads(out)["confusion"]))
    whole = json.loads(call(capsys, "evaluate", tmp_path / "run", scenes, "--json")[1])
    assert counted < sum(map(sum, whole["confusion"]))


def test_predict_writes_masks_of_exactly_the_pictures_size(capsys, run, tmp_path):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    sizes = {"dot": (1, 1), "line": (1, 90), "odd": (31, 33), "more": (97, 131)}
    for name, (width, height) in sizes.items():
        Image.fromarray(np.full((height, width, 3), 77, np.uint8)).save(pictures / f"{name}.png")
    (pictures / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    code, out, err = call(
        capsys,
        "predict",
        run,
        pictures,
        "--out",
        tmp_path / "p",
        "--save",
        "mask,overlay,scores,json",
        "--json",
    )
    assert code == 1
    assert "1 of 5 pictures could not be labelled" in err
    assert "broken.jpg" in err
    records = [json.loads(line) for line in (tmp_path / "p" / "predictions.jsonl").read_text().splitlines()]
    assert [json.loads(line) for line in out.splitlines()] == records
    assert {Path(record["source"]).stem for record in records if "error" in record} == {"broken"}
    for name, (width, height) in sizes.items():
        with Image.open(tmp_path / "p" / "masks" / f"{name}.png") as mask:
            assert (mask.size, mask.mode) == ((width, height), "P")
        assert (tmp_path / "p" / "overlays" / f"{name}.jpg").exists()
        assert np.load(tmp_path / "p" / "scores" / f"{name}.npy").shape == (7, height, width)
    record = next(record for record in records if record["source"].endswith("odd.png"))
    assert (record["height"], record["width"], record["mask"]) == (33, 31, "masks/odd.png")
    assert sum(record["classes"].values()) == pytest.approx(1)


def test_report_and_models(capsys, run):
    assert call(capsys, "report", run)[1].strip() == str(run / "report.html")
    code, out, _ = call(capsys, "models", "--backbone", "torchvision/mobilenet_v2", "--json")
    assert code == 0
    assert [row["stride"] for row in json.loads(out)["models"]] == [32, 16, 8, 4]
    assert "99 px" in call(capsys, "models", "fcn8s")[1]


def test_models_that_are_trained(capsys, run):
    names = [row["name"] for row in json.loads(call(capsys, "models", "--json")[1])["trained"]]
    assert names == built_in_names()
    code, out, _ = call(capsys, "models", "camvid", "--json")
    row = json.loads(out)["trained"][0]
    assert code == 0
    assert tuple(row["classes"]) == load_bundle("camvid").labels.names
    assert (row["model"], row["stride"], row["receptive_field"]) == ("fcn4s", 4, 555)
    assert "CC BY-NC" in call(capsys, "models", "camvid")[1]
    assert "mean IU" in call(capsys, "models", run)[1]
    assert "did you mean 'camvid'?" in call(capsys, "models", "camvit")[2]
    assert "leave --classes away" in call(capsys, "models", "camvid", "--classes", "3")[2]
    assert "no model at" in call(capsys, "models", "runs/none")[2]


def test_wrong_usage_exits_with_2(capsys, scenes):
    assert call(capsys, "predikt")[0] == 2
    assert "did you mean 'predict'?" in call(capsys, "predikt", "x")[2]
    assert call(capsys, "train", scenes)[0] == 2
    assert "expected HEIGHTxWIDTH" in call(capsys, "train", scenes, "--out", "x", "--crop", "320")[2]
    assert "expected KEY=VALUE" in call(capsys, "train", scenes, "--out", "x", "--set", "lr")[2]
    assert (
        "expected any of mask,overlay"
        in call(capsys, "predict", "m", "s", "--out", "x", "--save", "masks")[2]
    )


def test_names_that_do_not_exist_are_met_with_the_nearest(capsys, scenes, tmp_path):
    out = tmp_path / "run"
    assert "did you mean 'fcn8s'?" in fails(capsys, "train", scenes, "--out", out, "--model", "fcn8")
    assert "did you mean 'resnet18" in fails(capsys, "train", scenes, "--out", out, "--backbone", "resnet18_")
    assert "did you mean 'epochs'?" in fails(capsys, "train", scenes, "--out", out, "--set", "epoch=3")
    assert "no backbone weights at nowhere.pth" in fails(
        capsys, "train", scenes, "--out", out, "--backbone-weights", "nowhere.pth"
    )
    assert "expected 'auto', 'cpu' or 'cuda'" in fails(
        capsys, "train", scenes, "--out", out, "--device", "gpu"
    )
    assert not out.exists()


def faulty(scenes: Path, tmp_path: Path) -> tuple[Path, Path, Path]:
    """A copy of the scenes, with one of its pictures and that picture's mask."""
    folder = tmp_path / "faulty"
    shutil.copytree(scenes, folder)
    picture = sorted(folder.rglob("JPEGImages/*.jpg"))[0]
    return folder, picture, picture.parents[1] / "SegmentationClass" / f"{picture.stem}.png"


def test_faults_in_the_data_are_named_with_their_file_and_remedy(capsys, scenes, tmp_path):
    def refused(folder: Path) -> str:
        out = tmp_path / "run"
        line = fails(capsys, "train", folder, "--out", out, *SMALL)
        assert not out.exists()
        shutil.rmtree(tmp_path / "faulty", ignore_errors=True)
        return line

    folder, _, mask = faulty(scenes, tmp_path)
    mask.unlink()
    assert mask.name in refused(folder)

    folder, _, mask = faulty(scenes, tmp_path)
    with Image.open(mask) as image:
        image.resize((50, 40)).save(mask)
    line = refused(folder)
    assert mask.name in line
    assert "40" in line

    folder, _, mask = faulty(scenes, tmp_path)
    with Image.open(mask) as image:
        Image.fromarray(np.where(np.asarray(image) == 0, 99, np.asarray(image)).astype(np.uint8)).save(mask)
    line = refused(folder)
    assert mask.name in line
    assert "99" in line

    folder, picture, _ = faulty(scenes, tmp_path)
    picture.write_bytes(picture.read_bytes()[:2000])
    assert picture.name in refused(folder)

    folder, _, _ = faulty(scenes, tmp_path)
    (folder / "dataset.yaml").write_text("name: x\nclasses: [a, b]\n")
    assert "0..1" in refused(folder)

    (tmp_path / "empty").mkdir()
    assert "empty" in refused(tmp_path / "empty")
    assert "nowhere" in refused(tmp_path / "nowhere")


def test_models_and_sources_that_are_not_there(capsys, scenes, run, tmp_path):
    (tmp_path / "dot.png").write_bytes((run / "samples" / "epoch_0001.jpg").read_bytes())
    assert "no model at nowhere" in fails(
        capsys, "predict", "nowhere", tmp_path / "dot.png", "--out", tmp_path / "p"
    )
    assert "x.jpg does not exist" in fails(capsys, "predict", run, "x.jpg", "--out", tmp_path / "p")
    assert "expected a run folder" in fails(capsys, "evaluate", "nowhere", scenes)
    assert "expected one that has masks" in fails(capsys, "evaluate", run, scenes, "--split", "tset")
    assert "resume" in fails(capsys, "train", scenes, "--out", tmp_path / "none", "--resume")
    assert "already holds a run" in fails(capsys, "train", scenes, "--out", run)
    assert not (tmp_path / "p").exists()


def test_other_classes_are_not_evaluated(capsys, scenes, run, tmp_path):
    folder, _, _ = faulty(scenes, tmp_path)
    text = (folder / "dataset.yaml").read_text()
    (folder / "dataset.yaml").write_text(text.replace("balloon", "zeppelin"))
    assert "knows the class 'balloon', which" in fails(capsys, "evaluate", run, folder)


@pytest.mark.long
def test_the_demo(capsys, tmp_path):
    code, out, _ = call(capsys, "demo", "--out", tmp_path / "demo", "--json")
    assert code == 0
    figures = json.loads(out)
    assert figures["mean_iou"] >= 0.75
    assert Path(figures["report"]).exists()
    assert len(list((tmp_path / "demo" / "predictions" / "overlays").iterdir())) == figures["pictures"] == 4


def test_a_demo_refuses_a_folder_of_somebody_elses(capsys, tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    assert "holds no earlier demo" in fails(capsys, "demo", "--out", tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "precious"
