"""fullconv predict"""

from pathlib import Path

import click

KINDS = ("mask", "overlay", "scores", "json")


@click.command()
@click.argument("model")
@click.argument("source", nargs=-1, required=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write into.")
@click.option("--save", default="mask,overlay,json", show_default=True, help=f"Any of {','.join(KINDS)}.")
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["auto", "fp32", "bf16"]), default="auto", show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object per picture on stdout.")
def predict(
    model: str, source: tuple[str, ...], out: Path, save: str, device: str, precision: str, as_json: bool
) -> None:
    """Label every pixel of the pictures in SOURCE: files, folders, or quoted globs.

    Writes OUT/masks/NAME.png (class ids, exactly the picture's size), OUT/overlays/NAME.jpg and OUT/predictions.jsonl. A
    picture that cannot be read is listed and does not stop the others; the exit code is then 1.
    """
    from fullconv.cli.console import print_json, progress_bar, say
    from fullconv.errors import FullconvError
    from fullconv.inference.folder import find_pictures, predict_files
    from fullconv.inference.segmenter import load

    kinds = parse_kinds(save)
    pictures = find_pictures(source)
    segmenter = load(model, device, precision)
    failed = 0
    with progress_bar("pictures") as bar:
        task = bar.add_task("predicting", total=len(pictures), figures="")
        for record in predict_files(segmenter, pictures, out, kinds):
            bar.advance(task)
            if "error" in record:
                failed += 1
                bar.console.print(f"error: {record['error']}", highlight=False, markup=False, soft_wrap=True)
            if as_json:
                print_json(record)
    done = len(pictures) - failed
    say(f"{done} of {len(pictures)} pictures labelled, in {out}")
    if failed:
        raise FullconvError(
            f"{failed} of {len(pictures)} pictures could not be labelled; they are listed above"
        )


def parse_kinds(save: str) -> set[str]:
    kinds = {kind.strip() for kind in save.split(",") if kind.strip()}
    unknown = sorted(kinds - set(KINDS))
    if unknown or not kinds:
        raise click.BadParameter(f"{save!r}; expected any of {','.join(KINDS)}", param_hint="--save")
    return kinds
