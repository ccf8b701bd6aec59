"""The floors of the house: a module imports only from floors below its own, or from its own package."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "fullconv"

FLOORS = {
    "errors": 0,
    "labels": 0,
    "storage": 0,
    "download": 1,
    "hub": 1,
    "lookahead": 1,
    "devices": 1,
    "model_card": 1,
    "preprocessing": 1,
    "ops": 1,
    "models": 2,
    "losses": 2,
    "metrics": 2,
    "drawing": 2,
    "data": 2,
    "bundle": 3,
    "evaluation": 3,
    "training": 4,
    "inference": 4,
    "export": 5,
    "reporting": 5,
    "serving": 5,
    "cli": 6,
}
"""The first part of a module's name -> its floor. Modules on one floor import each other only inside one package,"""

SIBLINGS = {("labels", "errors"), ("storage", "errors")}
"""except these."""


def unit(module: str) -> str:
    return module.split(".")[1] if "." in module else "fullconv"


def imports(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} has a relative import"
            found.add(node.module or "")
    return {name for name in found if name.startswith("fullconv.")}


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_down(file):
    own = file.relative_to(SOURCE).with_suffix("").parts[0]
    if own in ("__init__", "__main__"):
        return
    for module in imports(file):
        other = unit(module)
        allowed = other == own or FLOORS[other] < FLOORS[own] or (own, other) in SIBLINGS
        assert allowed, f"{own} (floor {FLOORS[own]}) imports {module} (floor {FLOORS[other]})"


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_files_and_functions_stay_small(file):
    text = file.read_text()
    assert text.count("\n") <= 400, f"{file.name} is too long; split it"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno
            assert length <= 60, f"{file.name}: {node.name} has {length} lines; split it"


def test_no_code_is_loaded_from_model_files():
    """Weights are read as data: nothing may ask torch to unpickle, nor pickle itself."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.keyword) and node.arg == "weights_only":
                assert isinstance(node.value, ast.Constant)
                assert node.value.value is True, file
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                assert any(keyword.arg == "weights_only" for keyword in node.keywords), file
            if isinstance(node, ast.Import):
                assert not {"pickle", "marshal", "shelve"} & {alias.name for alias in node.names}, file


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        *([name, "--help"] for name in ("train", "predict", "data", "explain", "serve", "export", "import")),
    ],
)
def test_help_needs_no_torch(command):
    code = (
        "import sys; from fullconv.cli import main\n"
        f"try: main({command!r})\n"
        "except SystemExit as stop: assert not stop.code, stop.code\n"
        "heavy = {'torch', 'timm', 'torchvision', 'numpy', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
