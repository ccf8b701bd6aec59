"""The data doctor: looks at everything in a data set and tells what is wrong with it, worst first."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fullconv.data.check import examine_all
from fullconv.data.doctor.counted import counted_findings
from fullconv.data.doctor.duplicates import duplicate_findings
from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.file_checks import file_findings
from fullconv.data.doctor.findings import SEVERITIES, Finding, worst_first
from fullconv.data.doctor.kinds import KINDS
from fullconv.data.doctor.mask_checks import mask_findings
from fullconv.data.doctor.split_checks import split_findings
from fullconv.data.doctor.survey import Survey, survey, without_doubles

MOST_REFUSED = 0.1
"""Where a larger part of the masks could not be read, what is missing in the others says nothing."""

OF_ALL_MASKS = frozenset(code for code in KINDS if code.startswith("class-")) | {
    "one-class", "mask-binary", "some-binary", "much-void",
}  # fmt: skip

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong with a data set.

    Attributes:
        survey: the data set, as far as it could be opened.
        examined: its samples, each once.
        splits: the indices of each split's samples.
        findings: worst first.
        seconds: what it took.
    """

    survey: Survey
    examined: tuple[Examined, ...]
    splits: dict[str, list[int]]
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def ruins(self) -> bool:
        """Whether something would stop training, or make it worth nothing."""
        return any(each.severity == "ruins" for each in self.findings)

    def of(self, severity: str) -> tuple[Finding, ...]:
        return tuple(each for each in self.findings if each.severity == severity)

    def as_json(self) -> dict[str, Any]:
        """As `fullconv data check --json` prints it."""
        dataset = self.survey.dataset
        return {
            "data": str(self.survey.folder),
            "name": dataset.name if dataset else None,
            "layout": dataset.layout if dataset else None,
            "splits": {split: len(members) for split, members in self.splits.items()},
            "classes": list(dataset.labels.names) if dataset and self.survey.knows_classes else None,
            "pictures": len(self.examined),
            "seconds": round(self.seconds, 3),
            "counts": {severity: len(self.of(severity)) for severity in SEVERITIES},
            "findings": [each.as_json() for each in self.findings],
        }


def diagnose(folder: Path | str, progress: Progress | None = None) -> Diagnosis:
    """Looks at a data set, whatever its state.

    Args:
        folder: of any layout, or `NAME:PATH`.
        progress: called with (done, total) after each sample, from the calling thread.
    """
    began = time.monotonic()
    surveyed = survey(folder)
    dataset = surveyed.dataset
    if dataset is None:
        return Diagnosis(surveyed, (), {}, worst_first(surveyed.findings), time.monotonic() - began)
    samples, splits = without_doubles(dataset)
    examined = []
    for done, each in enumerate(examine_all(samples, dataset.labels, dataset.heads, thorough=True), start=1):
        examined.append(each)
        if progress:
            progress(done, len(samples))
    findings = [*surveyed.findings, *file_findings(examined), *duplicate_findings(examined, splits)]
    if surveyed.knows_classes:
        findings += mask_findings(examined, dataset.labels)
        of_classes = _counted(examined, surveyed)
        of_classes += split_findings(examined, splits, dataset.labels, dataset.heads)
        refused = sum(each.counts[0] is None for each in examined)
        unsure = OF_ALL_MASKS if refused > MOST_REFUSED * len(examined) else ()
        findings += [each for each in of_classes if each.code not in unsure]
    return Diagnosis(
        surveyed, tuple(examined), splits, worst_first(_once(findings)), time.monotonic() - began
    )


def _counted(examined: list[Examined], surveyed: Survey) -> list[Finding]:
    dataset = surveyed.dataset
    assert dataset is not None, "there were samples"
    told = {each.code for each in surveyed.findings}
    found = counted_findings(examined, dataset.labels, dataset.heads)
    return [
        each for each in found if each.code not in told | {"one-class"}
    ]  # what one split learns is told there


def _once(findings: list[Finding]) -> list[Finding]:
    """One finding of each code and title, with the places of all, of the worst severity."""
    together: dict[tuple[str, str], Finding] = {}
    for each in worst_first(findings):
        first = together.setdefault((each.code, each.title), each)
        if first is not each:
            places = tuple(dict.fromkeys(first.places + each.places))
            fixable = first.fixable or each.fixable
            together[each.code, each.title] = replace(first, places=places, fixable=fixable)
    return list(together.values())
