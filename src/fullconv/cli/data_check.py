"""fullconv data check"""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from fullconv.data.doctor.diagnosis import Diagnosis
    from fullconv.data.doctor.findings import Finding
    from fullconv.data.doctor.mending import Mended
    from fullconv.reporting.doctor_pictures import Painter

FIRST_FILES = 3
"""So many of a finding's files are shown; --json and --html have all."""

STYLES = {"ruins": "bold red", "harms": "yellow", "information": "cyan"}
WORDS = {"ruins": "RUINS", "harms": "HARMS", "information": "info"}


@click.command()
@click.argument("data")
@click.option(
    "--fix",
    "dst",
    type=click.Path(path_type=Path),
    default=None,
    help="Write a copy to this new folder in which what can be mended safely is; DATA stays as it is.",
)
@click.option(
    "--also",
    multiple=True,
    metavar="CODE",
    help="With --fix, mend this too, of what is mended only when asked for; may be repeated.",
)
@click.option(
    "--model", default=None, metavar="MODEL", help="Also tell where this trained model contradicts the masks."
)
@click.option(
    "--html", type=click.Path(path_type=Path), default=None, help="Write a report with pictures to this file."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout, with all files.")
def check(
    data: str, dst: Path | None, also: tuple[str, ...], model: str | None, html: Path | None, as_json: bool
) -> None:
    """Find what is wrong with the pictures and masks in DATA.

    Each finding says what it would do to training and what to do about it: what RUINS a run stops it or makes it worth nothing,
    what HARMS it makes it learn or measure less well, and the rest is good to know. Exits with 1 if anything would ruin a run.
    With --fix, what is told and decides the exit is what is left in the copy.

    \b
    fullconv data check photos
    fullconv data check photos --html photos.html
    fullconv data check photos --fix photos-mended
    """
    from fullconv.cli.console import print_json, say
    from fullconv.data.doctor.mending import mend
    from fullconv.errors import ConfigError

    if also and dst is None:
        raise ConfigError("--also says what --fix is to mend beside the rest; expected --fix NEW_FOLDER too")
    diagnosis, painter = looked_at(data, model)
    if html is not None:
        from fullconv.reporting.doctor_report import write_doctor_report

        say(f"report {write_doctor_report(html, diagnosis, painter)}")
    figures = diagnosis.as_json()
    if dst is not None:
        with counted("copying", "files") as seen:
            mended = mend(diagnosis, dst, also, seen)
        diagnosis, _ = looked_at(str(dst), None)
        if not as_json:
            print_mended(mended, data)
        figures |= {"mended": {"folder": str(dst), "done": mended.done, "left": diagnosis.as_json()}}
    if as_json:
        print_json(figures)
    else:
        print_diagnosis(diagnosis, str(dst) if dst else data)
    if diagnosis.ruins:
        raise SystemExit(1)


def looked_at(data: str, model: str | None) -> "tuple[Diagnosis, Painter | None]":
    """The diagnosis, and with a model what paints its errors."""
    from dataclasses import replace

    from fullconv.data.doctor.diagnosis import diagnose
    from fullconv.data.doctor.findings import worst_first

    with counted("reading", "pictures") as seen:
        diagnosis = diagnose(data, seen)
    dataset = diagnosis.survey.dataset
    if model is None or dataset is None or not diagnosis.survey.knows_classes:
        return diagnosis, None
    from fullconv.cli.evaluate import ids_by_name
    from fullconv.inference.disagreement import contradicted, disagreement_findings, disagreements
    from fullconv.inference.segmenter import load

    segmenter = load(model)
    ids = ids_by_name(segmenter.labels.names, dataset.labels.names, model, Path(data))
    with counted("comparing", "pictures") as seen:
        found = disagreements(segmenter, diagnosis.examined, dataset.labels, ids, seen)
    findings = disagreement_findings(found, diagnosis.examined, dataset.labels)

    def paint(each: Any) -> Any:
        return contradicted(segmenter, each, dataset.labels, ids)

    return replace(diagnosis, findings=worst_first([*diagnosis.findings, *findings])), paint


@contextmanager
def counted(what: str, unit: str) -> Iterator[Callable[[int, int], None]]:
    """A bar with ETA on stderr, given as what takes (done, total)."""
    from fullconv.cli.console import progress_bar

    with progress_bar(unit) as bar:
        task = bar.add_task(what, total=None, figures="")
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_mended(mended: "Mended", data: str) -> None:
    """What was done to how many files."""
    from fullconv.data.doctor.kinds import KINDS

    out = console()
    for code, files in mended.done.items():
        show(out, f"mended {len(files):>5}  {KINDS[code].title}: {KINDS[code].mend}  [dim]{code}[/dim]")
    if not mended.done:
        show(out, "nothing could be mended; the copy is as it was")
    show(out, f"{mended.folder} holds the copy; {data} is as it was\n")


def print_diagnosis(diagnosis: "Diagnosis", data: str) -> None:
    """All findings for people, worst first."""
    out = console()
    for line in heading(diagnosis, data):
        show(out, line)
    for finding in diagnosis.findings:
        show(out, "")
        for line in finding_lines(finding, data):
            show(out, line)
    show(out, "")
    show(out, conclusion(diagnosis, data))


def console() -> "Console":
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True)


