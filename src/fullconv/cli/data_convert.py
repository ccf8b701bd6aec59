"""fullconv data convert"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from fullconv.data.contents import Dataset

FORMS = ("voc", "twin", "coco", "yolo", "labelme", "cvat", "labelstudio", "supervisely", "webdataset")
"""The keys of `fullconv.data.convert.FORMS`, which is not imported before it is needed, and shards."""


@click.command()
@click.argument("src")
@click.argument("dst", type=click.Path(path_type=Path))
@click.option("--to", "form", type=click.Choice(FORMS), required=True, help="The form to write.")
@click.option("--polygons", is_flag=True, help="Write coco and labelme as polygons, as yolo always is.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default=True,
    help="How far polygons may leave the masks' outlines, in pixels; 0 loses nothing.",
)
@click.option("--link", is_flag=True, help="Link the pictures instead of copying them, where the disk can.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def convert(
    src: str, dst: Path, form: str, polygons: bool, tolerance: float, link: bool, as_json: bool
) -> None:
    """Write the data set SRC in another form to DST, a new folder.

    SRC is any folder that training takes, or NAME:PATH with the name of its layout. Splits stay as they are, pictures are
    copied byte for byte, and a dataset.yaml keeps names, order and colours of the classes. At the end all masks are read
    back and compared with the old ones.
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.data.convert import Style
    from fullconv.data.convert import convert as run_conversion
    from fullconv.data.dataset import open_dataset

    if tolerance and not polygons and form != "yolo":
        raise click.UsageError("--tolerance is for polygons; add --polygons")
    dataset = open_dataset(src)
    if form == "webdataset":
        pack(dataset, dst, as_json)
        return
    with progress_bar("pictures") as bar:
        task = bar.add_task("writing", total=sum(map(len, dataset.splits.values())), figures="")
        done = run_conversion(
            dataset,
            dst,
            form,
            Style(polygons or form == "yolo", tolerance),
            link=link,
            progress=lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            ),
        )
    for what in done.left_out:
        say(f"warning: {what}: left out; {form} is written with the first head and RGB alone")
    if as_json:
        print_json(
            {
                "data": str(done.folder),
                "form": form,
                "splits": done.splits,
                "pixels": done.pixels,
                "changed_pixels": done.changed,
                "void_lost": done.void_lost,
                "mean_iou": done.mean_iou,
                "left_out": done.left_out,
            }
        )
        return
    splits = ", ".join(f"{count} {split}" for split, count in done.splits.items())
    print(f"{done.folder}: {splits} as {form}")
    if not done.changed:
        print(f"masks read back: all {done.pixels:,} pixels as before")
        return
    share, lost = done.changed / done.pixels, done.void_lost / done.pixels
    print(
        f"masks read back: {share:.3%} of {done.pixels:,} pixels changed; mean IU of old against new {done.mean_iou:.3%}"
    )
    if lost:
        print(f"{lost:.3%} of all were void, for which {form} has no place: they are background now")


def pack(dataset: "Dataset", dst: Path, as_json: bool) -> None:
    """Writes shards: all heads and extra channels too, and after an interruption only what is missing."""
    from fullconv.cli.console import print_json, progress_bar
    from fullconv.data.shards.writing import write_shards

    with progress_bar("pictures") as bar:
        task = bar.add_task("packing", total=sum(map(len, dataset.splits.values())), figures="")
        splits = write_shards(
            dataset, dst, seen=lambda done, total: bar.update(task, completed=done, total=total)
        )
    if as_json:
        print_json({"data": str(dst), "form": "webdataset", "splits": splits})
    else:
        print(f"{dst}: {', '.join(f'{count} {split}' for split, count in splits.items())} as webdataset")
