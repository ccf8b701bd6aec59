"""What belongs to a sample besides picture and mask: extra channels, and the masks of further heads.

dataset.yaml names their folders, which lie beside those of pictures and masks; a file there has its picture's
name, as a mask has.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fullconv.data.classes import Description
from fullconv.data.files import files_by_key
from fullconv.data.samples import Sample
from fullconv.errors import DataError, Report, fail


def add_companions(
    samples: Sequence[Sample], description: Description, root: Path, pictures: Path, report: Report = fail
) -> tuple[Sample, ...]:
    """The samples, with the files and the conventions that dataset.yaml names.

    Args:
        samples: pictures and masks.
        description: the content of dataset.yaml.
        root: what the folders in it are relative to.
        pictures: the folder of the pictures.
        report: told of a folder, or a picture's file in it, that is missing; such samples are left out.

    Raises:
        DataError: as `report` does.
    """
    shades, extra = description.shades(), description.extra
    extras: list[Path | None] = [None] * len(samples)
    if extra:
        extras = _files(samples, root / extra.folder, pictures, "extra", report)
    by_head = [
        _files(samples, root / head.masks, pictures, f"head {head.name}", report)
        for head in description.heads
    ]
    return tuple(
        replace(
            sample,
            shades=shades or sample.shades,
            extra=extras[index],
            extra_format=extra.form() if extra else None,
            head_masks=tuple(path for files in by_head if (path := files[index])),
        )
        for index, sample in enumerate(samples)
        if all(files[index] for files in ([extras] if extra else []) + by_head)
    )


def _files(
    samples: Sequence[Sample], folder: Path, pictures: Path, what: str, report: Report
) -> list[Path | None]:
    """The file of each sample in `folder`, by its picture's place in `pictures`, or by its name alone."""
    if not folder.is_dir():
        told = f"{folder}: no such folder; dataset.yaml names it under {what}; correct the name"
        report(DataError(told, "companion-missing", [str(folder)]))
        return [None] * len(samples)
    files = files_by_key(folder, report)
    keys = [
        sample.picture.relative_to(pictures).with_suffix("").as_posix()
        if isinstance(sample.picture, Path)
        else sample.name
        for sample in samples
    ]
    found = [files.get(key) or files.get(sample.name) for key, sample in zip(keys, samples, strict=True)]
    missing = [index for index, path in enumerate(found) if path is None]
    if missing:
        told = (
            f"{samples[missing[0]].picture}: its file for {what} is missing; expected "
            f"{folder / keys[missing[0]]}.png; {len(missing)} of {len(samples)} are; add them"
        )
        report(DataError(told, "companion-missing", [str(samples[index].picture) for index in missing]))
    return found
