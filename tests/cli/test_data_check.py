"""`data check` and `data sample --fault`, as they are typed."""

import json
from pathlib import Path

import pytest
from calling import call

from fullconv.data.faults.planting import FAULTS, plant
from fullconv.data.scenes import write_scenes


@pytest.fixture
def scenes(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "scenes", 6, 3, size_hw=(64, 64))


def test_a_sound_set_exits_with_0(capsys, scenes):
    code, out, _ = call(capsys, "data", "check", scenes)
    assert code == 0
    assert "train 6, val 3; 7 classes" in out
    assert f"ready for: fullconv train {scenes} --out runs/first" in out


def test_faults_are_told_worst_first(capsys, scenes):
    plant(scenes, ["mask-missing", "picture-missing"])
    code, out, _ = call(capsys, "data", "check", scenes)
    assert code == 1
    lines = out.splitlines()
    (ruin,) = [number for number, line in enumerate(lines) if line.startswith(" RUINS")]
    (harm,) = [number for number, line in enumerate(lines) if line.startswith(" HARMS")]
    assert ruin < harm
    assert lines[ruin].split() == ["RUINS", "2", "pictures", "without", "a", "mask", "mask-missing"]
    assert lines[ruin + 1].strip() == "VOCdevkit/VOC2012/JPEGImages/train_0000.jpg"  # as in the folder
    assert lines[ruin + 4].strip().endswith("; --fix NEW leaves the pictures out")
    assert lines[-1].startswith("1 would ruin a run, 1 would harm it")
    assert lines[-1].endswith(f"; 2 can be mended: fullconv data check {scenes} --fix {scenes}-mended")


def test_harm_alone_exits_with_0(capsys, scenes):
    plant(scenes, ["in-two-splits"])
    code, out, _ = call(capsys, "data", "check", scenes)
    assert (code, "1 would harm it" in out) == (0, True)


def test_only_the_first_files_are_shown(capsys, scenes):
    for path in scenes.rglob("SegmentationClass/*.png"):
        path.write_bytes(b"")
    code, out, _ = call(capsys, "data", "check", scenes)
    assert code == 1
    assert out.count("is empty (0 bytes)") == 3
    assert "and 6 more" in out


def test_brackets_in_names_are_no_markup(capsys, scenes, tmp_path):
    folder = scenes.rename(tmp_path / "[bold] red")
    code, out, _ = call(capsys, "data", "check", folder)
    assert (code, "[bold] red" in out) == (0, True)


def test_json_holds_everything(capsys, scenes):
    plant(scenes, ["unreadable"])
    code, out, _ = call(capsys, "data", "check", scenes, "--json")
    figures = json.loads(out)
    assert code == 1
    assert figures["counts"] == {"ruins": 1, "harms": 0, "information": 0}
    (finding,) = figures["findings"]
    assert finding.keys() == {
        "code", "severity", "title", "num_files", "files", "consequence", "remedy", "fixable",
    }  # fmt: skip
    assert len(finding["files"]) == 3


def test_fix(capsys, scenes, tmp_path):
    plant(scenes, ["unreadable"])
    code, out, _ = call(capsys, "data", "check", scenes, "--fix", tmp_path / "mended")
    assert code == 0
    first, *_ = out.splitlines()
    assert " ".join(first.split()) == (
        "mended 3 files that cannot be read: leaves them and their partners out unreadable"
    )
    assert f"{tmp_path / 'mended'} holds the copy; {scenes} is as it was" in out
    assert "ready for: fullconv train" in out


def test_fix_as_json_and_what_cannot_be_mended(capsys, scenes, tmp_path):
    plant(scenes, ["mask-ids", "mask-size"])
    options = ["--fix", tmp_path / "mended", "--also", "mask-size", "--json"]
    code, out, _ = call(capsys, "data", "check", scenes, *options)
    figures = json.loads(out)
    assert code == 1
    assert [each["code"] for each in figures["findings"]] == ["mask-size", "mask-ids"]
    assert figures["mended"]["done"].keys() == {"mask-size"}
    assert [each["code"] for each in figures["mended"]["left"]["findings"]] == ["mask-ids"]


def test_nothing_to_mend(capsys, scenes, tmp_path):
    code, out, _ = call(capsys, "data", "check", scenes, "--fix", tmp_path / "mended")
    assert (code, "nothing could be mended; the copy is as it was" in out) == (0, True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--also", "mask-size"], "expected --fix NEW_FOLDER too"),
        (["--fix", "{scenes}/inside"], "expected a folder apart"),
        (["--fix", "{scenes}-mended", "--also", "mask-idz"], "unknown fault for --also 'mask-idz'"),
        (["--model", "no-such-model"], "no-such-model"),
    ],
)
def test_wrong_options(capsys, scenes, options, message):
    code, _, err = call(
        capsys, "data", "check", scenes, *(option.format(scenes=scenes) for option in options)
    )
    assert code == 1
    assert message in err
    assert len(err.splitlines()) == 1


def test_a_folder_that_is_none(capsys, tmp_path):
    code, out, err = call(capsys, "data", "check", tmp_path / "nothing")
    assert (code, err) == (1, "")
    assert "the data set cannot be opened" in out
    assert "no such folder" in out


def test_html(capsys, scenes, tmp_path):
    plant(scenes, ["mask-ids"])
    code, _, err = call(capsys, "data", "check", scenes, "--html", tmp_path / "out" / "report.html")
    assert code == 1
    assert err == f"report {tmp_path / 'out' / 'report.html'}\n"
    assert "mask-ids" in (tmp_path / "out" / "report.html").read_text()


def test_sample_with_faults(capsys, tmp_path):
    folder = tmp_path / "faulty"
    options = ["--train", 8, "--val", 3, "--fault", "mask-void", "--fault", "mask-ids", "--seed", 3]
    code, out, _ = call(capsys, "data", "sample", folder, *options)
    assert code == 0
    assert "planted faults: mask-ids, mask-void; try 'fullconv data check" in out
    code, out, _ = call(capsys, "data", "check", folder, "--json")
    assert {each["code"] for each in json.loads(out)["findings"]} >= {"mask-ids", "mask-void"}


def test_sample_with_a_fault_as_json(capsys, tmp_path):
    options = ["--train", 4, "--val", 3, "--fault", "mask-void", "--json"]
    code, out, _ = call(capsys, "data", "sample", tmp_path / "faulty", *options)
    assert (code, json.loads(out)["faults"]) == (0, ["mask-void"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fault", "mask-voidd"], "unknown fault 'mask-voidd'; did you mean 'mask-void'?"),
        (["--fault", "mask-void", "--depth"], "leave --depth and --geometry away"),
        (["--fault", "layout", "--fault", "mask-void"], "expected it alone"),
    ],
)
def test_wrong_faults(capsys, tmp_path, options, message):
    code, _, err = call(capsys, "data", "sample", tmp_path / "faulty", *options)
    assert code == 1
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_the_help_names_every_fault(capsys):
    _, out, _ = call(capsys, "data", "sample", "--help")
    assert set(FAULTS) <= set(out.replace(",", " ").replace(".", " ").split())


def test_training_names_the_command_that_tells_all(capsys, scenes, tmp_path):
    plant(scenes, ["mask-ids"])
    code, _, err = call(capsys, "train", scenes, "--out", tmp_path / "run", "--epochs", 1)
    assert code == 1
    assert err.endswith(f"; 'fullconv data check {scenes}' tells all, and mends what it can\n")
    assert "id 77 on 230 pixels is none of the 7 classes" in err
    assert not (tmp_path / "run").exists()
