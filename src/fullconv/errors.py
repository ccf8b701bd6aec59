"""Every error a user can meet.

A message says what was got, what was expected and what to do, and names the file.
The command line prints it in one line and exits with 1; a server answers with its text.

    FullconvError
    ├── InputError (ValueError)          what the user gave cannot be used
    │   ├── ConfigError                  an option or a configuration file
    │   ├── UnknownNameError             a name that is not in a list; the nearest one is suggested
    │   ├── PictureError                 a picture or mask file that cannot be read
    │   │   ├── PictureFormatError       of a kind that is not read
    │   │   └── PictureTooLargeError     of more bytes, more pixels or a longer side than allowed
    │   └── DataError                    a data set: layout, pairs, ids, sizes
    └── RunError (RuntimeError)          the input was fine, the work failed
        ├── BundleError                  a model folder that is incomplete or damaged
        ├── FellowError                  another process of the run has ended
        └── StorageError                 the disk is full or may not be written
"""

from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches


def hint(name: str, known: Iterable[str]) -> str:
    """What somebody who wrote `name` may have meant: the nearest of the known names, or up to fifteen of them.

    >>> hint("trian", ["predict", "train"]), hint("?", ["predict", "train"])
    ("did you mean 'train'?", 'expected one of: predict, train')
    """
    known = sorted(known)
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"expected one of: {', '.join(known[:15])}" + (", ..." if len(known) > 15 else "")


class FullconvError(Exception):
    """The root: catch this to catch everything that fullconv raises on purpose.

    Attributes:
        exit_code: of a command that ends with it.
    """

    exit_code = 1


class InputError(FullconvError, ValueError):
    """What the user gave cannot be used.

    Attributes:
        code: what a data set's fault is called by `fullconv data check`; empty for all else.
        files: the files that have it, where the message names one of several.
    """

    def __init__(self, message: str, code: str = "", files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.files = tuple(files)


class ConfigError(InputError):
    """An option or a configuration file has a wrong value."""


class UnknownNameError(InputError):
    """A name is not one of those that exist.

    >>> str(UnknownNameError("model", "fcn8", ["fcn32s", "fcn16s", "fcn8s"]))
    "unknown model 'fcn8'; did you mean 'fcn8s'?"
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], remedy: str = "") -> None:
        super().__init__(f"unknown {kind} {name!r}; {hint(name, known)}" + (f" {remedy}" if remedy else ""))


class PictureError(InputError):
    """A picture or mask file cannot be read."""


class PictureFormatError(PictureError):
    """A picture is of a kind that is not read."""


class PictureTooLargeError(PictureError):
    """A picture has more bytes, more pixels or a longer side than allowed."""


class DataError(InputError):
    """A data set is incomplete or contradicts itself."""


Report = Callable[[InputError], None]
"""What is done with a fault, where the others are looked for too."""


def fail(error: FullconvError) -> None:
    """Raises it: the `Report` of those who are content with the first fault.

    Raises:
        FullconvError: always.
    """
    raise error


class RunError(FullconvError, RuntimeError):
    """The input was fine, but the work failed."""


class BundleError(RunError):
    """A model folder is incomplete or damaged."""


class FellowError(RunError):
    """Another process of the run has ended, and with it this one."""

    exit_code = 3


class StorageError(RunError):
    """The disk is full or may not be written."""
