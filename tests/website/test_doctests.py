"""Doctests in docstrings become code on the pages of the Python interface."""

from doctests import fenced


def test_a_doctest_is_fenced_up_to_its_empty_line():
    docstring = "Adds.\n\n>>> add(1,\n...     2)\n3\n\nRaises:\n    ValueError: never.\n"
    expected = "Adds.\n\n```pycon\n>>> add(1,\n...     2)\n3\n```\n\nRaises:\n    ValueError: never.\n"
    assert fenced(docstring) == expected


def test_several_statements_are_one_block_and_indentation_stays():
    assert (
        fenced("    >>> a = 1\n    >>> a\n    1\n")
        == "    ```pycon\n    >>> a = 1\n    >>> a\n    1\n    ```\n"
    )


def test_nothing_else_is_touched():
    assert fenced("No >>> here.\n\n> a quotation\n") == "No >>> here.\n\n> a quotation\n"
