"""fullconv data download"""

import time
from pathlib import Path
from typing import Any

import click

PLAIN_SECONDS = 15


@click.command()
@click.argument("name", required=False)
@click.argument("dst", type=click.Path(path_type=Path), required=False)
@click.option(
    "--archive",
    "archives",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="FILE",
    help="An archive that you fetched by hand; may be repeated.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def download(name: str | None, dst: Path | None, archives: tuple[Path, ...], as_json: bool) -> None:
    """Fetch the public data set NAME into the folder DST.

    Without NAME, list the sets. An interrupted download goes on where it stopped when the command is run again; a complete one
    is left alone.

    \b
    fullconv data download
    fullconv data download voc2012 data/voc2012
    """
    if name is None:
        show_list(as_json)
        return
    if dst is None:
        raise click.UsageError(f"no folder is given; try 'fullconv data download {name} data/{name}'")
    from fullconv.cli.console import print_json, say
    from fullconv.data.fetching import obtain
    from fullconv.data.public_sets import public_set

    wanted = public_set(name)
    say(f"{name}: {wanted.title}")
    say(f"licence  {wanted.licence} ({wanted.page})")
    with TransferDisplay() as display:
        obtained = obtain(name, dst, archives, display.tell)
    dataset = obtained.dataset
    splits = {split: len(samples) for split, samples in dataset.splits.items()}
    for file in obtained.files:
        if file.checked not in ("SHA-256",):
            say(f"{file.name}: SHA-256 {file.sha256}; compared with what is published: {file.checked}")
    if as_json:
        files = [vars(file) for file in obtained.files]
        print_json(
            {
                "name": name,
                "data": str(dst),
                "splits": splits,
                "num_classes": dataset.labels.num_classes,
                "licence": wanted.licence,
                "files": files,
                "was_there": obtained.was_there,
            }
        )
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in splits.items())
    print(f"{dst}: {counts}; {dataset.labels.num_classes} classes ({dataset.layout})")
    if obtained.was_there:
        say("it was there already; nothing was fetched")
    if wanted.advice:
        say(f"note     {wanted.advice.format(folder=dst)}")
    say(f"next     fullconv data info {dst}")


def show_list(as_json: bool) -> None:
    """Prints what there is to be had."""
    from fullconv.cli.console import print_json
    from fullconv.data.public_sets import PUBLIC_SETS

    if as_json:
        print_json({"sets": {name: facts_of(each) for name, each in PUBLIC_SETS.items()}})
        return
    print(f"{'name':20} {'pictures':>9} {'classes':>8} {'download':>9}")
    for name, each in PUBLIC_SETS.items():
        total, login = f"{sum(each.pictures.values()):,}", "  needs an account" if each.account else ""
        size = ("" if each.size_is_exact else "~") + size_text(each.size)
        print(f"{name:20} {total:>9} {each.num_classes:>8} {size:>9}{login}")
        print(f"  {each.title}")
        print(f"  licence: {each.licence}")


def facts_of(each: Any) -> dict[str, Any]:
    """What --json says of a set."""
    return {
        "title": each.title,
        "page": each.page,
        "licence": each.licence,
        "num_classes": each.num_classes,
        "pictures": each.pictures,
        "bytes": each.size,
        "account": each.account,
    }


def size_text(num_bytes: float) -> str:
    """
    >>> size_text(1_999_639_040), size_text(19_173_078)
    ('2.0 GB', '19 MB')
    """
    return f"{num_bytes / 1e9:.1f} GB" if num_bytes >= 1e9 else f"{num_bytes / 1e6:.0f} MB"


class TransferDisplay:
    """Shows how far a download is: a bar on a terminal, now and then a plain line elsewhere; on stderr."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )

        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=18),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.doing: tuple[str, str] = ("", "")
        self.spoke = time.monotonic()

    def __enter__(self) -> "TransferDisplay":
        self.bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def tell(self, what: str, which: str, done: int, total: int | None) -> None:
        if (what, which) != self.doing:
            self.doing = (what, which)
            for task in self.bar.task_ids:
                self.bar.remove_task(task)
            self.bar.add_task(
                f"{what} {which if len(which) < 28 else which[:26] + '…'}", total=total, completed=done
            )
            self.began, self.first = time.monotonic(), done
            self.line(f"{what} {which}")
        self.bar.update(self.bar.task_ids[-1], completed=done, total=total)
        if not self.console.is_terminal and time.monotonic() - self.spoke > PLAIN_SECONDS:
            self.line(f"{what} {which}: {self.figures(done, total)}")

    def figures(self, done: int, total: int | None) -> str:
        rate = (done - self.first) / max(1e-3, time.monotonic() - self.began)
        if total is None:
            return size_text(done)
        left = f", {(total - done) / rate:.0f} s left" if rate else ""
        return f"{size_text(done)} of {size_text(total)}, {size_text(rate)}/s{left}"

    def line(self, text: str) -> None:
        self.spoke = time.monotonic()
        if not self.console.is_terminal:
            self.console.print(text, highlight=False, markup=False, soft_wrap=True)
