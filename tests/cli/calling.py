"""The command line, called as a user does, in this process."""

import pytest

from fullconv.cli import main


def call(capsys, *args: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one call."""
    with pytest.raises(SystemExit) as stop:
        main([str(arg) for arg in args])
    captured = capsys.readouterr()
    code = stop.value.code or 0
    assert isinstance(code, int)
    assert "Traceback" not in captured.err, captured.err
    return code, captured.out, captured.err
