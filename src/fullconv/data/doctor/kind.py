"""What is said of a kind of fault."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Kind:
    """A kind of fault.

    Attributes:
        severity: "ruins": training stops, or what it learns is worth nothing; "harms": it learns or is measured less well than
            it seems; "information": legal, and good to know.
        title: what is wrong.
        consequence: what it would do to training.
        remedy: what to do about it by hand.
        mend: what `--fix` does about it; empty where only people can.
        asked: `--fix` does so only if `--also CODE` asks for it.
    """

    severity: Literal["ruins", "harms", "information"]
    title: str
    consequence: str
    remedy: str
    mend: str = ""
    asked: bool = False
