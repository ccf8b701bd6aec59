"""fullconv bench"""

import ast
from pathlib import Path

import click


@click.command(context_settings={"allow_interspersed_args": False})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def bench(name: str | None, arguments: tuple[str, ...], as_json: bool) -> None:
    """List the benchmarks, or run the one called NAME with its own arguments.

    They measure this machine, as ratios to a peer or to a floor taken in the same run.

    \b
    fullconv bench
    fullconv bench labels --help
    fullconv bench upsampling
    """
    import subprocess
    import sys
    import time

    from fullconv.cli.console import print_json
    from fullconv.errors import ConfigError, hint

    scripts = {file.stem: file for file in sorted(folder().glob("*.py")) if file.stem != "common"}
    if name is None:
        titles = {each: title(file) for each, file in scripts.items()}
        if as_json:
            print_json({"benchmarks": titles})
        else:
            print("\n".join(f"{each:20}{line}" for each, line in titles.items()))
        return
    if name not in scripts:
        raise click.UsageError(f"no benchmark {name!r}; {hint(name, scripts)}")
    if missing := missing_packages(scripts[name]):
        raise ConfigError(f"benchmark {name} needs {', '.join(missing)}; run: pip install 'fullconv[bench]'")
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, scripts[name], *arguments], stdout=subprocess.PIPE if as_json else None, text=True, check=False
    )  # fmt: skip
    if as_json and done.returncode == 0:
        print_json(
            {"benchmark": name, "seconds": time.perf_counter() - began, "output": done.stdout.splitlines()}
        )
    sys.exit(done.returncode)


def folder() -> Path:
    """Where the scripts are: in the package that was installed, or beside the source."""
    import fullconv

    package = Path(fullconv.__file__).parent
    installed = package / "benchmarks"
    return installed if installed.is_dir() else package.parents[1] / "benchmarks"


def missing_packages(script: Path) -> list[str]:
    """What a script imports at its head and this environment lacks; scripts import each other, too."""
    from importlib.util import find_spec

    imports = [
        each
        for each in ast.parse(script.read_text("utf-8")).body
        if isinstance(each, ast.Import | ast.ImportFrom)
    ]
    modules = {
        name.partition(".")[0]
        for each in imports
        for name in (
            [each.module or ""] if isinstance(each, ast.ImportFrom) else [alias.name for alias in each.names]
        )
    }
    return sorted(
        name for name in modules if not script.with_name(f"{name}.py").exists() and find_spec(name) is None
    )


def title(file: Path) -> str:
    """The first line of a script's docstring."""
    return (ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").partition("\n")[0]
