"""TensorBoard: the figures of the log as curves, and the sample grids as pictures."""

from pathlib import Path

import numpy as np
from PIL import Image

from fullconv.training.runlog import Event

FIGURES = (
    "mean_iou", "pixel_accuracy", "mean_accuracy", "frequency_weighted_iou", "boundary_iou", "boundary_f",
)  # fmt: skip


class Board:
    """Writes events into a run folder; `tensorboard --logdir runs` shows them."""

    def __init__(self, run: Path) -> None:
        from torch.utils.tensorboard.writer import SummaryWriter

        self.run = run
        self.writer = SummaryWriter(str(run))

    def __enter__(self) -> "Board":
        return self

    def __exit__(self, *_: object) -> None:
        self.writer.close()

    def show(self, record: Event) -> None:
        """Adds a "step" or "epoch" record of the log."""
        step = record["step"]
        if record["kind"] == "step":
            for name in ("loss", "lr", "images_per_second"):
                self.writer.add_scalar(f"train/{name}", record[name], step)
        elif record["val"] is not None:
            for name in FIGURES:
                if record["val"][name] is not None:
                    self.writer.add_scalar(f"val/{name}", record["val"][name], step)
            with Image.open(self.run / "samples" / f"epoch_{record['epoch']:04d}.jpg") as grid:
                self.writer.add_image("val/samples", np.asarray(grid), step, dataformats="HWC")
