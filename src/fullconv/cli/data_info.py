"""fullconv data info"""

import sys
from pathlib import Path

import click


@click.command()
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--split", default=None, help="Look at this split alone, for example train.")
@click.option(
    "--html", type=click.Path(path_type=Path), metavar="FILE", help="Write a page with pictures, too."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def info(data: Path, split: str | None, html: Path | None, as_json: bool) -> None:
    """Tell what DATA holds, and what to begin with.

    Counts, sizes, shares of the classes and their imbalance, the highest mean IU that each stride admits; a crop, a batch size,
    a model and class weights to begin with. Every mask is read once.

    \b
    fullconv data info data/camvid --html camvid.html
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.data.dataset import open_dataset
    from fullconv.reporting.data_facts import data_facts
    from fullconv.reporting.data_page import write_data_page
    from fullconv.reporting.data_text import facts_json, facts_text

    dataset = open_dataset(data)
    with progress_bar("pictures") as bar:
        task = bar.add_task("reading", total=None, figures="")
        facts = data_facts(dataset, split, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print_json(facts_json(facts, data))
    else:
        print(facts_text(facts, data, blocks_for(sys.stdout.encoding)))
    if html:
        write_data_page(facts, data, html)
        say(f"page   {html}")


def blocks_for(encoding: str | None) -> str:
    """What bars are drawn with: eighths of a block, where the terminal has them.

    >>> blocks_for("utf-8"), blocks_for("ascii")
    (' ▏▎▍▌▋▊▉█', ' #')
    """
    blocks = " ▏▎▍▌▋▊▉█"
    try:
        blocks.encode(encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return " #"
    return blocks
