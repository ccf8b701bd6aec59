"""The data doctor's report: one HTML file that needs nothing but a browser."""

import shlex
from pathlib import Path
from typing import Any

import jinja2

from fullconv.data.doctor.diagnosis import Diagnosis
from fullconv.data.doctor.findings import SEVERITIES, Finding
from fullconv.data.doctor.kinds import KINDS
from fullconv.reporting.doctor_pictures import Painter, draw_place
from fullconv.storage import write_text_atomically

DRAWN = 4
"""Of a finding's files so many are drawn,"""

MOST_DRAWN = 12
"""but more of those that a model contradicts: they are what one looks for."""

LISTED = 500
"""Of a finding's files so many are listed; `--json` has all."""


def write_doctor_report(path: Path, diagnosis: Diagnosis, painter: Painter | None = None) -> Path:
    """Writes the findings with drawings of their files to an HTML file.

    Args:
        path: of the file.
        diagnosis: of a data set.
        painter: draws what a model says, where it was asked.

    Returns:
        `path`.

    Raises:
        StorageError: the file cannot be written.
    """
    write_text_atomically(path, _render(diagnosis, painter))
    return path


def _render(diagnosis: Diagnosis, painter: Painter | None) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    dataset, data = diagnosis.survey.dataset, str(diagnosis.survey.folder)
    environment.filters["count"] = lambda number: f"{number:,}"
    environment.filters["within"] = lambda text: text.replace(f"{data}/", "")
    return environment.get_template("doctor.html.j2").render(
        name=dataset.name if dataset else diagnosis.survey.folder.name,
        data=data,
        layout=dataset.layout if dataset else None,
        splits={split: len(members) for split, members in diagnosis.splits.items()},
        num_classes=dataset.labels.num_classes if dataset and diagnosis.survey.knows_classes else None,
        num_pictures=len(diagnosis.examined),
        seconds=diagnosis.seconds,
        severities=SEVERITIES,
        counts={severity: len(diagnosis.of(severity)) for severity in SEVERITIES},
        findings=[_row(finding, diagnosis, painter) for finding in diagnosis.findings],
        fix=f"fullconv data check {shlex.quote(data)} --fix {shlex.quote(data.rstrip('/') + '-mended')}",
        listed=LISTED,
    )  # fmt: skip


def _row(finding: Finding, diagnosis: Diagnosis, painter: Painter | None) -> dict[str, Any]:
    kind = KINDS[finding.code]
    most = MOST_DRAWN if finding.code == "model-disagrees" else DRAWN
    drawings = []
    for place in finding.places:
        if len(drawings) == most:
            break
        drawn = draw_place(finding, place, diagnosis, painter)
        if drawn is not None:
            drawings.append({"place": place, "drawn": drawn})
    return {
        "finding": finding,
        "drawings": drawings,
        "mend": kind.mend if finding.fixable else "",
        "also": f" --also {finding.code}" if kind.asked else "",
        "few": finding.places[:LISTED],
    }
