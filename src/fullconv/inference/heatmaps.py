"""Heat maps: what a classifier sees where, for pictures of any size, and the pictures that show it."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from fullconv.data.pictures import read_picture
from fullconv.devices import Precision, autocast, pick_device, pick_precision
from fullconv.drawing import FAINT, INK, PAPER, save_jpeg
from fullconv.errors import PictureError
from fullconv.inference.classifiers import NamedClassifier
from fullconv.inference.folder import unique_names
from fullconv.storage import write_text_atomically

NUM_SHOWN = 5
PANEL = 380
"""Long side of one picture of the sheet, in pixels."""
FRAME = (150, 158, 170)


class HeatMaps:
    """The probabilities of one picture's cells.

    Attributes:
        picture: (H, W, 3) uint8 RGB.
        cells: (K, h, w) float32, the softmax of each cell.
        classifier: what they come from.
        seen_hw: the size at which the classifier saw the picture; its own, unless it is smaller than the window.
    """

    def __init__(
        self,
        picture: np.ndarray,
        cells: torch.Tensor,
        classifier: NamedClassifier,
        seen_hw: tuple[int, int],
    ) -> None:
        self.picture = picture
        self.cells = cells
        self.classifier = classifier
        self.seen_hw = seen_hw

    def top(self, count: int = NUM_SHOWN) -> dict[int, float]:
        """The classes with the highest probability anywhere in the picture: id -> that probability, largest first."""
        best = self.cells.flatten(1).amax(dim=1).topk(min(count, self.cells.shape[0]))
        return dict(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def on_picture(self, class_id: int) -> np.ndarray:
        """(H, W) float32 probabilities of one class, each cell put at the centre of what it sees."""
        maps = self.classifier.network.on_pixels(self.cells[None, class_id : class_id + 1], self.seen_hw)
        if self.seen_hw != self.picture.shape[:2]:
            maps = torch.nn.functional.interpolate(
                maps, self.picture.shape[:2], mode="bilinear", antialias=True
            )
        return maps[0, 0].cpu().numpy()

    def asked_box(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) of the picture's part in which the windows have their centres, half a stride wider."""
        sides = []
        for axis, cells, seen, own in zip(
            self.classifier.network.geometry_hw,
            self.cells.shape[1:],
            self.seen_hw,
            self.picture.shape[:2],
            strict=True,
        ):
            ends = (axis.offset - axis.stride / 2, axis.offset + (cells - Fraction(1, 2)) * axis.stride)
            sides.append([min(max(float(end + Fraction(1, 2)) * own / seen, 0), own) for end in ends])
        (top, bottom), (left, right) = sides
        return left, top, right, bottom

    def record(self) -> dict[str, Any]:
        """The figures of predictions.jsonl."""
        stride = self.classifier.network.geometry_hw[0].stride
        return {
            "classes": {
                self.classifier.names[i]: round(probability, 6) for i, probability in self.top().items()
            },
            "stride": int(stride) if stride.denominator == 1 else float(stride),
            "map_hw": list(self.cells.shape[1:]),
        }

    def sheet(self) -> Image.Image:
        """The picture beside the top classes' heat maps, with one scale for all."""
        return draw_sheet(
            self.picture,
            [
                (self.classifier.names[i], probability, self.on_picture(i))
                for i, probability in self.top().items()
            ],
            self.asked_box(),
            self.classifier.network.window_hw,
        )


class HeatMapper:
    """Finds what a classifier sees where.

    Args:
        classifier: see `inference.classifiers`.
        device: "auto", "cpu", "cuda", ...
        precision: "auto", "fp32" or "bf16".
    """

    def __init__(self, classifier: NamedClassifier, device: str = "auto", precision: str = "auto") -> None:
        self.device = pick_device(device)
        self.precision: Precision = pick_precision(precision, self.device)
        self.classifier = classifier
        self.network = classifier.network.eval().to(self.device)

    def predict(self, picture: np.ndarray) -> HeatMaps:
        """(H, W, 3) uint8 RGB of any size to heat maps; what is smaller than the window is enlarged to it first."""
        height, width = picture.shape[:2]
        scale = max(1.0, self.network.window_hw[0] / height, self.network.window_hw[1] / width)
        seen_hw = (math.ceil(height * scale), math.ceil(width * scale))
        seen = picture
        if scale > 1:
            seen = np.array(
                Image.fromarray(picture).resize((seen_hw[1], seen_hw[0]), Image.Resampling.BICUBIC)
            )
        pixels = torch.from_numpy(np.ascontiguousarray(seen)).permute(2, 0, 1)[None]
        with torch.inference_mode(), autocast(self.device, self.precision):
            logits = self.network(self.classifier.preprocessing(pixels, self.device))
        return HeatMaps(picture, logits[0].float().softmax(dim=0), self.classifier, seen_hw)


