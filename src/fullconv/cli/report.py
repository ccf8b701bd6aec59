"""fullconv report"""

from pathlib import Path

import click


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def report(run: Path, as_json: bool) -> None:
    """Write RUN/report.html anew from what the run folder holds."""
    from fullconv.cli.console import print_json
    from fullconv.reporting.report import write_report

    file = write_report(run)
    if as_json:
        print_json({"report": str(file)})
    else:
        print(file)