def show(out: "Console", line: str) -> None:
    out.print(line, soft_wrap=True)


def heading(diagnosis: "Diagnosis", data: str) -> list[str]:
    from rich.markup import escape

    dataset, surveyed = diagnosis.survey.dataset, diagnosis.survey
    if dataset is None:
        return [f"[bold]{escape(data)}[/bold]"]
    splits = ", ".join(f"{split} {len(members)}" for split, members in diagnosis.splits.items())
    classes = f"{dataset.labels.num_classes} classes" if surveyed.knows_classes else "classes unknown"
    count, seconds = len(diagnosis.examined), max(diagnosis.seconds, 0.01)
    return [
        f"[bold]{escape(data)}[/bold]  {escape(dataset.layout)}: {splits or 'no pairs'}; {classes}",
        f"{count} pictures and masks read in {seconds:.1f} s ({count / seconds:.0f}/s)",
    ]


def finding_lines(finding: "Finding", data: str) -> list[str]:
    """A finding as lines of markup: what, where, why it matters, what to do."""
    from rich.markup import escape

    style, indent = STYLES[finding.severity], " " * 15
    count = f"{len(finding.places):>6}" if finding.places else " " * 6
    lines = [
        f"[{style}]{WORDS[finding.severity]:>6}[/{style}] {count}  [bold]{escape(finding.title)}[/bold]  "
        f"[dim]{finding.code}[/dim]"
    ]
    lines += [
        f"{indent}{escape(within(place.file, data))}"
        f"[dim]{'  ' + escape(within(place.note, data)) if place.note else ''}[/dim]"
        for place in finding.places[:FIRST_FILES]
    ]
    if len(finding.places) > FIRST_FILES:
        lines.append(f"{indent}[dim]and {len(finding.places) - FIRST_FILES:,} more[/dim]")
    lines.append(f"{indent}{escape(finding.consequence)}")
    lines.append(f"{indent}-> {escape(finding.remedy)}{escape(fix_words(finding, data))}")
    return lines


def within(text: str, data: str) -> str:
    """The text with the paths in it as they are in the data set's folder."""
    return text.replace(f"{data.rstrip('/')}/", "")


def fix_words(finding: "Finding", data: str) -> str:
    """What --fix does about it."""
    from fullconv.data.doctor.kinds import KINDS

    kind = KINDS[finding.code]
    if not finding.fixable:
        return ""
    asked = f" --also {finding.code}" if kind.asked else ""
    return f"; --fix NEW{asked} {kind.mend}"


def conclusion(diagnosis: "Diagnosis", data: str) -> str:
    from rich.markup import escape

    from fullconv.data.doctor.kinds import KINDS

    counts = {severity: len(diagnosis.of(severity)) for severity in STYLES}
    quoted, copy = escape(shlex.quote(data)), escape(shlex.quote(f"{data.rstrip('/')}-mended"))
    parts = []
    if counts["ruins"]:
        parts.append(f"[{STYLES['ruins']}]{counts['ruins']} would ruin a run[/{STYLES['ruins']}]")
    if counts["harms"]:
        parts.append(f"[{STYLES['harms']}]{counts['harms']} would harm it[/{STYLES['harms']}]")
    if counts["information"]:
        parts.append(f"{counts['information']} good to know")
    fixable = sum(
        each.fixable and not KINDS[each.code].asked and each.severity != "information"
        for each in diagnosis.findings
    )
    told = ", ".join(parts) or "nothing is wrong"
    if fixable:
        return f"{told}; {fixable} can be mended: fullconv data check {quoted} --fix {copy}"
    if not counts["ruins"]:
        return f"{told}; ready for: fullconv train {quoted} --out runs/first"
    return told
