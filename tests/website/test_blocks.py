"""What counts as a block of a page, and when its output agrees; pages are made up."""

import pytest

from blocks import Block, agrees, blocks_of, commands_of, number_agrees, run, run_commands

PAGE = """# Page

```python
x = 1 + 1
print(x)
```

```text
2
```

<!-- not run: needs a model -->
```sh
fullconv predict MODEL \\
  PICTURE --out DIR  # a comment
```

```text
not its output
```

```python
print(x + 1)
```

<!-- within 10 % -->
```text
about 3 metres
```
"""


def test_a_text_block_belongs_to_the_run_block_right_before_it():
    blocks = blocks_of(PAGE)
    assert [block.language for block in blocks] == ["python", "sh", "text", "python"]
    assert [block.prints.code if block.prints else None for block in blocks] == [
        "2\n",
        None,
        None,
        "about 3 metres\n",
    ]
    assert [block.is_run for block in blocks] == [True, False, False, True]
    assert [block.line for block in blocks] == [4, 14, 19, 23]


def test_blocks_of_a_page_share_their_names_and_errors_have_the_pages_lines(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE + "\n```python\n\nx / 0\n```\n", encoding="utf-8")
    with pytest.raises(ZeroDivisionError) as error:
        list(run(page))
    assert error.traceback[-1].lineno + 1 == PAGE.count("\n") + 4


def test_outputs_of_a_page(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    assert [text for _, text in run(page)] == ["2\n", "3\n"]


@pytest.mark.parametrize(
    ("wanted", "mark", "printed", "agree"),
    [
        ("2\n", "", "2\n", True),
        ("2\n", "", "3\n", False),
        ("0.516 at edges\n", "", "0.517 at edges\n", True),
        ("0.516 at edges\n", "", "0.518 at edges\n", False),
        ("1e-5\n", "", "2e-5\n", False),
        ("1,024 cells\n", "", "1024 cells\n", True),
        ("100 ms\n", "within 10 %", "109 ms\n", True),
        ("100 ms\n", "within 10 %", "112 ms\n", False),
        ("0 of 3\n", "varies", "7 of 9\n", True),
        ("0 of 3\n", "varies", "7 from 9\n", False),
        ("first\n...\nlast\n", "", "first\na\nb\nlast\n", True),
        ("first\n...\nlast\n", "", "first\na\nb\n", False),
        ("a  b\n", "", "a b\n", True),
        ("fcn8s\n", "", "fcn16s\n", False),
        ("a\n", "", "a\nb\n", False),
        ("a\nb\n", "", "a\n", False),
    ],
)
def test_agreement(wanted, mark, printed, agree):
    assert agrees(Block("text", wanted, 1, mark), printed) is agree


def test_zero_may_vary_too():
    assert number_agrees("0", "5", float("inf"))


def test_only_fullconv_is_run(capsys):
    run_commands("fullconv --help  # all\n\n")
    assert "train" in capsys.readouterr().out
    with pytest.raises(ValueError, match="only fullconv commands are run"):
        run_commands("rm everything\n")
    with pytest.raises(RuntimeError, match="exit code 2"):
        run_commands("fullconv --no-such-option\n")


def test_commands_of_a_page():
    assert commands_of(PAGE) == [["predict", "MODEL", "PICTURE", "--out", "DIR"]]
