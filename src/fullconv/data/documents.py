"""Files that other programs wrote: JSON read into checked values, whole or item by item, and the names of files in them.

Whatever bytes they hold, an error says in one line which file, which place in it, what was got and what was expected.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from fullconv.errors import DataError

MAX_BYTES = 2**28
"""The longest JSON file that is read as a whole, and the longest item of one that is read item by item."""

HEAD_BYTES = 2**16
"""So much of a file is looked at to see what it is."""

Coordinate = Annotated[FiniteFloat, Field(ge=-1e9, le=1e9)]
"""A number of pixels or percents that arithmetic is safe with."""

_NO_JSON = "is not JSON ({}); expected a whole JSON file; copy or export it again"
_DECODER = json.JSONDecoder()
_BLANK = re.compile(r"[ \t\n\r]*")
_BLOCK = 2**20


class Part(BaseModel):
    """The base of what is read from JSON; what it does not name is passed over."""

    model_config = ConfigDict(frozen=True)


P = TypeVar("P", bound=Part)


def head(path: Path) -> str:
    """The beginning of a file as text, empty where it cannot be read: for a look at what it is."""
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""


def read_bytes(path: Path) -> bytes:
    """The content of a file that is read as a whole.

    Raises:
        DataError: it cannot be read, or is too long.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: has more than {MAX_BYTES:,} bytes; expected less; split it")
    return content.removeprefix(b"\xef\xbb\xbf")


def read_json(path: Path, model: type[P]) -> P:
    """Reads a JSON file as a whole.

    Raises:
        DataError: it cannot be read, is no JSON, or holds what is not expected in it.
    """
    content = read_bytes(path)
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path}: {told(error)}") from None


def checked(value: Any, model: type[P], where: object, joint: str = ".") -> P:
    """A value of JSON as a model.

    Args:
        value: of JSON or YAML.
        model: what is expected.
        where: what errors call its place.
        joint: what stands in errors between that and a key in the value.

    Raises:
        DataError: it holds what is not expected in it.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        text = told(error)
        keyed = text.startswith("[") or re.match(r"\w[\w.\[\]]*: ", text)
        raise DataError(f"{where}{joint if keyed else ': '}{text}") from None


def told(error: ValidationError) -> str:
    """The first fault of several in one line: the place in the value, what was got, what was expected.

    >>> class Point(Part):
    ...     xy: tuple[float, float]
    >>> try:
    ...     Point.model_validate({"xy": [1, "a"]})
    ... except ValidationError as error:
    ...     print(told(error))
    xy[1]: got 'a', expected a valid number, unable to parse string as a number
    """
    fault = error.errors(include_url=False, include_context=False)[0]
    steps = [
        step for step in fault["loc"] if not str(step).startswith("<")
    ]  # which of several kinds a value is of
    place = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")
    place = f"{place}: " if place else ""
    message = fault["msg"].removeprefix("Value error, ")
    if fault["type"] == "value_error":
        return f"{place}{message}"
    if fault["type"] == "missing":
        return f"{place}is missing; expected a value"
    if fault["type"] == "json_invalid":
        return _NO_JSON.format(message.removeprefix("Invalid JSON: "))
    expected = re.sub(r"^.*? should (be |have )?", "", message).replace("valid array", "valid list")
    return f"{place}got {shortened(fault['input'])}, expected {expected}"


def shortened(value: Any) -> str:
    """A value as it is told in a message.

    >>> shortened([1] * 100)
    'a list of 100'
    >>> shortened("a" * 100)
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'"
    """
    if isinstance(value, list | tuple | dict):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    if isinstance(value, str) and len(value) > 40:
        return f"{value[:40] + '...'!r}"
    return (
        repr(value)
        if not isinstance(value, int) or abs(value) < 10**40
        else "a number of more than 40 digits"
    )


@dataclass(frozen=True)
class Item:
    """A value in a list of a JSON file.

    Attributes:
        key: the list's name in the outermost object, empty where the file is the list.
        index: the value's place in the list.
        start, size: where its text is in the file, in bytes.
        value: the value.
    """

    key: str
    index: int
    start: int
    size: int
    value: Any


def read_items(path: Path) -> Iterator[Item]:
    """Reads all lists in the outermost object of a JSON file, or the list that the file is, value by value.

    One value is in memory at a time, so that files of gigabytes can be read.

    Raises:
        DataError: the file cannot be read, is no JSON, or holds a value longer than `MAX_BYTES`.
    """
    try:
        with path.open("rb") as file:
            yield from _items(_Text(file))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    except json.JSONDecodeError as error:
        raise DataError(f"{path}: {_NO_JSON.format(f'{error.msg}, byte {error.pos}')}") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: {_NO_JSON.format(f'not UTF-8: {error.reason}')}") from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: {_NO_JSON.format('nested too deep, or a number too long')}") from None


def read_item(path: Path, start: int, size: int) -> Any:
    """One value that `read_items` found.

    Raises:
        DataError: the file cannot be read, or has changed.
    """
    try:
        with path.open("rb") as file:
            file.seek(start)
            return json.loads(file.read(size))
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror}); check the path and its permissions"
        ) from None
    except (ValueError, RecursionError):
        raise DataError(f"{path}: has changed since it was opened; start again") from None


class _Text:
    """A window on a file, as text in which every byte is a letter: JSON's own signs are the same in UTF-8."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.text = ""
        self.at = 0
        self.base = 0  # the byte that the window begins with
        self.ended = False
        self.grow(_BLOCK)
        if self.text.startswith("\xef\xbb\xbf"):
            self.at = 3

    def grow(self, size: int) -> None:
        block = self.file.read(size)
        self.text, self.base, self.at = self.text[self.at :] + block.decode("latin-1"), self.base + self.at, 0
        self.ended = len(block) < size

    def sign(self) -> str:
        """The next letter that is no blank, empty at the end; it stays."""
        while True:
            self.at = _BLANK.match(self.text, self.at).end()  # pyright: ignore[reportOptionalMemberAccess]
            if self.at < len(self.text) or self.ended:
                return self.text[self.at : self.at + 1]
            self.grow(_BLOCK)

    def take(self, signs: str) -> str:
        """The next letter, which has to be one of `signs`."""
        sign = self.sign()
        if not sign or sign not in signs:
            raise self.fault(
                f"got {sign!r}, expected {' or '.join(map(repr, signs))}" if sign else "it ends too early"
            )
        self.at += 1
        return sign

    def value(self) -> tuple[int, int, Any]:
        """The value that begins here, and where its text is: (start, size, value)."""
        self.sign()
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
                if end + 3 < len(self.text) or self.ended:  # else 1 may be the beginning of 1.5 or of 1e+5
                    break
            except json.JSONDecodeError as error:
                if self.ended:
                    raise self.fault(error.msg, error.pos) from None
            if len(self.text) - self.at > MAX_BYTES:
                raise self.fault(f"a value of more than {MAX_BYTES:,} bytes, or one that does not end")
            self.grow(
                max(_BLOCK, len(self.text))
            )  # twice as much each time: a long value is tried a few times only
        start, size, text = self.base + self.at, end - self.at, self.text[self.at : end]
        self.at = end
        return start, size, value if text.isascii() else json.loads(text.encode("latin-1"))

    def fault(self, message: str, at: int | None = None) -> json.JSONDecodeError:
        fault = json.JSONDecodeError(message, "", 0)
        fault.pos = self.base + (self.at if at is None else at)
        return fault


