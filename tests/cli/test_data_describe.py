"""fullconv data describe: prints or writes a dataset.yaml."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fullconv.cli import main
from fullconv.data.dataset import open_dataset


def call(capsys: pytest.CaptureFixture[str], *args: object, code: int = 0) -> tuple[str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["data", "describe", *map(str, args)])
    assert (stop.value.code or 0) == code
    said = capsys.readouterr()
    return said.out, said.err


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("images", "masks"):
        (tmp_path / "bags" / name).mkdir(parents=True)
        for key in ("a", "b"):
            pixels = (
                np.zeros((2, 4, 3), np.uint8)
                if name == "images"
                else np.array([[0, 1, 2, 255]] * 2, np.uint8)
            )
            Image.fromarray(pixels).save(tmp_path / "bags" / name / f"{key}.png")
    return tmp_path / "bags"


def test_printed(capsys, folder):
    out, err = call(capsys, folder)
    assert out == (
        "name: bags\nlayout: flat\nclasses:\n  - {name: class_0, color: [0, 0, 0]}\n  - {name: class_1, color: [128, 0, 0]}\n"
        "  - {name: class_2, color: [0, 128, 0]}\n"
    )
    assert err == ""
    assert not (folder / "dataset.yaml").exists()


def test_written_and_then_refused(capsys, folder):
    out, err = call(capsys, f"flat:{folder}", "--write", "--json")
    assert json.loads(out) == {
        "data": str(folder),
        "layout": "flat",
        "found": "flat images/ + masks/ without lists; val is a tenth, chosen by the names' SHA-256",
        "splits": {"train": 1, "val": 1},
        "classes": ["class_0", "class_1", "class_2"],
        "written": f"{folder}/dataset.yaml",
    }
    assert err == f"written to {folder}/dataset.yaml\n"
    assert open_dataset(folder).labels.names == ("class_0", "class_1", "class_2")
    out, err = call(capsys, folder, "--write", code=1)
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"error: {folder}/dataset.yaml: is there already")
    assert call(capsys, "flot:x", code=1)[1].startswith("error: unknown layout 'flot'; did you mean 'flat'?")