def heat_map_files(mapper: HeatMapper, pictures: Sequence[Path], out: Path) -> Iterator[dict[str, Any]]:
    """Writes OUT/heatmaps/NAME.jpg for each file and OUT/predictions.jsonl, and yields each record.

    A record holds "source", "heatmap", "classes" (the five most probable, name: highest probability in the picture),
    "stride", "map_hw" and "seconds", or "source" and "error".
    """
    (out / "heatmaps").mkdir(parents=True, exist_ok=True)
    records = []
    for path, name in zip(pictures, unique_names(pictures), strict=True):
        began = time.perf_counter()
        record: dict[str, Any] = {"source": str(path)}
        try:
            maps = mapper.predict(read_picture(path))
            seconds = time.perf_counter() - began
            record |= {"heatmap": f"heatmaps/{name}.jpg", **maps.record(), "seconds": round(seconds, 4)}
            save_jpeg(maps.sheet(), out / "heatmaps" / f"{name}.jpg", quality=90)
        except PictureError as error:
            record["error"] = str(error)
        records.append(record)
        yield record
    write_text_atomically(out / "predictions.jsonl", "".join(json.dumps(record) + "\n" for record in records))


def draw_sheet(
    picture: np.ndarray,
    heats: Sequence[tuple[str, float, np.ndarray]],
    asked_box: tuple[float, float, float, float],
    window_hw: tuple[int, int],
) -> Image.Image:
    """Three pictures a row: the picture itself, then (title, highest value, (H, W) heat) each; a scale bar below.

    A frame marks `asked_box`, (left, top, right, bottom): outside of it no window has its centre, and nothing is painted.
    """
    height, width = picture.shape[:2]
    ratio = PANEL / max(height, width)
    size = (max(1, round(width * ratio)), max(1, round(height * ratio)))
    shown = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    box = tuple(round(side * ratio) for side in asked_box)
    top = max((value for _, value, _ in heats), default=1.0)
    panels = [("picture", "", shown)]
    for title, value, heat in heats:
        small = Image.fromarray(heat.astype(np.float32)).resize(size, Image.Resampling.BILINEAR)
        panels.append((title, percent(value), painted(shown, np.asarray(small) / max(top, 1e-9), box)))
    margin, gap, caption = 20, 18, 28
    cell_width, cell_height = max(size[0], 240), size[1] + caption
    num_rows = -(-len(panels) // 3)
    sheet_width = 2 * margin + 3 * cell_width + 2 * gap
    sheet = Image.new("RGB", (sheet_width, 2 * margin + num_rows * (cell_height + gap) + 20), PAPER)
    for index, (title, value, image) in enumerate(panels):
        x, y = margin + index % 3 * (cell_width + gap), margin + index // 3 * (cell_height + gap)
        draw_title(sheet, (x, y + caption // 2), title, value, cell_width)
        sheet.paste(image, (x, y + caption))
    draw_scale(sheet, margin, sheet.height - margin - 12, top, window_hw)
    return sheet


def draw_title(sheet: Image.Image, at: tuple[int, int], title: str, value: str, width: int) -> None:
    font, draw = ImageFont.load_default(15), ImageDraw.Draw(sheet)
    short = cut(title, font, width - font.getlength(value) - 12)
    draw.text(at, short, fill=INK, font=font, anchor="lm")
    draw.text((at[0] + font.getlength(short) + 10, at[1]), value, fill=FAINT, font=font, anchor="lm")


def percent(part: float) -> str:
    return f"{part:.0%}".replace("%", " %") if part >= 0.01 else "<1 %"


def painted(picture: Image.Image, heat: np.ndarray, box: tuple[int, ...]) -> Image.Image:
    """The picture in grey, and inside of `box` under the colours of `heat`, (H, W) in 0..1."""
    grey = np.repeat(0.75 * np.asarray(picture.convert("L"), np.float32)[..., None] + 55, 3, axis=2)
    left, top, right, bottom = box
    inside = np.zeros_like(heat)
    inside[top:bottom, left:right] = heat[top:bottom, left:right]
    image = Image.fromarray(blended(grey, inside))
    ImageDraw.Draw(image).rectangle(
        (left, top, min(right, image.width) - 1, min(bottom, image.height) - 1), outline=FRAME
    )
    return image


def blended(under: np.ndarray, heat: np.ndarray) -> np.ndarray:
    from matplotlib import colormaps

    heat = heat.clip(0, 1)
    colors = colormaps["YlOrRd"](0.15 + 0.85 * heat)[..., :3] * 255
    # Faint heat stays visible, and what is under strong heat stays recognisable.
    opacity = 0.8 * heat[..., None] ** 0.6
    return (under * (1 - opacity) + colors * opacity).clip(0, 255).astype(np.uint8)


def draw_scale(sheet: Image.Image, x: int, y: int, top: float, window_hw: tuple[int, int]) -> None:
    """A bar of the colours from 0 to `top`, with its ends named; then what the frame means."""
    font, draw = ImageFont.load_default(13), ImageDraw.Draw(sheet)
    bar = blended(np.full((12, 160, 3), 215, np.float32), np.tile(np.linspace(0, 1, 160), (12, 1)))
    for piece in ("probability  0", Image.fromarray(bar), f"{percent(top)}        frame: centres of the "
                  f"{window_hw[0]} x {window_hw[1]} windows"):  # fmt: skip
        if isinstance(piece, str):
            draw.text((x, y + 6), piece, fill=FAINT, font=font, anchor="lm")
            x += round(font.getlength(piece)) + 8
        else:
            sheet.paste(piece, (x, y))
            x += piece.width + 8


def cut(text: str, font: Any, width: float) -> str:
    """The text, shortened at its end until it is at most `width` pixels long."""
    short = text
    while len(short) > 2 and font.getlength(short) > width:
        short = short[:-2].rstrip() + "…"
    return short
