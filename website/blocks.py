"""The fenced blocks of a page: which there are, how they are run, and whether they print what the page says.

The Python blocks of a page run from top to bottom in one namespace, in a folder of their own that holds `catdog.jpg`. A
`text` block right behind a Python or `sh` block is what that block prints. An HTML comment on the line above a fence says what
is special:

    <!-- not run: why -->      it needs what a test has not
    <!-- varies -->            of the text block: the words count, the numbers are this machine's
    <!-- within 10 % -->       of the text block: the numbers may be off by so much
"""

import contextlib
import io
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

FENCE = re.compile(
    r"^(?:<!-- (?P<mark>[^\n]*?) -->\n)?```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)
NUMBER = re.compile(r"(?<![\w.])([-+]?\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?)(?![\w.]*\d)")
PHOTOGRAPH = Path(__file__).parents[1] / "docs/images/catdog.jpg"
IMAGE = re.compile(r"!\[[^\]]*\]\((?P<path>[^)]+)\)")


@dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
        language: what stands behind the fence, "" if nothing.
        code: its lines.
        line: the page's line on which `code` begins.
        mark: the comment on the line above, "" if none.
        prints: the text block right behind it, if there is one.
    """

    language: str
    code: str
    line: int
    mark: str
    prints: "Block | None" = None

    @property
    def is_run(self) -> bool:
        return self.language in ("python", "sh") and not self.mark.startswith("not run:")


def blocks_of(page: str) -> list[Block]:
    """All blocks of a page's text, in order; a text block that belongs to another stands in that one alone.

    >>> page = "```python" + chr(10) + "print(1)" + chr(10) + "```" + chr(10) * 2 + "```text" + chr(10) + "1" + chr(10) + "```"
    >>> [(block.code, block.prints.code) for block in blocks_of(page)]
    [('print(1)\\n', '1\\n')]
    """
    found: list[Block] = []
    end = 0
    for match in FENCE.finditer(page):
        line = page.count("\n", 0, match.start("code")) + 1
        block = Block(match["language"], match["code"], line, match["mark"] or "")
        follows = not page[end : match.start()].strip()
        if block.language == "text" and follows and found and found[-1].is_run and not found[-1].prints:
            found[-1] = replace(found[-1], prints=block)
        else:
            found.append(block)
        end = match.end()
    return found


def images_of(page: str) -> list[str]:
    """The paths of the pictures that a page shows."""
    return [match["path"] for match in IMAGE.finditer(page)]


def prepare(folder: Path) -> None:
    """Puts what blocks may expect into the folder where they run."""
    shutil.copyfile(PHOTOGRAPH, folder / PHOTOGRAPH.name)


def run(file: Path, namespace: dict[str, Any] | None = None) -> Iterator[tuple[Block, str]]:
    """Runs a page's blocks in the current folder, and gives each with what it printed.

    Args:
        file: the page.
        namespace: what its blocks find there.
    """
    names = {"__name__": "__main__"} if namespace is None else namespace
    for block in blocks_of(file.read_text(encoding="utf-8")):
        if block.is_run:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                if block.language == "python":
                    # Empty lines in front give tracebacks the page's own line numbers.
                    exec(compile("\n" * (block.line - 1) + block.code, str(file), "exec"), names)
                else:
                    run_commands(block.code)
            yield block, printed.getvalue()


def run_commands(code: str) -> None:
    """Runs the lines of a shell block, each a `fullconv` command, in this process."""
    from fullconv.cli import main

    for line in code.replace("\\\n", " ").splitlines():
        program, *arguments = shlex.split(line, comments=True) or [""]
        if program == "":
            continue
        if program != "fullconv":
            raise ValueError(
                f"{line!r}: only fullconv commands are run; mark the block '<!-- not run: why -->'"
            )
        try:
            main(arguments)
        except SystemExit as stop:
            if stop.code:
                raise RuntimeError(f"{line!r} left with exit code {stop.code}") from None


def agrees(expected: Block, printed: str) -> bool:
    """Whether a block printed what the page says.

    Numbers may differ by one in their last digit, for rounding; whole numbers not. A line of three dots stands for any lines.

    >>> agrees(Block("text", "0.52\\n", 1, ""), "0.53\\n"), agrees(Block("text", "7 km\\n", 1, ""), "8 km\\n")
    (True, False)
    """
    share = re.fullmatch(r"within (\d+) %", expected.mark)
    slack = float("inf") if expected.mark == "varies" else float(share[1]) / 100 if share else 0.0
    wanted, got = expected.code.rstrip().splitlines(), printed.rstrip().splitlines()
    return lines_agree(wanted, got, slack)


def lines_agree(wanted: list[str], got: list[str], slack: float) -> bool:
    if not wanted:
        return not got
    if wanted[0].strip() == "...":
        return any(lines_agree(wanted[1:], got[start:], slack) for start in range(len(got) + 1))
    return bool(got) and line_agrees(wanted[0], got[0], slack) and lines_agree(wanted[1:], got[1:], slack)


def line_agrees(wanted: str, got: str, slack: float) -> bool:
    ours, theirs = NUMBER.split(wanted), NUMBER.split(got)
    if len(ours) != len(theirs):
        return False
    return all(
        number_agrees(one, other, slack) if index % 2 else one.split() == other.split()
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True))
    )


def number_agrees(wanted: str, got: str, slack: float) -> bool:
    """
    >>> number_agrees("0.516", "0.517", 0), number_agrees("10", "11", 0), number_agrees("10", "11", 0.1)
    (True, False, True)
    """
    if slack == float("inf"):
        return True
    one, other = float(wanted.replace(",", "")), float(got.replace(",", ""))
    mantissa, _, power = wanted.partition("e")
    decimals = len(mantissa.partition(".")[2])
    last_digit = 10.0 ** (int(power or 0) - decimals) if decimals else 0.0
    return abs(one - other) <= 1.001 * last_digit + slack * abs(one)


def commands_of(page: str) -> list[list[str]]:
    """The `fullconv` command lines that a page shows in its blocks, run or not, as words."""
    found = []
    for block in blocks_of(page):
        if block.language in ("", "sh"):
            for line in block.code.replace("\\\n", " ").splitlines():
                if line.startswith("fullconv "):
                    found.append(shlex.split(line, comments=True)[1:])
    return found
