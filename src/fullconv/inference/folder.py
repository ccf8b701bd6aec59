"""Predictions for many files, written as they come."""

import glob
import io
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fullconv.data.masks import write_mask
from fullconv.data.pictures import SUFFIXES
from fullconv.drawing import save_jpeg
from fullconv.errors import InputError, PictureError
from fullconv.inference.segmenter import Prediction, Segmenter
from fullconv.storage import write_atomically, write_text_atomically


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
    segmenter: Segmenter, pictures: Sequence[Path], out: Path, kinds: set[str]
) -> Iterator[dict[str, Any]]:
    """Labels each file, writes what `kinds` asks for ("mask", "overlay", "scores", "json"), and yields its record.

    A record holds "source", "height", "width", "classes" (name: share), "seconds" and "mask", or "source" and "error".
    """
    folders = {"mask": "masks", "overlay": "overlays", "scores": "scores"}
    for kind in kinds & set(folders):
        (out / folders[kind]).mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    names = unique_names(pictures)
    records = []
    for picture, name in zip(pictures, names, strict=True):
        began = time.perf_counter()
        record: dict[str, Any] = {"source": str(picture)}
        try:
            prediction = segmenter.predict(picture)
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
            write_prediction(prediction, out, name, kinds, segmenter)
        except PictureError as error:
            record["error"] = str(error)
        records.append(record)
        yield record
    if "json" in kinds:
        write_text_atomically(
            out / "predictions.jsonl", "".join(json.dumps(record) + "\n" for record in records)
        )


def write_prediction(
    prediction: Prediction, out: Path, name: str, kinds: set[str], segmenter: Segmenter
) -> None:
    if "mask" in kinds:
        write_mask(out / "masks" / f"{name}.png", prediction.label_map, segmenter.labels)
    if "overlay" in kinds:
        save_jpeg(prediction.overlay(), out / "overlays" / f"{name}.jpg", quality=90)
    if "scores" in kinds:
        buffer = io.BytesIO()
        np.save(buffer, prediction.scores().astype(np.float16))
        write_atomically(out / "scores" / f"{name}.npy", buffer.getvalue())


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
