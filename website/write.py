"""Runs pages, and writes into them what their blocks print, and beside them the figures that they draw.

    python website/write.py [--fresh] docs/course/1-matrix.md ...

With --fresh also the numbers that may differ from machine to machine. For a change to a lesson: write the code, run this, and
read what has become of the numbers. The Chinese page, if there is one, gets the same code and outputs.
"""

import contextlib
import shutil
import sys
import tempfile
import time
from pathlib import Path

from blocks import FENCE, Block, agrees, images_of, prepare, run

DOCS = Path(__file__).resolve().parents[1] / "docs"


def write(file: Path, fresh: bool) -> None:
    outputs: list[tuple[Block, str]] = []
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        prepare(Path(folder))
        for block, printed in run(file):
            outputs.append((block, printed))
            if block.prints is None and printed:
                print(f"{file}:{block.line}: prints, but no text block follows:\n{printed}")
        seconds = time.process_time() - began
        for path in images_of(file.read_text(encoding="utf-8")):
            if Path(path).name in {each.name for each in Path(folder).iterdir()}:
                shutil.copy(Path(folder) / Path(path).name, file.parent / path)
    write_outputs(file, outputs, fresh)
    print(f"{file}: {seconds:.1f} s of processor time")


def write_outputs(file: Path, outputs: list[tuple[Block, str]], fresh: bool) -> None:
    lines = file.read_text(encoding="utf-8").split("\n")
    for block, printed in reversed(outputs):
        if block.prints and (fresh or not agrees(block.prints, printed)):
            start = block.prints.line - 1
            lines[start : start + block.prints.code.count("\n")] = printed.rstrip().split("\n")
            print(f"{file}:{block.prints.line}: now\n{printed}")
    file.write_text("\n".join(lines), encoding="utf-8")


def main() -> None:
    for name in [argument for argument in sys.argv[1:] if argument != "--fresh"]:
        file = Path(name).resolve()
        write(file, fresh="--fresh" in sys.argv)
        chinese = DOCS / "zh" / file.relative_to(DOCS)
        if chinese.exists():
            copy_blocks(file, chinese)


def copy_blocks(file: Path, chinese: Path) -> None:
    """Gives a page the blocks of the page it translates, in their order; an empty block is a place for one."""
    blocks = [match[0] for match in FENCE.finditer(file.read_text(encoding="utf-8"))]
    text = chinese.read_text(encoding="utf-8")
    places = len(FENCE.findall(text))
    if places != len(blocks):
        raise ValueError(f"{chinese}: {places} blocks; expected {len(blocks)}, as in {file}")
    left = iter(blocks)
    chinese.write_text(FENCE.sub(lambda _: next(left), text), encoding="utf-8")


if __name__ == "__main__":
    main()
