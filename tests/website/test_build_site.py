"""What is brought to the site, and that it holds together; the site itself is built by the slow test."""

import re
import tomllib
from pathlib import Path

import pytest

from build_site import ROOT, build, is_lesson, pages, public, stage, turned
from links import faults_of


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    stage(folder)
    return folder


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_page_is_in_the_navigation_and_every_entry_is_a_page(staged, language):
    settings = tomllib.loads((staged / f"zensical.{language}.toml").read_text(encoding="utf-8"))
    entries = set(re.findall(r"'([^']+\.md)'", str(settings["project"]["nav"])))
    there = {page.relative_to(staged / language).as_posix() for page in (staged / language).rglob("*.md")}
    assert there - entries == set(), "add these to website/zensical.*.toml"
    assert entries - there == set(), "website/zensical.*.toml names pages that are not there"


def test_each_lesson_has_its_notebook_in_both_languages(staged):
    for language in ("en", "zh"):
        lessons = [page for page in (staged / language / "course").glob("*.md") if is_lesson(page)]
        assert len(lessons) == 9
        for page in lessons:
            assert page.with_suffix(".ipynb").is_file()
            assert f"({page.stem}.ipynb)" in page.read_text(encoding="utf-8")
            assert not page.read_text(encoding="utf-8").startswith("<!--")


def test_both_courses_have_the_same_pages_and_figures(staged):
    names = [
        {path.relative_to(staged / language / "course") for path in (staged / language / "course").rglob("*")}
        for language in ("en", "zh")
    ]
    assert names[0] == names[1]


def test_links_are_turned_to_where_pages_go():
    places = pages()
    chinese, english = ROOT / "docs/zh/course/1-matrix.md", ROOT / "docs/course/1-matrix.md"
    assert turned("[a](../../performance.md#data)", chinese, places) == "[a](../../performance.html#data)"
    assert turned("[a](../start.md)", chinese, places) == "[a](../start.md)"
    assert turned("![a](../../course/figures/matrix.png)", chinese, places) == "![a](figures/matrix.png)"
    assert turned("[a](../../recipes/README.md)", english, places) == "[a](../recipes.md)"
    assert turned("[a](https://x.org/y) [b](#c)", english, places) == "[a](https://x.org/y) [b](#c)"
    fence = "```\n[a](gone.md)\n```\n"
    assert turned(fence, english, places) == fence
    assert public(Path("en/data.md")) == Path("data.md")
    assert public(Path("zh/start.md")) == Path("zh/start.md")
    with pytest.raises(ValueError, match=r"gone\.md is no page or file of the site"):
        turned("[a](gone.md)", english, places)


@pytest.mark.slow
def test_the_site_is_built_and_all_its_links_lead_somewhere(tmp_path):
    build(tmp_path / "site")
    assert faults_of(tmp_path / "site") == []
    page = (tmp_path / "site/api/ops.html").read_text(encoding="utf-8")
    assert 'id="fullconv.ops.geometry.Window"' in page
    assert "&gt;&gt;&gt;" in page
