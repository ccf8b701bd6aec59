"""Messages on stderr: a line each, as JSON or for people."""

import json
import logging
import sys
import time
from typing import Any

logger = logging.getLogger("fullconv.serving")

NAMES = ("fullconv.serving", "uvicorn.error")


def log(event: str, level: int = logging.INFO, error: BaseException | None = None, **facts: Any) -> None:
    """Writes one line; `facts` are its fields."""
    logger.log(level, event, extra={"facts": facts}, exc_info=error)


class JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": stamp(record),
            "level": record.levelname.lower(),
            "event": record.getMessage().strip(),
        }
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


class TextLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        fields = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
        line = f"{stamp(record)[11:19]} {record.getMessage().strip()} {fields}".rstrip()
        line = "".join(letter if letter.isprintable() else "?" for letter in line)
        return line if not record.exc_info else f"{line}\n{self.formatException(record.exc_info)}"


def stamp(record: logging.LogRecord) -> str:
    """UTC, with milliseconds."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"


def set_up_logging(form: str) -> None:
    """Has the service's and the HTTP server's lines written to stderr; `form` is "json" or "text"."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    for name in NAMES:
        one = logging.getLogger(name)
        one.handlers, one.propagate = [handler], False
        one.setLevel(logging.INFO if name == logger.name else logging.WARNING)
