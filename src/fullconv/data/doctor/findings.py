"""What the doctor tells: a finding for each kind of fault, with every file that has it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from fullconv.data.doctor.kinds import KINDS

Severity = Literal["ruins", "harms", "information"]

SEVERITIES: tuple[Severity, ...] = ("ruins", "harms", "information")
"""Worst first: training stops or is worth nothing; it learns or is measured less well; nothing is wrong."""


@dataclass(frozen=True)
class Place:
    """A file, and what is the matter with it.

    Attributes:
        file: its path; of a file packed in another both, as messages name it.
        note: what was found there, such as "id 7 on 12 pixels"; may be empty.
        beside: the path of the other file, where two are compared.
    """

    file: str
    note: str = ""
    beside: str = ""


@dataclass(frozen=True)
class Finding:
    """A kind of fault, and where it is.

    Attributes:
        code: a stable word, such as "mask-size".
        severity: of this fault in this data set.
        title: what is wrong, in a few words.
        places: each file that has it.
        consequence: what it would do to training.
        remedy: what to do about it.
        fixable: `mend` can do it.
    """

    code: str
    severity: Severity
    title: str
    places: tuple[Place, ...]
    consequence: str
    remedy: str
    fixable: bool

    @property
    def line(self) -> str:
        """All of it in one line, as errors and warnings are told."""
        first = next(iter(self.places), None)
        more = f" (and {len(self.places) - 1} more)" if len(self.places) > 1 else ""
        what = self.title if first is None else f"{first.file}: {first.note or self.title}{more}"
        return f"{what}; {self.consequence}; {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        """As `fullconv data check --json` prints it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "title": self.title,
            "num_files": len(self.places),
            "files": [
                {"file": place.file, "note": place.note} | ({"beside": place.beside} if place.beside else {})
                for place in self.places
            ],
            "consequence": self.consequence,
            "remedy": self.remedy,
            "fixable": self.fixable,
        }


def finding(
    code: str,
    places: Iterable[Place],
    *,
    detail: str = "",
    severity: Severity | None = None,
    fixable: bool | None = None,
) -> Finding:
    """A finding of one of `KINDS`.

    Args:
        code: its kind.
        places: where.
        detail: figures that belong to the title.
        severity: where it is another than the kind's.
        fixable: where the kind's can be mended in some cases only.
    """
    kind = KINDS[code]
    return Finding(
        code,
        severity or kind.severity,
        f"{kind.title}: {detail}" if detail else kind.title,
        tuple(places),
        kind.consequence,
        kind.remedy,
        bool(kind.mend) if fixable is None else fixable,
    )


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By severity, then in the order of `KINDS`."""
    order = list(KINDS)
    return tuple(sorted(findings, key=lambda each: (SEVERITIES.index(each.severity), order.index(each.code))))


def by_code(notes: Mapping[str, Iterable[Place]]) -> list[Finding]:
    """A finding for each code that has places."""
    return [finding(code, places) for code, places in ((c, tuple(p)) for c, p in notes.items()) if places]
