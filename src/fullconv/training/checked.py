"""The data of a run, looked at before the first step."""

import shlex
from collections.abc import Generator

from fullconv.data.check import DataSummary, check_samples, quick_part
from fullconv.data.dataset import Dataset, open_dataset
from fullconv.errors import DataError
from fullconv.training.config import TrainConfig
from fullconv.training.runlog import Event


def checked_data(config: TrainConfig) -> Generator[Event, None, tuple[Dataset, DataSummary]]:
    """The data set, and what the check of its training samples counted.

    Yields:
        A "check" record and "warning" records.

    Raises:
        DataError: what would ruin the run; with the command that tells all of it.
    """
    try:
        return (yield from _checked_data(config))
    except DataError as error:
        if not error.code:
            raise
        command = f"fullconv data check {shlex.quote(str(config.data))}"
        raise DataError(f"{error}; '{command}' tells all, and mends what it can", error.code) from None


def _checked_data(config: TrainConfig) -> Generator[Event, None, tuple[Dataset, DataSummary]]:
    dataset = open_dataset(config.data)
    if config.min_size is not None:
        dataset = dataset.at_least(config.min_size)
    train_samples, val_samples = dataset.split(config.train_split), dataset.split(config.val_split)
    yield {"kind": "check", "samples": len(train_samples) + len(val_samples)}
    seen = quick_part(train_samples)
    if len(seen) < len(train_samples):
        message = (
            f"{len(seen):,} of {len(train_samples):,} training samples were looked at before the first step"
        )
        yield {"kind": "warning", "message": message}
    summary = check_samples(seen, dataset.labels, heads=dataset.heads)
    val_seen = quick_part(val_samples)
    further = check_samples(val_seen, dataset.labels, heads=dataset.heads, learnt=False)
    known = len({sample.picture for sample in seen} & {sample.picture for sample in val_seen})
    for warning in (*summary.warnings, *further.warnings):
        yield {"kind": "warning", "message": warning}
    if known:
        yield {
            "kind": "warning",
            "message": f"{known} of {len(val_seen)} {config.val_split} pictures are in {config.train_split} too: the figures "
            "will say how well they are remembered, not how well others are labelled",
        }
    return dataset, summary
