"""What a data set holds, as one HTML file that needs nothing but a browser."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fullconv.data.masks import read_mask
from fullconv.data.pictures import read_picture
from fullconv.drawing import before_after
from fullconv.errors import InputError
from fullconv.labels import LabelSet
from fullconv.metrics.ceiling import STRIDES
from fullconv.reporting.data_advice import advice_on, train_command
from fullconv.reporting.data_facts import DataFacts, Example
from fullconv.reporting.data_text import other_splits, percent
from fullconv.reporting.report import page_environment
from fullconv.storage import write_text_atomically

LONG_SIDE = 460
"""Of an example on the page, in pixels."""


def write_data_page(facts: DataFacts, data: Path, path: Path) -> None:
    """Writes the page: figures, advice, and examples under their classes.

    Raises:
        StorageError: the disk is full or may not be written.
    """
    main = facts.splits[facts.main]
    shown = [picture for example in facts.examples if (picture := _shown(example, facts.labels))]
    page = page_environment().get_template("data.html.j2").render(
        name=facts.name,
        layout=facts.layout,
        folder=str(data),
        splits=facts.splits,
        main_name=facts.main,
        main=main,
        effective=facts.effective_classes,
        ratio=facts.ratio,
        num_pictures=sum(split.num_pictures for split in facts.splits.values()),
        num_present=sum(1 for count in main.pixels_per_class if count),
        advice=advice_on(facts),
        command=train_command(facts, data),
        others=other_splits(facts)[:3],
        classes=_rows(facts),
        void=percent(main.void_share),
        ceilings=[(stride, main.ceilings[stride]) for stride in STRIDES],
        typical=[each for each in shown if each["rare"] is None],
        rare=[each for each in shown if each["rare"] is not None],
        unreadable=facts.unreadable[:20],
        num_unreadable=len(facts.unreadable),
    )  # fmt: skip
    write_text_atomically(path, page)


def _rows(facts: DataFacts) -> list[dict[str, Any]]:
    """The classes, the commonest first."""
    main = facts.splits[facts.main]
    shares, most = main.shares, max(main.shares, default=0) or 1
    order = sorted(range(len(shares)), key=lambda index: -shares[index])
    return [
        {
            "id": index,
            "name": facts.labels.names[index],
            "color": "rgb({}, {}, {})".format(*facts.labels.colors[index]),
            "share": shares[index],
            "told": percent(shares[index]),
            "bar": shares[index] / most,
            "pictures": main.pictures_per_class[index],
            "others": [percent(facts.splits[name].shares[index]) for name in other_splits(facts)[:3]],
            "rare": 0 < shares[index] < 0.1 / len(shares),
            "absent": not shares[index],
        }
        for index in order
    ]


def _shown(example: Example, labels: LabelSet) -> dict[str, Any] | None:
    """An example as the page shows it; None where it cannot be read."""
    try:
        picture = read_picture(example.sample.picture)
        label_map = read_mask(example.sample.mask, labels, example.sample.shades)
    except InputError:
        return None
    if picture.shape[:2] != label_map.shape:
        return None
    picture, label_map = _small(picture, label_map)
    if example.rare is None:
        drawn = before_after(picture, label_map, labels, legend=False)
        return {"name": example.sample.name, "rare": None, "jpeg": _address(drawn)}
    color = labels.colors[example.rare]
    other = (0, 0, 0) if any(color) else (255, 255, 255)  # never seen: background is not tinted
    alone = LabelSet(("background", f"{labels.names[example.rare]} alone"), (other, color))
    only = (label_map == example.rare).astype(np.uint8)
    return {
        "name": example.sample.name,
        "rare": labels.names[example.rare],
        "share": percent(float(only.mean())),
        "jpeg": _address(before_after(picture, only, alone, legend=False, opacity=0.7)),
    }


def _small(picture: np.ndarray, label_map: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    height, width = label_map.shape
    scale = LONG_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    smooth = Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC
    return (
        np.asarray(Image.fromarray(picture).resize(size, smooth)),
        np.asarray(Image.fromarray(label_map).resize(size, Image.Resampling.NEAREST)),
    )


def _address(image: Image.Image) -> str:
    """The picture as an address that holds the whole of it."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}"
