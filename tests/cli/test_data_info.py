"""fullconv data info."""

import json

from calling import call

from fullconv.cli.data_info import blocks_for
from fullconv.data.scenes import write_scenes


def test_info(capsys, tmp_path):
    folder = write_scenes(tmp_path / "scenes", num_train=6, num_val=2, seed=1)
    code, out, err = call(capsys, "data", "info", folder, "--html", tmp_path / "page.html")
    assert code == 0
    assert out.startswith("scenes: VOCdevkit with lists train.txt, val.txt\n")
    assert "to begin with\n" in out
    assert err == f"page   {tmp_path}/page.html\n"
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")

    code, out, err = call(capsys, "data", "info", folder, "--json", "--split", "val")
    told = json.loads(out)
    assert (code, err) == (0, "")
    assert list(told["splits"]) == ["val"]
    assert told["splits"]["val"]["pictures"] == 2

    code, out, err = call(capsys, "data", "info", folder, "--split", "test")
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert "got split 'test'" in err
    assert err.count("\n") == 1


def test_terminals():
    assert blocks_for("utf-8")[-1] == "█"
    assert blocks_for("latin-1") == blocks_for("no such encoding") == blocks_for(None) == " #"
