"""Lessons as notebooks: their cells are the page's blocks, and run in a kernel they print what the page says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient
from nbformat import v4

from blocks import agrees, images_of, prepare
from notebooks import notebook_of, printed_by, run_blocks, write_notebook

COURSE = Path(__file__).parents[2] / "docs/course"
LESSONS = sorted(COURSE.glob("[1-9]-*.md"))
LONG = ("4-heat-map", "6-skips", "7-training", "8-any-size", "9-crf-and-papers")


@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)
def test_cells_are_the_blocks_of_the_page(page, tmp_path):
    text = page.read_text(encoding="utf-8")
    notebook = nbformat.read(write_notebook(page, tmp_path), as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == [block.code.rstrip("\n") for block in run_blocks(text)]
    shown = ["".join(output.text for output in cell.outputs) for cell in cells]
    assert shown == [block.prints.code if block.prints else "" for block in run_blocks(text)]


@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)
def test_text_has_nothing_of_the_pages_frame(page):
    text = page.read_text(encoding="utf-8")
    for cell in notebook_of(text).cells:
        if cell.cell_type == "markdown":
            assert "<details" not in cell.source
            assert "<!--" not in cell.source
            assert ".md)" not in cell.source
            assert "figures/" not in cell.source
    questions = text.count("<details")
    assert (
        sum(
            cell.source.count("*Answer*") + cell.source.count("*Code of the figure*")
            for cell in notebook_of(text).cells
        )
        == questions
    )


def test_blocks_that_are_not_run_are_text():
    not_run = "<!-- not run: long -->\n```python\nlong()\n```\n\n"
    page = f"# A\n\n{not_run}```python\nprint(1)\n```\n\n<!-- varies -->\n```text\n1\n```\n"
    cells = notebook_of(page).cells
    assert [cell.cell_type for cell in cells] == ["markdown", "code"]
    assert "long()" in cells[0].source
    assert printed_by(v4.new_notebook(cells=cells)) == [(1, "1\n")]


def executed(pages: list[Path], folder: Path) -> list[tuple[Path, list[str]]]:
    """What the code cells of each page's notebook print, one after the other in one kernel, its names cleared between."""
    cells, counts = [], []
    for page in pages:
        own = [
            cell for cell in notebook_of(page.read_text(encoding="utf-8")).cells if cell.cell_type == "code"
        ]
        counts.append(len(own))
        cells += [v4.new_code_cell(cell.source) for cell in own] + [v4.new_code_cell("%reset -f")]
    prepare(folder)
    notebook = v4.new_notebook(cells=[v4.new_code_cell("%matplotlib agg"), *cells])
    NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
    ).execute()
    printed = [text for _, text in printed_by(notebook)][1:]
    found = []
    for page, count in zip(pages, counts, strict=True):
        found.append((page, printed[:count]))
        printed = printed[count + 1 :]
    return found


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "pages",
    [
        pytest.param([page for page in LESSONS if page.stem not in LONG], marks=pytest.mark.slow),
        pytest.param([page for page in LESSONS if page.stem in LONG], marks=pytest.mark.long),
    ],
    ids=["short", "long"],
)
def test_notebooks_print_what_the_pages_say(pages, tmp_path):
    for page, printed in executed(pages, tmp_path):
        for path in images_of(page.read_text(encoding="utf-8")):
            assert (tmp_path / Path(path).name).is_file(), f"{path} is drawn by no cell of {page}"
        for block, text in zip(run_blocks(page.read_text(encoding="utf-8")), printed, strict=True):
            where = f"{page}:{block.line}"
            assert block.prints or not text, f"{where} prints {text!r}, the page does not say so"
            assert not block.prints or agrees(block.prints, text), f"{where} prints\n{text}"
