"""`fullconv explain`: tables on stdout, one JSON object, drawings, and mistakes in one line."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fullconv.cli import COMMANDS, main


@pytest.fixture
def call(capsys, monkeypatch):
    monkeypatch.setitem(COMMANDS, "explain", "Show where a network looks.")

    def run(*args: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["explain", *map(str, args)])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err
        assert stop.value.code is None or isinstance(stop.value.code, int)
        return stop.value.code or 0, captured.out, captured.err

    return run


def test_geometry_prints_a_table_and_draws(call, tmp_path):
    code, out, err = call("geometry", "fcn8s", "--size", "97x131", "--out", tmp_path / "new")
    assert (code, err) == (0, "")
    assert "fcn8s over resnet18 on a picture of 97 x 131" in out
    assert "32 i + 15.5" in out
    assert str(tmp_path / "new" / "geometry.png") in out
    with Image.open(tmp_path / "new" / "geometry.png") as image:
        assert image.width > 1000


def test_geometry_as_json(call, tmp_path):
    code, out, _ = call("geometry", "fcn16s", "--backbone", "torchvision/mobilenet_v2", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["size_hw"] == [375, 500]
    assert [scored["displacement_hw"] for scored in facts["maps"]] == [[15.5, 15.5], [7.5, 7.5]]
    assert facts["picture"] is None


def test_geometry_on_a_picture_of_ones_own(call, tmp_path):
    Image.fromarray(np.full((50, 70, 3), 9, np.uint8)).save(tmp_path / "own.png")
    code, out, _ = call("geometry", "resnet18", "--picture", tmp_path / "own.png", "--out", tmp_path)
    assert code == 0
    assert "a picture of 50 x 70" in out
    assert (tmp_path / "geometry.png").exists()


def test_upsampling_and_convolution(call, tmp_path):
    code, out, _ = call("upsampling", "--stride", "8", "--out", tmp_path)
    assert code == 0
    assert "561 x 728 -> 1122 x 1456" in out
    assert "0.562 of their size" in out
    code, out, _ = call("convolution", "--out", tmp_path)
    assert code == 0
    assert "348" in out
    assert {path.name for path in tmp_path.iterdir()} == {"upsampling.png", "convolution.png"}
    facts = json.loads(call("upsampling", "--json")[1])
    assert facts["weights"]["32"]["edge"] == 0.515625
    assert json.loads(call("convolution", "--json")[1])["wty"][0] == [348, 1089, 1830, 1179]


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (["geometry", "fcn8"], 1, "error: unknown model 'fcn8'; did you mean 'fcn8s'?"),
        (["geometry", "fcn8s", "--backbone", "resnet18_"], 1, "did you mean 'resnet18"),
        (["geometry", "no/where"], 1, "error: no model at no/where"),
        (["geometry", "resnet18", "--backbone", "resnet18"], 1, "leave it away"),
        (["geometry", "vit_tiny_patch16_224", "--size", "97x131"], 1, "give another --size"),
        (["geometry", "resnet18", "--picture", "nowhere.jpg"], 1, "nowhere.jpg"),
        (["geometry", "resnet18", "--picture", "x.jpg", "--size", "9x9"], 2, "leave --size away"),
        (["geometry", "fcn8s", "--size", "97"], 2, "expected HEIGHTxWIDTH"),
        (["upsampling", "--stride", "3"], 2, "3 is odd"),
        (["geometri"], 2, "No such command"),
    ],
)
def test_mistakes_are_one_clear_line(call, args, code, words):
    got, out, err = call(*args)
    assert (got, out) == (code, "")
    assert words in err


@pytest.mark.parametrize(
    "args", [["--help"], ["geometry", "--help"], ["upsampling", "--help"], ["convolution", "--help"]]
)
def test_help_needs_no_torch(args):
    code = (
        "import sys; from fullconv.cli.explain import explain\n"
        f"explain({args!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'timm', 'torchvision', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
