"""What is wrong with a file, drawn: the picture, and beside it the mask over the picture with the faulty pixels marked."""

import io
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from fullconv.data.doctor.diagnosis import Diagnosis
from fullconv.data.doctor.examination import Examined
from fullconv.data.doctor.findings import Finding, Place
from fullconv.data.doctor.refusals import snapped_mask
from fullconv.data.doctor.solid import snap_ids
from fullconv.data.masks import palette_of, read_mask, read_stored
from fullconv.data.pictures import read_picture
from fullconv.data.sources import MaskFile, MaskSource
from fullconv.drawing import NEUTRAL, WRONG
from fullconv.errors import InputError
from fullconv.labels import IGNORE_INDEX, LabelSet

Painter = Callable[[Examined], tuple[np.ndarray, np.ndarray, np.ndarray] | None]
"""What a model says of a sample: its truth, the prediction, and where the two differ with confidence."""

HEIGHT, WIDEST = 176, 264
"""Of one picture in the page."""

GAP = 3
OPACITY = 0.6
FEW = 0.02
"""Where a smaller part of a picture is faulty, a frame shows where."""

OUTLINES = frozenset(("misplaced", "fits-poorly", "mask-copied", "mask-turned", "mask-size"))
"""Faults of place: the mask is drawn as outlines."""

TWO_PICTURES = frozenset(
    ("same-across", "near-same-across", "same-within", "mask-shared", "mask-copied", "name-doubled")
)
"""Faults between two files: both are shown."""


@dataclass(frozen=True)
class Drawn:
    """A drawing for the page.

    Attributes:
        address: of a JPEG, all of it: `data:image/jpeg;base64,...`.
        width, height: in pixels.
    """

    address: str
    width: int
    height: int


def draw_place(
    finding: Finding, place: Place, diagnosis: Diagnosis, painter: Painter | None = None
) -> Drawn | None:
    """A drawing of a finding's file; None where there is nothing to show."""
    dataset = diagnosis.survey.dataset
    each = next((each for each in diagnosis.examined if place.file in _files(each)), None)
    if each is None or dataset is None:  # it has no partner
        alone = _attempt(lambda: read_picture(place.file))
        return None if alone is None else _as_jpeg(_in_a_row([Image.fromarray(alone)]))
    picture = _attempt(lambda: read_picture(each.sample.picture))
    if finding.code == "model-disagrees" and painter is not None:
        said = painter(each)
        images = [] if said is None else _model_says(picture, *said, dataset.labels)
    elif finding.code in TWO_PICTURES or finding.code == "contradictory":
        images = _two(finding.code, each, place, diagnosis)
    else:
        images = _picture_and_mask(finding.code, picture, each, dataset.labels)
    return _as_jpeg(_in_a_row(images)) if images else None


def _files(each: Examined) -> tuple[str, str]:
    return str(each.sample.picture), str(each.sample.mask)


def _attempt(read: Callable[[], np.ndarray]) -> np.ndarray | None:
    try:
        return read()
    except InputError:
        return None


def _picture_and_mask(
    code: str, picture: np.ndarray | None, each: Examined, labels: LabelSet
) -> list[Image.Image]:
    shown = _nothing("picture cannot be read") if picture is None else Image.fromarray(picture)
    if code.startswith("picture-") or code in ("size-odd", "wrong-suffix"):
        return [] if picture is None else [shown]
    label_map = _label_map(each.sample.mask, labels, each)
    if label_map is None:
        return [shown, _nothing("mask cannot be read")]
    if code in OUTLINES:
        return [shown, _outlined(picture, label_map)]
    return [shown, _overlaid(picture, label_map, _faulty(code, each, label_map, labels), labels)]


def _label_map(mask: MaskFile, labels: LabelSet, each: Examined) -> np.ndarray | None:
    """The mask, or of one that was refused what can be made of it; (H, W) uint8."""
    label_map = _attempt(lambda: read_mask(mask, labels, each.sample.shades))
    if label_map is not None or isinstance(mask, MaskSource):
        return label_map
    code = next((fault.code for fault in each.faults if fault.file == str(mask)), "")
    if snapped := snapped_mask(each, code, labels):
        return snapped.ids
    try:
        pixels, _ = read_stored(mask)
    except InputError:
        return None
    return (
        np.where(pixels < labels.num_classes, pixels, IGNORE_INDEX).astype(np.uint8)
        if pixels.ndim == 2
        else None
    )


def _faulty(code: str, each: Examined, label_map: np.ndarray, labels: LabelSet) -> np.ndarray:
    """(H, W) bool: the pixels that a finding is about."""
    nothing = np.zeros(label_map.shape, bool)
    refused = next((fault.code for fault in each.faults if fault.file == str(each.sample.mask)), "")
    if refused and (snapped := snapped_mask(each, refused, labels)):
        return snapped.moved | snapped.left | snapped.foreign
    if code == "mask-interpolated":
        return snap_ids(label_map, labels).moved
    return nothing


