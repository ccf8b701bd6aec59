"""fullconv data convert"""

import json
from pathlib import Path

import pytest

from fullconv.cli.data_convert import FORMS
from fullconv.data.scenes import write_scenes


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    return write_scenes(tmp_path_factory.mktemp("scenes") / "scenes", num_train=2, num_val=1)


def run(capsys, *args: object) -> tuple[int, str, str]:
    from fullconv.cli import main

    with pytest.raises(SystemExit) as stop:
        main(["data", "convert", *map(str, args)])
    return (stop.value.code or 0, *capsys.readouterr())  # pyright: ignore[reportReturnType]


def test_the_forms_are_those_of_the_library():
    from fullconv.data.convert import FORMS as known

    assert (*known, "webdataset") == FORMS


def test_a_form_without_loss(scenes: Path, tmp_path: Path, capsys):
    code, out, _ = run(capsys, scenes, tmp_path / "new", "--to", "twin")
    assert code == 0
    assert (
        out == f"{tmp_path / 'new'}: 2 train, 1 val as twin\nmasks read back: all 82,944 pixels as before\n"
    )


def test_a_form_with_loss(scenes: Path, tmp_path: Path, capsys):
    code, out, _ = run(capsys, f"voc:{scenes}", tmp_path / "new", "--to", "yolo", "--tolerance", "1.5")
    assert code == 0
    first, second, third = out.splitlines()
    assert first.endswith("2 train, 1 val as yolo")
    assert second.startswith("masks read back: ")
    assert "of 82,944 pixels changed; mean IU of old against new 9" in second
    assert third.endswith("of all were void, for which yolo has no place: they are background now")


def test_json(scenes: Path, tmp_path: Path, capsys):
    code, out, _ = run(capsys, scenes, tmp_path / "new", "--to", "coco", "--polygons", "--link", "--json")
    assert code == 0
    assert json.loads(out) == {
        "data": str(tmp_path / "new"),
        "form": "coco",
        "splits": {"train": 2, "val": 1},
        "pixels": 82944,
        "changed_pixels": 0,
        "void_lost": 0,
        "mean_iou": 1.0,
        "left_out": [],
    }


def test_what_is_left_out_is_told(tmp_path: Path, capsys):
    write_scenes(tmp_path / "old", num_train=1, num_val=1, geometry=True)
    code, _, err = run(capsys, tmp_path / "old", tmp_path / "new", "--to", "voc")
    assert code == 0
    assert "warning: head geometry: left out; voc is written with the first head and RGB alone" in err


@pytest.mark.parametrize(
    ("args", "code", "complaint"),
    [
        (["--to", "koko"], 2, "'koko' is not one of"),
        ([], 2, "Missing option '--to'"),
        (["--to", "voc", "--tolerance", "1"], 2, "--tolerance is for polygons; add --polygons"),
        (["--to", "voc", "--polygons"], 1, "error: got polygons for voc, which is written in pixels"),
    ],
)
def test_wrong_usage(scenes: Path, tmp_path: Path, capsys, args, code, complaint):
    found, out, err = run(capsys, scenes, tmp_path / "new", *args)
    assert (found, out) == (code, "")
    assert complaint in err
    assert not (tmp_path / "new").exists()
