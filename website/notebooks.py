"""Lessons as Jupyter notebooks: their Python blocks as cells, with the outputs that the page shows, and the rest as text.

python website/notebooks.py docs/course/1-matrix.md FOLDER
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat import NotebookNode, v4

from blocks import FENCE, Block, blocks_of

DETAILS = re.compile(
    r"<details markdown=\"1\"><summary>(?P<title>.*?)</summary>|</details>|^<!--.*?-->$", re.MULTILINE
)
PICTURE = re.compile(r"^!\[[^\]]*\]\(figures/[^)]+\)\n", re.MULTILINE)
LINK = re.compile(r"\[([^\]]*)\]\((?!https?:)[^)]+\)")


def notebook_of(page: str) -> NotebookNode:
    """A lesson's text as a notebook.

    Answers are not folded, for a fold cannot span cells. Pictures are left to the code that draws them. Links to other pages lose
    their address.
    """
    cells = []
    outputs = {block.prints.line: block.prints for block in blocks_of(page) if block.prints}
    end = 0
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("code")) + 1
        is_cell = match["language"] == "python" and not (match["mark"] or "").startswith("not run:")
        is_output = line in outputs and cells and cells[-1].cell_type == "code"
        if is_cell or is_output:
            cells += text_cells(page[end : match.start()])
            end = match.end()
        if is_cell:
            cells.append(v4.new_code_cell(match["code"].rstrip("\n")))
        elif is_output:
            cells[-1].outputs = [v4.new_output("stream", text=outputs[line].code)]
    cells += text_cells(page[end:])
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return v4.new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def text_cells(text: str) -> list[NotebookNode]:
    text = DETAILS.sub(lambda match: f"*{match['title']}*" if match["title"] else "", text)
    text = LINK.sub(r"\1", PICTURE.sub("", text))
    text = re.sub(r"\n{3,}", "\n\n", text).strip()
    return [v4.new_markdown_cell(text)] if text else []


def printed_by(notebook: NotebookNode) -> list[tuple[int, str]]:
    """What each code cell of an executed notebook printed, with the cell's number among all."""
    found = []
    for number, cell in enumerate(notebook.cells):
        if cell.cell_type == "code":
            texts = [
                output.text
                for output in cell.outputs
                if output.output_type == "stream" and output.name == "stdout"
            ]
            found.append((number, "".join(texts)))
    return found


def run_blocks(page: str) -> list[Block]:
    """The blocks of a page that become code cells, in order."""
    return [block for block in blocks_of(page) if block.is_run and block.language == "python"]


def write_notebook(file: Path, folder: Path) -> Path:
    """Writes a lesson's notebook and gives its path."""
    folder.mkdir(parents=True, exist_ok=True)
    written = folder / f"{file.stem}.ipynb"
    nbformat.write(notebook_of(file.read_text(encoding="utf-8")), written)
    return written


if __name__ == "__main__":
    print(write_notebook(Path(sys.argv[1]), Path(sys.argv[2])))
