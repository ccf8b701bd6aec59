"""Predictions for many files, written as they come."""

import glob
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.files import files_by_key
from fullconv.data.masks import write_mask
from fullconv.data.pictures import SUFFIXES
from fullconv.drawing import save_jpeg
from fullconv.errors import InputError, PictureError
from fullconv.inference.segmenter import Prediction, Segmenter
from fullconv.storage import write_atomically, write_text_atomically

FOLDERS = {"mask": "masks", "overlay": "overlays", "scores": "scores"}


def find_pictures(sources: Sequence[str]) -> list[Path]:
    """The picture files that files, folders and globs name, each once, in order.

    Raises:
        InputError: a source that names nothing.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source)
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES)
        elif path.exists():
            files = [path]
        else:
            files = sorted(Path(name) for name in glob.glob(source, recursive=True) if Path(name).is_file())
        if not files:
            what = "holds no picture" if path.is_dir() else "does not exist"
            raise InputError(
                f"{source} {what}; expected picture files ({', '.join(sorted(SUFFIXES))}), folders or globs"
            )
        found.update(dict.fromkeys(files))
    return list(found)


def predict_files(
    segmenter: Segmenter,
    pictures: Sequence[Path],
    out: Path,
    kinds: set[str],
    extra: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Labels each file, writes what `kinds` asks for ("mask", "overlay", "scores", "json"), and yields its record.

    A record holds "source", "height", "width", "classes" (name: share), "seconds" and "mask", or "source" and "error".
    Further heads have masks, overlays and scores in folders that end in their name, and records of their own in "heads".

    Args:
        extra: a folder with the files of the further channels, named like the pictures.
    """
    companions = files_by_key(extra) if extra is not None else {}
    out.mkdir(parents=True, exist_ok=True)
    names = unique_names(pictures)
    records = []
    for picture, name in zip(pictures, names, strict=True):
        began = time.perf_counter()
        record: dict[str, Any] = {"source": str(picture)}
        try:
            if extra is not None and picture.stem not in companions:
                raise PictureError(
                    f"{picture}: its further channels are missing; expected {extra / picture.stem}.png"
                )
            prediction = segmenter.predict(picture, companions.get(picture.stem))
            height, width = prediction.label_map.shape
            seconds = time.perf_counter() - began
            if "mask" in kinds:
                record["mask"] = f"masks/{name}.png"
            record |= {
                "height": height,
                "width": width,
                "classes": prediction.fractions(),
                "seconds": round(seconds, 4),
            }
            write_prediction(prediction, out, name, kinds, "")
            for head, part in prediction.heads.items():
                write_prediction(part, out, name, kinds, f"_{head}")
                record.setdefault("heads", {})[head] = {"classes": part.fractions()}
        except InputError as error:
            record["error"] = str(error)
        records.append(record)
        yield record
    if "json" in kinds:
        write_text_atomically(
            out / "predictions.jsonl", "".join(json.dumps(record) + "\n" for record in records)
        )


def write_prediction(prediction: Prediction, out: Path, name: str, kinds: set[str], suffix: str) -> None:
    """The files of one head, in folders that end in `suffix`."""
    folders = {kind: out / f"{folder}{suffix}" for kind, folder in FOLDERS.items() if kind in kinds}
    for folder in folders.values():
        folder.mkdir(parents=True, exist_ok=True)
    if "mask" in kinds:
        write_mask(folders["mask"] / f"{name}.png", prediction.label_map, prediction.labels)
    if "overlay" in kinds:
        save_jpeg(prediction.overlay(), folders["overlay"] / f"{name}.jpg", quality=90)
    if "scores" in kinds:
        buffer = io.BytesIO()
        np.save(buffer, prediction.scores().astype(np.float16))
        write_atomically(folders["scores"] / f"{name}.npy", buffer.getvalue())


def unique_names(pictures: Sequence[Path]) -> list[str]:
    """A name per file: its stem; where stems meet, with what tells them apart.

    >>> unique_names([Path("a/x.jpg"), Path("b/x.jpg"), Path("b/x.png"), Path("b/y.png")])
    ['x', 'x_2', 'x_3', 'y']
    """
    taken: set[str] = set()
    names = []
    for picture in pictures:
        name, number = picture.stem, 1
        while name in taken:
            number += 1
            name = f"{picture.stem}_{number}"
        taken.add(name)
        names.append(name)
    return names
