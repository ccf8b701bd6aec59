"""For the Python interface's pages: doctests in docstrings as code, where Markdown would see quotations of quotations."""

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"^(?P<indent> *)>>> .*\n?(?:^(?P=indent)(?=\S).*\n?)*", re.MULTILINE)


class Doctests(griffe.Extension):
    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = fenced(obj.docstring.value)


def fenced(docstring: str) -> str:
    """A docstring with a fence around each doctest, which ends at an empty line.

    Args:
        docstring: without the indentation of its function.
    """
    return DOCTEST.sub(
        lambda found: f"{found['indent']}```pycon\n{found[0].rstrip()}\n{found['indent']}```\n", docstring
    )
