"""fullconv data info."""

import json

from calling import call
from data_sets import stripes, write_set

from fullconv.cli.data_info import blocks_for


def test_info(capsys, tmp_path):
    maps = [stripes(4, 12, [0, 1])] * 8
    folder = write_set(tmp_path / "scenes", {"train": maps[:6], "val": maps[6:]}, ["background", "bag"])
    code, out, err = call(capsys, "data", "info", folder, "--html", tmp_path / "page.html")
    assert code == 0
    assert out.startswith("scenes: twin trees images/ + masks/\n")
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
