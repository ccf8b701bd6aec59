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
from fullconv.errors import DataError


def add_companions(
    samples: Sequence[Sample], description: Description, root: Path, pictures: Path
) -> tuple[Sample, ...]:
    """The samples, with the files and the conventions that dataset.yaml names.

    Args:
        samples: pictures and masks.
        description: the content of dataset.yaml.
        root: what the folders in it are relative to.
        pictures: the folder of the pictures.

    Raises:
        DataError: a folder, or a picture's file in it, is missing.
    """
    shades, extra = description.shades(), description.extra
    extras = _files(samples, root / extra.folder, pictures, "extra") if extra else [None] * len(samples)
    by_head = [
        _files(samples, root / head.masks, pictures, f"head {head.name}") for head in description.heads
    ]
    return tuple(
        replace(
            sample,
            shades=shades,
            extra=extras[index],
            extra_format=extra.form() if extra else None,
            head_masks=tuple(files[index] for files in by_head),
        )
        for index, sample in enumerate(samples)
    )


def _files(samples: Sequence[Sample], folder: Path, pictures: Path, what: str) -> list[Path]:
    """The file of each sample in `folder`, by its picture's place in `pictures`, or by its name alone."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder; dataset.yaml names it under {what}; correct the name")
    files = files_by_key(folder)
    keys = [
        sample.picture.relative_to(pictures).with_suffix("").as_posix()
        if isinstance(sample.picture, Path)
        else sample.name
        for sample in samples
    ]
    found = [files.get(key) or files.get(sample.name) for key, sample in zip(keys, samples, strict=True)]
    missing = [index for index, path in enumerate(found) if path is None]
    if missing:
        raise DataError(
            f"{samples[missing[0]].picture}: its file for {what} is missing; expected "
            f"{folder / keys[missing[0]]}.png; {len(missing)} of {len(samples)} are; add them"
        )
    return [path for path in found if path is not None]
