"""Blocks run and print what the page says; the Chinese pages say the same; the commands of all pages exist.

The lessons are run as notebooks, by `test_notebooks.py`.
"""

import contextlib
import io
import re
from pathlib import Path

import click
import pytest

from blocks import agrees, blocks_of, commands_of, images_of, prepare, run

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "README.zh-CN.md",
    ROOT / "recipes/README.md",
    *sorted(DOCS.rglob("*.md")),
]

CHINESE = sorted(path for path in (DOCS / "zh").rglob("*.md") if path.name != "index.md")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


RUN = [
    pytest.param(DOCS / "start.md", marks=pytest.mark.slow),
    DOCS / "api/index.md",
]


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("page", RUN, ids=name_of)
def test_blocks_print_what_the_page_says(page, tmp_path, monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "Agg")
    prepare(tmp_path)
    with contextlib.chdir(tmp_path):
        for block, printed in run(page):
            where = f"{page}:{block.line}"
            assert block.prints or not printed or block.language == "sh", (
                f"{where} prints {printed!r}, the page does not say so"
            )
            if block.prints:
                assert agrees(block.prints, printed), f"{where} prints\n{printed}"
    drawn = {path.name for path in tmp_path.iterdir()}
    for path in images_of(text_of(page)):
        assert Path(path).name in drawn or "images" in Path(path).parts, (
            f"{path} is drawn by no block of {page}"
        )


@pytest.mark.parametrize("page", CHINESE, ids=name_of)
def test_the_chinese_page_has_the_code_and_outputs_of_the_english_one(page):
    english = DOCS / page.relative_to(DOCS / "zh")
    ours, theirs = blocks_of(text_of(page)), blocks_of(text_of(english))
    assert [(block.language, block.mark) for block in ours] == [
        (block.language, block.mark) for block in theirs
    ]
    for one, other in zip(ours, theirs, strict=True):
        assert one.code == other.code, f"{page}:{one.line} is not {english}:{other.line}"
        assert (one.prints and one.prints.code) == (other.prints and other.prints.code)
    assert [Path(path).name for path in images_of(text_of(page))] == [
        Path(path).name for path in images_of(text_of(english))
    ]


@pytest.mark.parametrize("page", CHINESE, ids=name_of)
def test_the_chinese_page_is_translated(page):
    prose = re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL)
    for paragraph in re.split(r"\n\n+", prose):
        words = re.sub(r"`[^`]*`|\]\([^)]*\)|<[^>]*>", "", paragraph)
        is_english = len(re.findall(r"[A-Za-z]{2,}", words)) > 12 and not re.search(r"[\u4e00-\u9fff]", words)
        assert not is_english, f"{page}: {paragraph[:80]!r}"


def test_both_readmes_show_the_same_commands_pictures_and_figures():
    english, chinese = text_of(ROOT / "README.md"), text_of(ROOT / "README.zh-CN.md")
    assert [images_of(english), len(blocks_of(english))] == [images_of(chinese), len(blocks_of(chinese))]
    assert commands_of(english) == commands_of(chinese)
    assert numbers_of_table(english) == numbers_of_table(chinese)


def numbers_of_table(page: str) -> list[list[str]]:
    rows = [line for line in page.splitlines() if line.startswith("|")]
    return [sorted(re.findall(r"\d+(?:[.,]\d+)*", row)) for row in rows]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_on_pages_exist(page):
    from fullconv.cli import cli

    for words in commands_of(text_of(page)):
        command, rest = cli, words
        context = click.Context(cli)
        while isinstance(command, click.Group) and rest and not rest[0].startswith("-"):
            found = command.get_command(context, rest[0])
            assert found is not None, f"{page}: fullconv {' '.join(words)}"
            command, rest = found, rest[1:]
        known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)} | {
            "-h",
            "--help",
        }
        options = {word.partition("=")[0] for word in rest if word.startswith("--")}
        assert options <= known, f"{page}: fullconv {' '.join(words)}"


def test_a_page_that_says_another_number_is_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("```python\nprint(1)\n```\n\n```text\n2\n```\n", encoding="utf-8")
    with contextlib.redirect_stdout(io.StringIO()):
        [(block, printed)] = list(run(page))
    assert block.prints is not None
    assert not agrees(block.prints, printed)
