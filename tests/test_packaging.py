"""What is released: the locked packages, and a wheel that does its work in an environment of its own."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pins(file: str) -> dict[str, str]:
    """Name -> version of the lines NAME==VERSION."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", (ROOT / file).read_text(), re.M))


def test_the_lock_is_what_is_tested():
    """Each locked package has its digests, and the version of the environment in which the tests run."""
    locked, tested = pins("requirements.lock"), pins("constraints.txt")
    text = (ROOT / "requirements.lock").read_text()
    assert {"torch", "timm", "fastapi", "onnx", "pyarrow"} <= locked.keys()
    assert len(re.findall(r"^[\w.-]+==[^\n]*\\\n    --hash=sha256:[0-9a-f]{64}", text, re.M)) == len(locked)
    assert {name: version for name, version in locked.items() if tested.get(name, version) != version} == {}
    assert "://" not in text


@pytest.mark.long
def test_the_wheel_predicts_in_an_environment_of_its_own(tmp_path):
    """Needs a registry of packages; the sdist is what the wheel is built from."""
    uv = [str(Path(sys.executable).with_name("uv"))]
    python = tmp_path / "env" / "bin" / "python"
    picture = ROOT / "docs" / "images" / "catdog.jpg"
    for command in (
        [*uv, "build", "--quiet", "--out-dir", tmp_path / "dist", ROOT],
        [*uv, "venv", "--quiet", "--python", sys.executable, tmp_path / "env"],
    ):
        subprocess.run(command, check=True)
    (wheel,) = (tmp_path / "dist").glob("*.whl")
    install = [
        *uv,
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        ROOT / "constraints.txt",
        wheel,
    ]
    if subprocess.run(install, check=False).returncode:
        pytest.skip("packages cannot be installed here")
    fullconv = [python.with_name("fullconv")]
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [*fullconv, "predict", "animals", picture, "--out", tmp_path / "out"],
        check=True,
        env=clean,
        cwd=tmp_path,
    )
    assert (tmp_path / "out" / "masks" / "catdog.png").exists()
    refused = subprocess.run(
        [*fullconv, "serve", "camvid"], capture_output=True, text=True, env=clean, check=False
    )
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: the service needs fastapi; run: pip install 'fullconv[serve]'\n",
    )