def _overlaid(
    picture: np.ndarray | None, label_map: np.ndarray, faulty: np.ndarray, labels: LabelSet
) -> Image.Image:
    """The classes' colours over the grey picture, faulty pixels in red, and a frame around them where they are few."""
    colors = palette_of(labels)[label_map].astype(np.float32)
    ground = _grey(picture, label_map.shape)
    image = (OPACITY * colors + (1 - OPACITY) * ground).astype(np.uint8)
    image[faulty] = WRONG
    shown = _fitted(Image.fromarray(image))
    if faulty.any() and faulty.mean() < FEW:
        rows, columns = np.nonzero(faulty)
        scale = shown.width / label_map.shape[1]
        box = [
            columns.min() * scale - 4,
            rows.min() * scale - 4,
            columns.max() * scale + 4,
            rows.max() * scale + 4,
        ]
        draw = ImageDraw.Draw(shown)
        draw.rectangle([float(side) for side in box], outline=(255, 255, 255), width=4)
        draw.rectangle([float(side) for side in box], outline=WRONG, width=2)
    return shown


def _outlined(picture: np.ndarray | None, label_map: np.ndarray) -> Image.Image:
    """The mask's outlines in red over the grey picture; of another size, where its own pixels lie."""
    height, width = label_map.shape if picture is None else picture.shape[:2]
    rows, columns = max(height, label_map.shape[0]), max(width, label_map.shape[1])
    image = np.full((rows, columns, 3), 255, np.uint8)
    image[:height, :width] = _grey(picture, (height, width))
    lines = np.zeros(label_map.shape, bool)
    lines[:, :-1] |= label_map[:, 1:] != label_map[:, :-1]
    lines[:-1] |= label_map[1:] != label_map[:-1]
    if label_map.shape != (height, width):  # its rim shows how much there is of it
        lines[[0, -1]] = True
        lines[:, [0, -1]] = True
    image[np.nonzero(lines)] = WRONG
    return Image.fromarray(image)


def _grey(picture: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    """(H, W, 3) float32: the picture in faint grey, or plain grey where there is none of this size."""
    if picture is None or picture.shape[:2] != tuple(shape):
        return np.full((*shape, 3), 200, np.float32)
    grey = np.asarray(Image.fromarray(picture).convert("L"), np.float32)
    return np.repeat((grey * 0.7 + 70).clip(0, 255)[..., None], 3, axis=2)


def _two(code: str, each: Examined, place: Place, diagnosis: Diagnosis) -> list[Image.Image]:
    """Both pictures, or both masks where these are what differs."""
    other = next(
        (other for other in diagnosis.examined if place.beside and place.beside in _files(other)), None
    )
    dataset = diagnosis.survey.dataset
    if other is None or dataset is None:
        return []
    images = []
    for one in (each, other):
        picture = _attempt(lambda one=one: read_picture(one.sample.picture))
        if picture is None:
            return []
        label_map = _label_map(one.sample.mask, dataset.labels, one)
        if code in ("mask-copied", "mask-shared") and label_map is not None:
            images.append(_outlined(picture, label_map))
        elif code == "contradictory" and label_map is not None:
            images.append(_overlaid(picture, label_map, np.zeros(label_map.shape, bool), dataset.labels))
        else:
            images.append(Image.fromarray(picture))
    return images


def _model_says(
    picture: np.ndarray | None,
    truth: np.ndarray,
    predicted: np.ndarray,
    against: np.ndarray,
    labels: LabelSet,
) -> list[Image.Image]:
    """Picture, mask, prediction, and where the model is sure that the mask is wrong."""
    plain = np.zeros(truth.shape, bool)
    errors = _grey(picture, truth.shape).astype(np.uint8)
    errors[against] = WRONG
    images = [] if picture is None else [Image.fromarray(picture)]
    images += [_overlaid(picture, ids, plain, labels) for ids in (truth, predicted)]
    return [*images, Image.fromarray(errors)]


def _nothing(words: str) -> Image.Image:
    image = Image.new("RGB", (HEIGHT, HEIGHT * 3 // 4), NEUTRAL)
    ImageDraw.Draw(image).text((image.width / 2, image.height / 2), words, (90, 90, 90), anchor="mm")
    return image


def _fitted(image: Image.Image) -> Image.Image:
    scale = min(HEIGHT / image.height, WIDEST / image.width)
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1 else Image.Resampling.BOX)


def _in_a_row(images: list[Image.Image]) -> Image.Image:
    fitted = [_fitted(image) for image in images]
    width = sum(image.width for image in fitted) + GAP * (len(fitted) - 1)
    row = Image.new("RGB", (width, max(image.height for image in fitted)), (255, 255, 255))
    left = 0
    for image in fitted:
        row.paste(image, (left, 0))
        left += image.width + GAP
    return row


def _as_jpeg(image: Image.Image) -> Drawn:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=88)
    address = f"data:image/jpeg;base64,{b64encode(stream.getvalue()).decode()}"
    return Drawn(address, image.width, image.height)
