"""fullconv demo"""

from pathlib import Path

import click


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("demo"), show_default=True, help="Folder to write."
)
@click.option("--epochs", type=click.IntRange(min=1), default=8, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
def demo(out: Path, epochs: int, seed: int, as_json: bool) -> None:
    """Do the whole job, with nothing to download: draw scenes, train, evaluate, predict, report.

    A small network learns from scratch to label every pixel of drawn scenes it has not seen, in one to two minutes on
    two CPU cores. OUT/report.html shows how well.
    """
    from fullconv.cli.console import TrainingDisplay, print_json, say
    from fullconv.data.scenes import write_scenes
    from fullconv.inference.folder import find_pictures, predict_files
    from fullconv.inference.segmenter import load
    from fullconv.reporting.report import write_report
    from fullconv.reporting.tables import mean_iou_text
    from fullconv.training.config import TrainConfig
    from fullconv.training.loop import train

    clear_earlier(out)
    say("1/4 drawing scenes")
    scenes = write_scenes(out / "scenes", seed=seed)
    say("2/4 training from scratch, validated after each epoch on scenes that are not trained on")
    config = TrainConfig(
        data=scenes, out=out, model="fcn4s", backbone="resnet10t", backbone_weights="none", seed=seed,
        epochs=epochs, batch_size=8, scale=(0.75, 1.5), lr=3e-3, schedule="one-cycle", warmup=0.25,
    )  # fmt: skip
    final = None
    with TrainingDisplay() as display:
        for event in train(config):
            if event["kind"] != "warning":  # that training from scratch takes longer is no news here
                display.show(event)
            final = event["val"] if event["kind"] == "epoch" and event["best"] else final
    assert final is not None
    say("3/4 labelling pictures of other sizes")
    records = list(
        predict_files(
            load(out),
            find_pictures([str(scenes / "pictures")]),
            out / "predictions",
            {"mask", "overlay", "json"},
        )
    )
    say("4/4 writing the report")
    report = write_report(out)
    figures = {"mean_iou": final["mean_iou"], "pixel_accuracy": final["pixel_accuracy"]}
    if as_json:
        print_json(
            {
                **figures,
                "report": str(report),
                "predictions": str(out / "predictions"),
                "pictures": len(records),
            }
        )
    else:
        print(f"{mean_iou_text(final)} on {final['num_images']} unseen scenes")
        print(f"overlays {out / 'predictions' / 'overlays'}")
        print(f"report {report}")


def clear_earlier(out: Path) -> None:
    """Removes what an earlier demo left in `out`, and nothing else."""
    import shutil

    from fullconv.errors import ConfigError

    if not out.exists() or not any(out.iterdir()):
        return
    if not (out / "scenes" / "dataset.yaml").exists():
        raise ConfigError(f"{out} is not empty and holds no earlier demo; choose another --out")
    for name in ("predictions", "samples", "checkpoints", "scenes"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("config.yaml", "log.jsonl", "report.html"):
        (out / name).unlink(missing_ok=True)
