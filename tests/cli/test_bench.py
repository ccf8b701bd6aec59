"""fullconv bench: the list, a script with its own arguments, and where the scripts are found."""

import json

from calling import call

from fullconv.cli import bench


def test_each_benchmark_is_listed_with_what_it_measures(capsys):
    code, out, _ = call(capsys, "bench")
    lines = out.splitlines()
    assert code == 0
    assert len(lines) > 20
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in lines), lines
    _, out, _ = call(capsys, "bench", "--json")
    listed = json.loads(out)["benchmarks"]
    assert [line.split()[0] for line in lines] == list(listed)
    assert "common" not in listed


def test_a_script_gets_its_own_arguments_and_gives_its_exit_code(capfd, tmp_path, monkeypatch):
    (tmp_path / "echo.py").write_text(
        '"""Says it again."""\nimport sys\nprint(*sys.argv[1:])\nsys.exit(len(sys.argv) - 3)'
    )
    monkeypatch.setattr(bench, "folder", lambda: tmp_path)
    assert call(capfd, "bench", "echo", "--json", "a b") == (0, "--json a b\n", "")
    assert call(capfd, "bench", "echo", "--kills", "3", "4") == (1, "--kills 3 4\n", "")
    code, out, _ = call(capfd, "bench", "--json", "echo", "1", "2")
    assert code == 0
    assert json.loads(out)["output"] == ["1 2"]


def test_packages_that_are_not_there_are_named(capsys, tmp_path, monkeypatch):
    (tmp_path / "echo.py").write_text(
        "import json, nosuch.thing\nfrom common import a\nfrom neither import b"
    )
    (tmp_path / "common.py").touch()
    monkeypatch.setattr(bench, "folder", lambda: tmp_path)
    code, out, err = call(capsys, "bench", "echo")
    assert (code, out) == (1, "")
    assert err == "error: benchmark echo needs neither, nosuch; run: pip install 'fullconv[bench]'\n"


def test_a_name_that_is_none_is_said(capsys):
    code, out, err = call(capsys, "bench", "predicton")
    assert (code, out) == (2, "")
    assert "no benchmark 'predicton'; did you mean 'prediction'?" in err
    assert "expected one of: ceilings" in call(capsys, "bench", "zzzz")[2]
