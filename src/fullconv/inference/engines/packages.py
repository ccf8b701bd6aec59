"""Optional packages: imported when they are needed, without noise, and without a word to their makers."""

import contextlib
import importlib
import io
import logging
import sys
from collections.abc import Iterator
from typing import Any

from fullconv.errors import ConfigError

TELEMETRY = "openvino_telemetry"


def imported(name: str) -> Any:
    """An optional package. OpenVINO and NNCF would report their use over the network; imported here, they do not.

    Raises:
        ConfigError: it is not installed.
    """
    unasked = TELEMETRY not in sys.modules
    if unasked:
        # Both packages report through this module, and do without where it cannot be imported.
        sys.modules[TELEMETRY] = None  # pyright: ignore[reportArgumentType]
    try:
        with quiet():
            return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"the package {name} cannot be imported ({error}); install it: pip install 'fullconv[export]'"
        ) from None
    finally:
        if unasked:
            del sys.modules[TELEMETRY]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keeps what is printed and logged from stdout and stderr; what goes wrong is raised, too."""
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(disabled)