def _items(text: _Text) -> Iterator[Item]:
    if text.sign() == "[":
        yield from _list(text, "")
    else:
        text.take("{")
        sign = "," if text.sign() != "}" else text.take("}")
        while sign == ",":
            if text.sign() != '"':
                text.take('"')
            _, _, key = text.value()
            text.take(":")
            if text.sign() == "[":
                yield from _list(text, key)
            else:
                text.value()
            sign = text.take(",}")
    if text.sign():
        raise text.fault("something follows its end")


def _list(text: _Text, key: str) -> Iterator[Item]:
    text.take("[")
    sign, index = "," if text.sign() != "]" else text.take("]"), 0
    while sign == ",":
        yield Item(key, index, *text.value())
        sign, index = text.take(",]"), index + 1


def inside(root: Path, name: str, where: object, base: Path | None = None) -> Path:
    """The file of a name that stands in another file.

    Args:
        root: the folder that it may not lead out of.
        name: relative to `base`, with slashes of either kind.
        where: what errors call the place of the name.
        base: a folder in `root`, or `root` itself.

    Raises:
        DataError: it is empty, absolute, leads out of `root`, or is no name of a file.

    >>> inside(Path("data"), "train\\\\a.jpg", "x.json").as_posix()
    'data/train/a.jpg'
    """
    parts = list((base or root).relative_to(root).parts)
    steps = name.replace("\\", "/").split("/")
    if (
        name
        and not steps[0].endswith(":")
        and (steps[0] or len(steps) == 1)
        and "\0" not in name
        and len(name) < 4096
    ):
        for step in steps:
            if step == "..":
                if not parts:
                    break
                parts.pop()
            elif step not in ("", "."):
                parts.append(step)
        else:
            if parts and max(map(len, parts)) < 256:
                return root.joinpath(*parts)
    raise DataError(f"{where}: got {shortened(name)}, expected the name of a file in {root}; correct it")
