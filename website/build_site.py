"""Builds the documentation site, English and Chinese, and checks its links.

    python website/build_site.py [FOLDER]

The pages lie in `docs/`, the Chinese ones in `docs/zh/`. They are brought to `.site/`, where links between them are turned to
where they go on the site, each lesson gets its notebook beside it, and zensical makes a site of each language. FOLDER is
`.site/public` if it is not named; open its `index.html`, no server is needed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from links import faults_of
from notebooks import write_notebook

ROOT = Path(__file__).resolve().parents[1]
STAGE = ROOT / ".site"
LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
LANGUAGES = ("en", "zh")
DOWNLOAD = {
    "en": "[Download this lesson as a notebook]({name}){{ .md-button download }}",
    "zh": "[下载本课的 Jupyter 笔记本]({name}){{ .md-button download }}",
}


def pages() -> dict[Path, Path]:
    """Which file of the repository goes where in `.site`: `en/...` or `zh/...`.

    Files that both sites show, such as the figures, stand here once, for English; `staged` knows.
    """
    places = {
        ROOT / "CHANGELOG.md": Path("en/changelog.md"),
        ROOT / "CONTRIBUTING.md": Path("en/contributing.md"),
    }
    places[ROOT / "recipes/README.md"] = Path("en/recipes.md")
    for file in sorted((ROOT / "docs").rglob("*")):
        if file.is_file():
            path = file.relative_to(ROOT / "docs")
            places[file] = path if path.parts[0] == "zh" else Path("en") / path
    return places


def turned(text: str, file: Path, places: dict[Path, Path]) -> str:
    """A page's text with its links pointing to where their targets go.

    Raises:
        ValueError: a link leads to a file that is not on the site, or to none.
    """
    own = places[file]

    def address(match: re.Match[str]) -> str:
        target = (file.parent / match["path"]).resolve()
        if target not in places:
            raise ValueError(f"{file}: {match['path']} is no page or file of the site")
        there = places[target]
        if there.parts[0] != own.parts[0]:
            if there.suffix == ".md":
                # To the other language's site, as it lies beside this one when both are built.
                there = public(there).with_suffix(".html")
                return os.path.relpath(there, public(own).parent) + (match["anchor"] or "")
            there = Path(own.parts[0], *there.parts[1:])
        return Path(os.path.relpath(there, own.parent)).as_posix() + (match["anchor"] or "")

    parts, end = [], 0
    for fence in FENCED.finditer(text):
        parts += [LINK.sub(address, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, LINK.sub(address, text[end:])])


def public(path: Path) -> Path:
    """Where a staged page is found on the built site: English at its root."""
    return Path(*path.parts[1:]) if path.parts[0] == "en" else path


def stage(folder: Path) -> None:
    """Brings all pages, pictures and notebooks to where zensical is to find them."""
    places = pages()
    for file, place in places.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        if file.suffix != ".md":
            for language in LANGUAGES if place.parts[0] == "en" else ["zh"]:
                copy = folder / language / Path(*place.parts[1:])
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, copy)
            continue
        text = turned(file.read_text(encoding="utf-8"), file, places)
        if is_lesson(file):
            name = write_notebook(file, (folder / place).parent).name
            title, _, rest = text.partition("\n")
            text = f"{title}\n\n{DOWNLOAD[place.parts[0]].format(name=name)}\n{rest}"
        if has_wide_table(text):
            text = "---\nhide: [toc]\n---\n\n" + text
        (folder / place).write_text(text, encoding="utf-8")
    for language in LANGUAGES:
        shutil.copyfile(ROOT / "website" / "style.css", folder / language / "style.css")
        settings = (ROOT / "website" / f"zensical.{language}.toml").read_text(encoding="utf-8")
        settings = settings.replace("# the decisions", decisions())
        (folder / f"zensical.{language}.toml").write_text(settings, encoding="utf-8")


def decisions() -> str:
    """The navigation's lines for the pages of `docs/decisions`, named by their titles."""
    lines = []
    for file in sorted((ROOT / "docs/decisions").glob("*.md")):
        title = file.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").replace("`", "")
        lines.append(f'{{ "{title}" = "decisions/{file.name}" }},')
    return "\n      ".join(lines)


def is_lesson(file: Path) -> bool:
    """
    >>> is_lesson(Path("docs/course/1-matrix.md")), is_lesson(Path("docs/course/index.md"))
    (True, False)
    """
    return file.parent.name == "course" and file.name[0].isdigit()


def has_wide_table(text: str) -> bool:
    """Whether a page needs the room of its list of contents for tables of more than five columns.

    >>> has_wide_table("| a | b |"), has_wide_table("|" + " a |" * 6)
    (False, True)
    """
    return any(line.startswith("|") and line.count("|") > 6 for line in text.splitlines())


def build(folder: Path) -> None:
    """Stages and builds both languages below `.site`, and brings the result to `folder`."""
    shutil.rmtree(STAGE, ignore_errors=True)
    stage(STAGE)
    for language in LANGUAGES:
        command = [
            sys.executable,
            "-m",
            "zensical",
            "build",
            "--clean",
            "--config-file",
            f"zensical.{language}.toml",
        ]
        done = subprocess.run(command, cwd=STAGE, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        print(done.stdout, end="")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(STAGE / "built.en", folder)
    shutil.copytree(STAGE / "built.zh", folder / "zh")


def main() -> None:
    folder = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else STAGE / "public"
    build(folder)
    faults = faults_of(folder)
    if faults:
        raise SystemExit("\n".join(faults))
    print(f"{folder / 'index.html'}: {len(list(folder.rglob('*.html')))} pages, all links lead somewhere")


if __name__ == "__main__":
    main()
